"""What an operation wants of the cluster, and what it knows of its own past: the part that outlives a process.

An intent is a value. What happens to it is in `recording`, its JSON form in `encoding`; `decide` only reads it.

Sources: Kubernetes, "Server-Side Apply", section "Field management" (own fields, managers); API conventions, "Metadata"
(uid: which object of a name is meant).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = [
    "CRASHES_MAX",
    "RESTORES_MAX",
    "WRITES_MAX",
    "Answer",
    "Failure",
    "FailureKind",
    "Intent",
    "ObjectIntent",
    "ObjectKey",
    "Path",
    "Payload",
    "PayloadForm",
    "Phase",
    "RestoreTarget",
    "Takeover",
]

# A path of FieldsV1, as `klepaas_plugins.kubernetes.write.own_fields` reads it.
Path = tuple[str, ...]
WRITES_MAX = 3
RESTORES_MAX = 1
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
# So many crashes in a row while something is still to be written: the work itself is what crashes.
CRASHES_MAX = 8


class Phase(StrEnum):
    """Which way an operation goes."""

    APPLY = "apply"
    RESTORE = "restore"


class PayloadForm(StrEnum):
    """How a payload lies in the journal."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"


@dataclass(frozen=True)
class Payload:
    """A document that the journal keeps.

    Attributes:
        form: How it lies there.
        content: The document itself, or what `klepaas.operations.bodies` made of it.
    """

    form: PayloadForm
    content: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, order=True, kw_only=True)
class ObjectKey:
    """The name of an object; which object of that name is meant, its uid says.

    Attributes:
        api_version: For example "apps/v1".
        kind: For example "Deployment".
        name: Its name.
        namespace: Its namespace. None: the kind has none.
    """

    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    @property
    def title(self) -> str:
        """The object as a sentence names it: "Deployment web"."""
        return f"{self.kind} {self.name}"

    @property
    def is_workload(self) -> bool:
        """Whether it rolls out pods."""
        return self.kind in _WORKLOADS


@dataclass(frozen=True, order=True)
class Takeover:
    """A field that may be taken from a manager, since the plan said so and was confirmed.

    Attributes:
        path: The field, as `FieldChange.path` writes it; what lies below it counts too.
        manager: The field manager.
    """

    path: str
    manager: str


@dataclass(frozen=True)
class Answer:
    """What the server made of our last write.

    Attributes:
        uid: The object that was written.
        webhook_paths: Paths that differ in the answer from what was sent: a mutating webhook set them.
    """

    uid: str
    webhook_paths: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ObjectIntent:
    """What is wanted of one object.

    Attributes:
        key: Which object.
        body: What is applied. None: the object is removed.
        uid: Its uid when the change was planned. None: there was none, or it was ending then.
        own_before: The fields that klepaas owned before.
        takeovers: The fields that may be taken over.
        is_autoscaled: Whether an autoscaler sets its number of replicas.
        attempts: How often a write was sent.
        refusals: How many of these certainly changed nothing.
        answer: What the server made of the last write. None: none is confirmed.
    """

    key: ObjectKey
    body: Payload | None
    uid: str | None = None
    own_before: frozenset[Path] = frozenset()
    takeovers: tuple[Takeover, ...] = ()
    is_autoscaled: bool = False
    attempts: int = 0
    refusals: int = 0
    answer: Answer | None = None

    @property
    def is_removal(self) -> bool:
        """Whether the object is to be gone."""
        return self.body is None

    @property
    def known_uid(self) -> str | None:
        """Which object of that name is ours to change. None: there was none so far."""
        return self.answer.uid if self.answer is not None else self.uid

    @property
    def may_be_written(self) -> bool:
        """Whether a write of ours may have changed it: one is confirmed, or its outcome is not known."""
        return self.answer is not None or self.attempts > self.refusals


class FailureKind(StrEnum):
    """Why a change failed, for code."""

    ADMISSION = "admission"
    ROLLOUT = "rollout"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    WRITES = "writes"
    CRASHES = "crashes"
    CHANGED = "changed"


@dataclass(frozen=True)
class Failure:
    """Why a change failed: the first decisive sign of it.

    Attributes:
        kind: Why, for code.
        text: Why, one line.
        at_s: When, in seconds since 1970.
    """

    kind: FailureKind
    text: str
    at_s: float


@dataclass(frozen=True)
class RestoreTarget:
    """What a failure goes back to: a release, or a snapshot where none could be recorded.

    Attributes:
        release: The release's number. None: it could not be recorded.
        snapshot: What was there before, encrypted. None: the release holds it.
    """

    release: int | None = None
    snapshot: Payload | None = None

    @property
    def title(self) -> str:
        """The target as a sentence names it."""
        return f"release {self.release}" if self.release is not None else "what was there before"


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What an operation wants, and its own past.

    Attributes:
        operation_id: The operation.
        verb: What it does: "deploy".
        namespace: Where.
        objects: What is wanted of each object in this phase, in the order in which they are written.
        phase: Whether it applies the change or restores what was before.
        restore_target: What a failure goes back to. None: there is nothing.
        auto_rollback: Whether a failure goes back by itself.
        changed: What the phase before this one may have written, by title.
        failure: The first decisive failure. None: there was none.
        cancel_requested: Whether somebody asked to cancel it.
        missed_deadlines: When an earlier rollout of a workload missed its deadline, by "Kind/name"; the controller
            leaves that condition in place when a change goes back to pods that exist.
        restart_moment: What a restart writes. None: it is none.
        deadline_s: Longest attended time of the change, in seconds.
        restore_deadline_s: Longest attended time of going back, in seconds.
        attended_s: Time in this phase in which a process looked and the cluster answered, in seconds.
        hold_s: How long a rollout has to stay complete, in seconds. None: what its probe says.
        crashes: Crashes since the last confirmed write.
        restores: How often it went back.
    """

    operation_id: str
    verb: str
    namespace: str
    objects: tuple[ObjectIntent, ...]
    phase: Phase = Phase.APPLY
    restore_target: RestoreTarget | None = None
    auto_rollback: bool = True
    changed: tuple[str, ...] = ()
    failure: Failure | None = None
    cancel_requested: bool = False
    missed_deadlines: Mapping[str, str] = field(default_factory=dict)
    restart_moment: str | None = None
    deadline_s: float = 900.0
    restore_deadline_s: float = 300.0
    attended_s: float = 0.0
    hold_s: float | None = None
    crashes: int = 0
    restores: int = 0

    @property
    def begun(self) -> bool:
        """Whether anything was written, or may have been."""
        return bool(self.changed) or any(one.may_be_written for one in self.objects)

    @property
    def is_first(self) -> bool:
        """Whether nothing of what it rolls out was there before."""
        workloads = [one for one in self.objects if one.key.is_workload]
        return bool(workloads) and self.restore_target is None and all(one.uid is None for one in workloads)

    @property
    def limit_s(self) -> float:
        """Longest attended time of this phase, in seconds."""
        return self.deadline_s if self.phase is Phase.APPLY else self.restore_deadline_s
