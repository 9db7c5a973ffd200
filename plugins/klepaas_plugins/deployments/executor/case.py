"""One case to decide: intent, observation and moment, with what follows from comparing them.

Here stands what counts as "as wanted": a path that an autoscaler sets, or that a webhook changed in the answer to our
own write, is nobody's disagreement; any other path that another manager set after our write is.

Source: Kubernetes, "Server-Side Apply", sections "Managers" and "Conflicts"; "Dynamic Admission Control".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from klepaas.changes import FieldChange
from klepaas_plugins.deployments.executor.decisions import Reason, Wait
from klepaas_plugins.deployments.executor.intent import Failure, FailureKind, Intent, ObjectIntent
from klepaas_plugins.deployments.executor.observed import (
    ErrorSeen,
    Moment,
    ObjectSeen,
    Observed,
    Presence,
    RolloutSeen,
    Trouble,
)

__all__ = ["PAUSE_MAX_S", "PAUSE_MIN_S", "Case", "Pair"]

PAUSE_MIN_S, PAUSE_MAX_S = 1.0, 60.0
_REPLICAS = "spec.replicas"
# These say something about writing the body, and nothing about what is there.
_OF_WRITES = frozenset({Trouble.ADMISSION, Trouble.REFUSED, Trouble.OWNED, Trouble.WEBHOOK_UNREACHABLE})


@dataclass(frozen=True)
class Pair:
    """One object: what is wanted of it, and how it is.

    Attributes:
        wanted: What is wanted.
        seen: How it is.
    """

    wanted: ObjectIntent
    seen: ObjectSeen

    @property
    def title(self) -> str:
        """The object as a sentence names it."""
        return self.wanted.key.title

    @cached_property
    def remaining(self) -> tuple[FieldChange, ...]:
        """What is not as wanted, without what is nobody's disagreement; empty where that is not known."""
        return tuple(one for one in self.seen.remaining or () if not self._is_excused(one))

    def _is_excused(self, change: FieldChange) -> bool:
        if change.path == _REPLICAS and self.wanted.is_autoscaled:
            return True
        answer = self.wanted.answer
        return answer is not None and any(_lies_in(change.path, path) for path in answer.webhook_paths)

    @property
    def is_vanished(self) -> bool:
        """Whether the object that was meant is gone, is ending, or is another one of that name by now."""
        known, seen = self.wanted.known_uid, self.seen
        if known is None or seen.presence is Presence.UNKNOWN:
            return False
        return seen.presence is not Presence.LIVE or seen.uid != known

    @property
    def is_settled(self) -> bool:
        """Whether the object is as wanted."""
        if self.wanted.is_removal:
            return self.seen.presence is Presence.ABSENT or self.is_vanished
        return self._matches and self.error is None

    @property
    def _matches(self) -> bool:
        is_known = self.seen.presence is Presence.LIVE and self.seen.remaining is not None
        return is_known and not self.remaining

    @property
    def error(self) -> ErrorSeen | None:
        """What is in the way of having it as wanted. None: nothing.

        What refuses the body now is in nobody's way where the object is already as the body says: a policy that came
        later undoes nothing.
        """
        error = self.seen.error
        if error is not None and error.trouble in _OF_WRITES and (self._matches or self.wanted.is_removal):
            return None
        return error

    @property
    def is_unknown(self) -> bool:
        """Whether the look does not say how it is, and no error says why."""
        if self.seen.error is not None:
            return False
        has_body = self.seen.presence is Presence.LIVE and not self.wanted.is_removal and not self.is_vanished
        return self.seen.presence is Presence.UNKNOWN or (has_body and self.seen.remaining is None)

    @property
    def takers(self) -> tuple[tuple[str, str], ...]:
        """Who set paths of ours since: pairs of manager and path. Empty: nobody."""
        if self.wanted.is_removal or self.seen.presence is not Presence.LIVE:
            return ()
        return tuple((who, one.path) for one in self.remaining for who in self._managers_of(one))

    def _managers_of(self, change: FieldChange) -> tuple[str, ...]:
        if self.wanted.answer is not None:
            # Our write is confirmed and the path is not as it said: somebody wrote after us, whoever owns it now.
            return change.owners or ("somebody",)
        return tuple(one for one in change.owners if not self._may_take(change.path, one))

    def _may_take(self, path: str, manager: str) -> bool:
        return any(one.manager == manager and _lies_in(path, one.path) for one in self.wanted.takeovers)


