"""What a change would do, known before its first effect: the words for it, and its effects one by one.

Pure data; who carries it out is `carrying`, which also keeps the words in the operation's notes, because what a change
changes cannot be told any more once some of it is done.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from klepaas.changes import ChangeSet
from klepaas_plugins.deployments.objects import Object
from klepaas_plugins.deployments.releases.model import Release

__all__ = ["CANCELLED", "Change", "Effect", "Planned", "WorkloadName"]

# Why a cancelled change's release counts as failed.
CANCELLED = "it was cancelled"
WorkloadName = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """A change in words.

    Attributes:
        noun: What it is: "Deployment", "Rollback", "Restart", "Scaling".
        done: What is true when it is complete: "is deployed".
        lines: What it changes, one line each.
        notes: What else the answer says, one line each.
        facts: Small values for a program.
        stored: Whether it stores anything; if not, the rollout that is looked at is an earlier one.
    """

    noun: str
    done: str
    lines: Sequence[str] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    stored: bool = True

    def as_json(self) -> dict[str, Any]:
        """The words as an operation's notes keep them."""
        return {**asdict(self), "lines": list(self.lines), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> "Change":
        """The words that notes keep."""
        return cls(**noted)


@dataclass(frozen=True)
class Effect:
    """One request that changes the cluster.

    Attributes:
        name: What it is, one within a change: "apply Deployment web".
        do: Sends it.
        find: Looks whether it has happened; gives None where it has not.
        needed: Whether it would change anything.
    """

    name: str
    do: Callable[[], Awaitable[Mapping[str, Any] | None]]
    find: Callable[[], Awaitable[Mapping[str, Any] | None]]
    needed: bool = True


@dataclass(frozen=True)
class Planned:
    """A change that was looked at.

    Attributes:
        change: It in words.
        workloads: Kind and name of what rolls out.
        before: The workloads as they are, by "Kind/name"; those that do not exist are left out.
        effects: What it sends, in order.
        restores: The release that it goes back to, in place of effects. None: it is no such rollback.
        pins: What was chosen, as JSON data: a later attempt at the same change must not choose again.
        changes: It as the gate judges, shows and records it. None: it has no such form yet.
    """

    change: Change
    workloads: tuple[WorkloadName, ...]
    before: Mapping[str, Object] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    restores: Release | None = None
    pins: Mapping[str, Any] = field(default_factory=dict)
    changes: ChangeSet | None = None

    @property
    def change_set(self) -> ChangeSet:
        """It as the gate judges, shows and records it.

        Raises:
            TypeError: It has no such form.
        """
        if self.changes is None:
            raise TypeError(f"{self.change.noun} has no change set")
        return self.changes

    @property
    def needed(self) -> list[Effect]:
        """The effects that would change something."""
        return [effect for effect in self.effects if effect.needed]
