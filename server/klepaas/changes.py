"""What a change is: the objects that it creates, updates and deletes, as one value.

A tool that changes something gives a `ChangeSet` before it runs (`klepaas.tools.Tool.plan`). The effect, the question
to a person, the answer of a dry run, the stored plan and the audit record are functions of it; nothing else compares
objects or describes a change (`klepaas.plans.describe`).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from klepaas.effects import Effect
from klepaas.errors import Conflict, chain_of

__all__ = [
    "FOREIGN_MARK",
    "Action",
    "ChangeSet",
    "FieldChange",
    "ObjectChange",
    "ObjectIdentity",
    "RaisedEffect",
    "Risk",
    "current_change_set",
    "executing",
    "foreign",
    "raised_risks",
]


class Action(StrEnum):
    """What becomes of an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class ObjectIdentity:
    """Which object.

    Attributes:
        kind: Its kind, for example "Deployment".
        name: Its name.
        namespace: Its namespace. None: the kind has none.
        context: The cluster's context, or the upstream's name. None: there is one only.
        api_version: For example "apps/v1"; "" where the upstream has none.
        uid: The object's uid. None: it does not exist yet, or the upstream has none.
    """

    kind: str
    name: str
    namespace: str | None = None
    context: str | None = None
    api_version: str = ""
    uid: str | None = None

    @property
    def title(self) -> str:
        """The object as a line names it: `deployment/web (namespace shop)`."""
        place = f" (namespace {self.namespace})" if self.namespace else ""
        return f"{self.kind.lower()}/{self.name}{place}"


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field that differs, or that is sent with a hidden value.

    Texts may be raw: whoever describes a change masks and escapes each of them.

    Attributes:
        path: Where it is, for example `spec.template.spec.containers[web].image`.
        before: Its value. None: it is not set.
        after: Its value afterwards. None: it is removed.
        owners: The field managers that own it now, klepaas excepted.
        hidden: Whether the value may not be shown, so that it was not compared; `before` and `after` then say its size.
        recreate: Whether the field is immutable, so that the object would have to be deleted and created again.
    """

    path: str
    before: str | None
    after: str | None
    owners: tuple[str, ...] = ()
    hidden: bool = False
    recreate: bool = False

    @property
    def is_removal(self) -> bool:
        """Whether the field is gone afterwards."""
        return self.after is None


@dataclass(frozen=True, kw_only=True)
class Risk:
    """What a change does besides what its tool says, found in its content.

    Attributes:
        code: A word of a fixed set, for programs: "grants-rights".
        text: What happens, one line: "grants verb * on * to ServiceAccount shop/web". Texts of others in it stand in
            `foreign`, so that each is masked and escaped by itself.
        severity: The least effect of a change with this risk; `Effect.WRITE` names it and raises nothing.
    """

    code: str
    text: str
    severity: Effect = Effect.DESTRUCTIVE


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """What becomes of one object.

    Attributes:
        identity: Which object.
        action: What becomes of it.
        fields: The fields that change; of a new object none.
        facts: The decisive fields of a new object, or what goes with a deleted one, as pairs of name and value.
        risks: What its content does besides.
        not_checked: Why the server did not compute `after`, so that it is what was sent. None: the server computed it.
        warnings: What the upstream warned of while the change was tried, or made; it refused nothing for it.
        before: The object as it is. None: there is none, or it cannot be read.
        after: The object as it would be. None: it is deleted, or there is no object to compare.
        body: What is sent. None: nothing, as for a deletion.
        basis: What the change rests on, as JSON data: where it differs later, the plan does not hold any more. It may
            hold secrets: only a keyed digest of it is stored.
        options: How it is sent, as JSON data for whoever writes such objects; it holds no secrets.
    """

    identity: ObjectIdentity
    action: Action
    fields: tuple[FieldChange, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    risks: tuple[Risk, ...] = ()
    not_checked: str | None = None
    warnings: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = field(default=None, repr=False)
    after: Mapping[str, Any] | None = field(default=None, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    basis: Any = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def removals(self) -> tuple[FieldChange, ...]:
        """The fields that are gone afterwards."""
        return tuple(change for change in self.fields if change.is_removal)


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    """A whole change.

    Attributes:
        title: What it does, in a few words: "Deploy example/app:2 as web in shop".
        objects: What becomes of each object, in the order in which they are changed.
        notes: What a reader should know besides, one line each.
        risks: What it does besides that belongs to no single object.
        basis: What it rests on besides the objects', as JSON data; see `ObjectChange.basis`.
    """

    title: str
    objects: tuple[ObjectChange, ...]
    notes: tuple[str, ...] = ()
    risks: tuple[Risk, ...] = ()
    basis: Any = field(default=None, repr=False)

    @classmethod
    def of_action(
        cls,
        title: str,
        *,
        kind: str,
        name: str,
        action: Action = Action.UPDATE,
        facts: Iterable[tuple[str, str]] = (),
        context: str | None = None,
        risks: Iterable[Risk] = (),
        basis: Any = None,
    ) -> "ChangeSet":
        """A change of one thing that has no fields to compare: a message that is sent, a job that is stopped.

        Args:
            title: What it does, in a few words: "Stop the job nightly".
            kind: What kind of thing it changes.
            name: Its name.
            action: What becomes of it. A deletion is destructive by itself.
            facts: What a person should see, as pairs of name and value; nothing of it may be left out.
            context: The upstream's name. None: there is one only.
            risks: What it does besides.
            basis: What it rests on, as JSON data. None: nothing.
        """
        identity = ObjectIdentity(kind=kind, name=name, context=context)
        change = ObjectChange(identity=identity, action=action, facts=tuple(facts), risks=tuple(risks), basis=basis)
        return cls(title=title, objects=(change,))

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change, as far as that is known; a hidden value that is sent may change something."""
        return all(change.action is Action.NONE and not change.fields for change in self.objects) and not self.risks

    @property
    def all_risks(self) -> tuple[tuple[ObjectIdentity | None, Risk], ...]:
        """Every risk with its object, those of the whole change first."""
        own = [(None, risk) for risk in self.risks]
        return (*own, *((change.identity, risk) for change in self.objects for risk in change.risks))

    def effect(self, floor: Effect) -> Effect:
        """The effect of a call with this content: removals and risks raise what the tool declares, nothing lowers it.

        Args:
            floor: What the tool declares.
        """
        if self.is_empty:
            return floor
        removes = any(change.action is Action.DELETE or change.removals for change in self.objects)
        found = [floor, *([Effect.DESTRUCTIVE] if removes else []), *(risk.severity for _, risk in self.all_risks)]
        return max(found, key=lambda effect: effect.rank)