def _lies_in(path: str, whole: str) -> bool:
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))


@dataclass(frozen=True)
class Case:
    """One case to decide.

    Attributes:
        intent: What is wanted.
        observed: What is there.
        now: The moment of the decision.
    """

    intent: Intent
    observed: Observed
    now: Moment

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The objects; one that was not looked at counts as unknown."""
        seen = {one.key: one for one in self.observed.objects}
        unknown = Presence.UNKNOWN
        return tuple(
            Pair(one, seen.get(one.key) or ObjectSeen(key=one.key, presence=unknown)) for one in self.intent.objects
        )

    @property
    def is_settled(self) -> bool:
        """Whether every object is as wanted."""
        return all(pair.is_settled for pair in self.pairs)

    @property
    def is_complete(self) -> bool:
        """Whether every object is as wanted and every rollout complete."""
        seen = {one.key: one for one in self.observed.rollouts}
        wanted = [one.key for one in self.intent.objects if one.key.is_workload and not one.is_removal]
        is_seen = all(key in seen for key in wanted)
        return self.is_settled and is_seen and all(one.complete and one.error is None for one in seen.values())

    @property
    def is_proven(self) -> bool:
        """Whether every object is as wanted and every rollout has stayed complete for long enough."""
        return self.is_complete and all(one.is_settled for one in self.observed.rollouts)

    @property
    def is_late(self) -> bool:
        """Whether the attended time is over."""
        return self.intent.attended_s >= self.intent.limit_s

    @property
    def paused_rollout(self) -> RolloutSeen | None:
        """A rollout that a person paused. None: none is, or none has to move."""
        return next((one for one in self.observed.rollouts if one.paused and not one.complete), None)

    def error_of(self, *troubles: object) -> ErrorSeen | None:
        """The first error of these kinds. None: there is none.

        Args:
            troubles: The kinds.
        """
        return next((one for one in self.observed.errors if one.trouble in troubles), None)

    def decisive_error(self, *troubles: object) -> ErrorSeen | None:
        """The first error of these kinds that is in the way of an object. None: there is none.

        Args:
            troubles: The kinds.
        """
        found = (pair.error for pair in self.pairs)
        return next((error for error in found if error is not None and error.trouble in troubles), None)

    def fail(self, kind: FailureKind, text: str) -> Failure:
        """A failure that is seen now.

        Args:
            kind: Why, for code.
            text: Why, one line.
        """
        return Failure(kind, text, self.now.wall_s)

    @property
    def stays(self) -> tuple[str, ...]:
        """What is written so far and what is not, one line each; empty where nothing was written."""
        if not self.intent.begun:
            return ()
        return tuple(self._stays())

    def _stays(self) -> Iterator[str]:
        written = [pair.title for pair in self.pairs if pair.wanted.may_be_written]
        missing = [pair.title for pair in self.pairs if not pair.wanted.may_be_written and not pair.is_settled]
        if self.intent.changed:
            yield f"Written before going back: {', '.join(self.intent.changed)}"
        if written:
            yield f"Written: {', '.join(written)}"
        if missing:
            yield f"Not written: {', '.join(missing)}"

    def wait(self, reason: Reason, text: str, for_s: float) -> Wait:
        """A wait from now on.

        Args:
            reason: What for.
            text: The same with its particulars.
            for_s: How long at the most, in seconds; never longer than `PAUSE_MAX_S`.
        """
        until_s = self.now.monotonic_s + min(PAUSE_MAX_S, max(0.0, for_s))
        return Wait(reason=reason, text=text, until_s=until_s, stays=self.stays)

    def pause_s(self, since_s: float) -> float:
        """How long to leave trouble alone: a quarter of its age, within limits.

        Args:
            since_s: When it began, in seconds since 1970; a clock that was set back makes it no longer.
        """
        return min(PAUSE_MAX_S, max(PAUSE_MIN_S, (self.now.wall_s - since_s) / 4))
