"""What is seen of an operation's objects at one moment: the other half of a decision. Errors are seen like all else.

Sources: Kubernetes, "Server-Side Apply" (managedFields, dry run), "Finalizers" (objects that are ending), "Namespaces"
(status.phase), SelfSubjectReview (authentication.k8s.io).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from klepaas.changes import FieldChange
from klepaas_plugins.deployments.executor.intent import ObjectKey, Payload

if TYPE_CHECKING:
    from klepaas_plugins.deployments.rollout import Snapshot

__all__ = [
    "BLOCKING",
    "ErrorSeen",
    "Moment",
    "NamespaceState",
    "ObjectSeen",
    "Observed",
    "Presence",
    "PrincipalState",
    "RecordState",
    "RolloutSeen",
    "Trouble",
]


class Trouble(StrEnum):
    """What an error means for an operation, whatever its code was."""

    ADMISSION = "admission"
    REFUSED = "refused"
    NAMESPACE_ENDING = "namespace is ending"
    NAMESPACE_MISSING = "namespace is missing"
    WEBHOOK_UNREACHABLE = "webhook cannot be called"
    CREDENTIALS = "credentials"
    RIGHTS = "rights"
    RATE_LIMITED = "rate limited"
    UNREACHABLE = "unreachable"
    NOT_SERVED = "kind is not served"
    OWNED = "owned by others"
    STALE = "look again"


# What is waited for, for hours: nobody can tell how things are, or nothing may be done.
BLOCKING = frozenset({Trouble.CREDENTIALS, Trouble.RIGHTS, Trouble.RATE_LIMITED, Trouble.UNREACHABLE})


@dataclass(frozen=True, kw_only=True)
class ErrorSeen:
    """An error as an observation.

    Attributes:
        trouble: What it means.
        text: What it says, one line.
        since_s: Since when it is so, in seconds since 1970.
        managers: Who owns the fields in the way.
    """

    trouble: Trouble
    text: str
    since_s: float
    managers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A moment by three clocks.

    Attributes:
        wall_s: This machine's clock, in seconds since 1970; it may be set at any time.
        monotonic_s: This process's clock, which only goes forward.
        cluster_s: The cluster's clock, in seconds since 1970. None: not known.
    """

    wall_s: float
    monotonic_s: float
    cluster_s: float | None = None

    @property
    def for_cluster_s(self) -> float:
        """What the cluster's timestamps are compared with."""
        return self.wall_s if self.cluster_s is None else self.cluster_s


class Presence(StrEnum):
    """How an object is there."""

    LIVE = "live"
    ABSENT = "absent"
    ENDING = "ending"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ObjectSeen:
    """One object.

    Attributes:
        key: Which.
        presence: How it is there.
        uid: Its uid. None: it is not there, or cannot be read.
        remaining: What a dry run of the body would still change, each with the managers that own it now; where the
            dry run is refused, what of the body differs. None: not known, or there is no body.
        is_ours: Whether klepaas owns a field of it.
        error: Why it, or its dry run, cannot be had, or why the last write was refused. None: nothing is in the way.
        live: The object with its managedFields. None: it is not there, or cannot be read.
        body: What it was compared with. None: nothing.
    """

    key: ObjectKey
    presence: Presence
    uid: str | None = None
    remaining: tuple[FieldChange, ...] | None = None
    is_ours: bool = False
    error: ErrorSeen | None = None
    live: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    body: Payload | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class RolloutSeen:
    """How far a workload is, by the cluster's own timestamps, so that no crash of ours begins a wait anew.

    Attributes:
        key: Which workload.
        complete: Whether every wanted pod is of the newest template and available, and no other is left.
        desired: Pods wanted.
        progress: The numbers as a person says them.
        held_s: For how long it has been complete without a restart, in seconds.
        hold_s: How long it has to be, in seconds.
        failure: The decisive cause, one line. None: there is none.
        cause: What is wrong and may pass, one line. None: nothing.
        paused: Whether a person paused it.
        decides_in_s: Seconds after which time alone makes a cause decisive. None: it does not.
        progress_deadline_in_s: Seconds until the controller's own deadline. None: it has none, or it is over.
        error: Why it cannot be seen. None: it can.
        snapshot: What that rests on. None: it cannot be seen.
    """

    key: ObjectKey
    complete: bool = False
    desired: int = 1
    progress: str = ""
    held_s: float = 0.0
    hold_s: float = 10.0
    failure: str | None = None
    cause: str | None = None
    paused: bool = False
    decides_in_s: float | None = None
    progress_deadline_in_s: float | None = None
    error: ErrorSeen | None = None
    snapshot: "Snapshot | None" = field(default=None, repr=False, compare=False)

    @property
    def is_settled(self) -> bool:
        """Whether it has been complete for long enough; what wants no pods needs no time."""
        return self.complete and (self.desired == 0 or self.held_s >= self.hold_s)


class NamespaceState(StrEnum):
    """How the namespace is."""

    ACTIVE = "active"
    ENDING = "ending"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class PrincipalState(StrEnum):
    """Whether this process acts as the user and groups that began the operation."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


class RecordState(StrEnum):
    """How the operation's release record is."""

    MISSING = "missing"
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that is seen at one moment.

    Attributes:
        at: When.
        objects: The objects of the intent.
        rollouts: The workloads among them.
        namespace: How the namespace is.
        principal: Whether this process may carry the operation out.
        record: The release's record.
        discoveries: How often the served kinds were asked for anew, for a kind that is not served.
        newer_operation: A newer operation on the same target. None: there is none.
        is_fenced: Whether another process holds the operation now.
    """

    at: Moment
    objects: tuple[ObjectSeen, ...] = ()
    rollouts: tuple[RolloutSeen, ...] = ()
    namespace: NamespaceState = NamespaceState.ACTIVE
    principal: PrincipalState = PrincipalState.SAME
    record: RecordState = RecordState.MISSING
    discoveries: int = 0
    newer_operation: str | None = None
    is_fenced: bool = False

    @property
    def errors(self) -> tuple[ErrorSeen, ...]:
        """Every error, objects first."""
        found = [*(one.error for one in self.objects), *(one.error for one in self.rollouts)]
        return tuple(error for error in found if error is not None)

    @property
    def blocking_trouble(self) -> ErrorSeen | None:
        """What keeps from looking or writing, the one that lasts longest. None: nothing."""
        found = [error for error in self.errors if error.trouble in BLOCKING]
        return min(found, key=lambda error: error.since_s, default=None)