# Stands around each text of somebody else's in the text of a risk; no text that is shown holds it.
FOREIGN_MARK = "\x02"


def foreign(text: object) -> str:
    """A text of somebody else's, as the text of a risk holds it: none can hide what stands beside it.

    Args:
        text: The text.
    """
    return f"{FOREIGN_MARK}{str(text).replace(FOREIGN_MARK, ' ')}{FOREIGN_MARK}"


class RaisedEffect(Conflict):
    """What an upstream made of a change does more than was planned and confirmed.

    Attributes:
        risks: What it does besides.
    """

    risks: tuple[Risk, ...] = ()


def raised_risks(error: BaseException) -> tuple[Risk, ...]:
    """What an upstream made of a change besides, as an error or one of its causes says; none where it was not that.

    Args:
        error: The error that ended the change.
    """
    return next((cause.risks for cause in chain_of(error) if isinstance(cause, RaisedEffect)), ())


_executing: ContextVar[ChangeSet | None] = ContextVar("change_set", default=None)


@contextmanager
def executing(changes: ChangeSet) -> Iterator[None]:
    """Hand a change to the tool that makes it; the gate does.

    Args:
        changes: What the gate planned, and what was confirmed.
    """
    token = _executing.set(changes)
    try:
        yield
    finally:
        _executing.reset(token)


def current_change_set() -> ChangeSet:
    """What the gate planned for this call: exactly this is to be sent.

    Raises:
        LookupError: The tool that runs has no `plan`, or the gate did not call it.
    """
    changes = _executing.get()
    if changes is None:
        raise LookupError("this call has no change set: its tool declares no plan")
    return changes
