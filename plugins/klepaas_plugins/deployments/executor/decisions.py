"""What can be decided: apply, wait, verified, restore or ended. Values only; answers take their words elsewhere."""

from dataclasses import dataclass
from enum import StrEnum

from klepaas_plugins.deployments.executor.intent import Failure, ObjectKey, RestoreTarget

__all__ = ["Apply", "Decision", "End", "Ended", "Reason", "Restore", "Verify", "Wait"]


class Reason(StrEnum):
    """What is waited for."""

    LOOK_AGAIN = "look again"
    LEASE = "another process holds it"
    PRINCIPAL = "the same user"
    CREDENTIALS = "credentials"
    RIGHTS = "rights"
    RATE_LIMITED = "the cluster's rate limit"
    UNREACHABLE = "the cluster"
    WEBHOOK = "a webhook"
    DISCOVERY = "the kinds that are served"
    ENDING_OBJECT = "an object that is ending"
    PAUSED = "a person who paused it"
    ROLLOUT = "the rollout"
    HOLD = "the rollout to stay complete"


class End(StrEnum):
    """How an operation ends that is not verified."""

    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled back"
    SUPERSEDED = "superseded"
    DELETED = "deleted by somebody"
    PAUSED = "paused"
    NOT_SERVED = "kind is not served"
    NAMESPACE_GONE = "namespace is gone"
    NEEDS_PERSON = "needs a person"


@dataclass(frozen=True)
class Apply:
    """Write these objects, in this order, then look again.

    Attributes:
        objects: Which.
    """

    objects: tuple[ObjectKey, ...]


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Write nothing; look again when something changes, at the latest then.

    Attributes:
        reason: What is waited for.
        text: The same with its particulars, one line.
        until_s: When to look at the latest, by the monotonic clock.
        stays: What is written so far, and what is not.
    """

    reason: Reason
    text: str
    until_s: float
    stays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verify:
    """The change is verified: everything is there as wanted and has stayed complete; put that on record.

    Attributes:
        observed: What was looked at, for a `klepaas.output.verdict.Verdict`.
        marks_record: Whether the release's record still has to say so.
    """

    observed: tuple[str, ...]
    marks_record: bool = True


@dataclass(frozen=True)
class Restore:
    """Go back.

    Attributes:
        target: To what.
        failure: Why.
    """

    target: RestoreTarget
    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Nothing more is done.

    Attributes:
        end: How it ended.
        text: Why, one line.
        stays: What is written and stays so, and what was not written; empty where nothing was.
        needs_person: Whether it is left in a state that a person has to look at.
        failure: What failed. None: nothing did.
    """

    end: End
    text: str
    stays: tuple[str, ...] = ()
    needs_person: bool = False
    failure: Failure | None = None


Decision = Apply | Wait | Verify | Restore | Ended
