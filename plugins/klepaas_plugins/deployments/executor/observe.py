"""Builds an observation of a cluster with few requests: every error on the way becomes a part of what is seen.

An object costs a read and, where its body is to be compared, one dry run; a dry run whose answer is known is not asked
again. A Deployment's rollout costs the lists of its ReplicaSets and pods, and the warnings only while it is not
complete. The namespace is read at the first look, and later when an object is missing or refused.

Sources: Kubernetes API concepts, "Dry-run"; "Server-Side Apply", section "Conflicts"; "Namespaces".
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, time
from typing import Any

from klepaas.errors import KlepaasError, NotFound
from klepaas_plugins.deployments.executor.case import Case
from klepaas_plugins.deployments.executor.failures import classify_error
from klepaas_plugins.deployments.executor.intent import Intent, ObjectIntent, ObjectKey, Payload
from klepaas_plugins.deployments.executor.observed import (
    ErrorSeen,
    Moment,
    NamespaceState,
    ObjectSeen,
    Observed,
    Presence,
    PrincipalState,
    RecordState,
    RolloutSeen,
    Trouble,
)
from klepaas_plugins.deployments.executor.remaining import is_same_intent, remaining_of, unwritten_of
from klepaas_plugins.deployments.executor.rollout_look import look_at_rollout
from klepaas_plugins.deployments.objects import at, uid
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import Cluster, fresh, is_ours

__all__ = ["Observer", "Surroundings"]

# Gets the operation, the workload, which is live, and the cluster's time, in seconds since 1970.
RolloutLook = Callable[[Intent, ObjectSeen, float], Awaitable[RolloutSeen]]
_DRY_RUNS_MAX = 3
# An old webhook with side effects refuses every dry run; the write itself it judges when it comes.
_NO_DRY_RUN = "does not support dry run"
# A body that is refused says nothing about what is there.
_OF_BODIES = frozenset({Trouble.ADMISSION, Trouble.REFUSED, Trouble.OWNED, Trouble.WEBHOOK_UNREACHABLE})


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known of an operation beside its objects.

    Attributes:
        principal: Whether this process may carry it out.
        record: The release's record.
        newer_operation: A newer operation on the same target. None: there is none.
        is_fenced: Whether another process holds it now.
        write_errors: Why the last write of an object was refused.
        at_hand: How objects are at this moment, as the answer to a write, a plan or a watch says; where only the object
            itself is known, it is compared.
    """

    principal: PrincipalState = PrincipalState.SAME
    record: RecordState = RecordState.UNKNOWN
    newer_operation: str | None = None
    is_fenced: bool = False
    write_errors: Mapping[ObjectKey, KlepaasError] = field(default_factory=dict)
    at_hand: Mapping[ObjectKey, ObjectSeen] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Looks at one operation's objects.

    Attributes:
        cluster: The cluster.
        open_payload: Gives the document that a payload stands for.
        grace_s: Seconds without a node after which that is decisive.
        look_at_rollout: Looks at a workload's rollout in place of lists. None: lists are asked for.
        clock_ahead_s: How far the cluster's clock is before this machine's, in seconds.
    """

    cluster: Cluster
    open_payload: Callable[[Payload], Mapping[str, Any]]
    grace_s: float = 10.0
    look_at_rollout: "RolloutLook | None" = None
    clock_ahead_s: Callable[[], float] = field(default=lambda: 0.0)

    def __post_init__(self) -> None:
        # What a call remembers of a moment ago is no observation.
        object.__setattr__(self, "cluster", fresh(self.cluster))

    async def observe(
        self, intent: Intent, before: Observed | None = None, around: Surroundings | None = None
    ) -> Observed:
        """What is there now.

        Args:
            intent: What is wanted.
            before: What this process saw before. None: this is its first look.
            around: What is known beside the objects. None: nothing that matters.
        """
        around = around or Surroundings()
        known = {one.key: one for one in before.objects} if before is not None else {}
        calls = [partial(self._look_at, one, known.get(one.key), around) for one in intent.objects]
        objects: tuple[ObjectSeen, ...] = tuple(await together(*calls))
        namespace = await self._look_at_namespace(intent.namespace, objects, before, around)
        # How a rollout goes matters once everything is written.
        is_written = Case(intent, Observed(at=self._now(), objects=objects), self._now()).is_settled
        rollouts = await self._look_at_rollouts(intent, objects, before) if is_written else ()
        return Observed(
            at=self._now(),
            objects=objects,
            rollouts=rollouts,
            namespace=namespace,
            principal=around.principal,
            record=around.record,
            discoveries=_count_discoveries(objects, before),
            newer_operation=around.newer_operation,
            is_fenced=around.is_fenced,
        )

    def _now(self) -> Moment:
        wall_s = time()
        return Moment(wall_s=wall_s, monotonic_s=monotonic(), cluster_s=wall_s + self.clock_ahead_s())

    async def _look_at(self, wanted: ObjectIntent, before: ObjectSeen | None, around: Surroundings) -> ObjectSeen:
        key, at_hand = wanted.key, around.at_hand.get(wanted.key)
        if at_hand is not None and at_hand.remaining is not None:
            return at_hand
        write_error = around.write_errors.get(key)
        failure = None if write_error is None else _error(write_error, classify_error(write_error), before)
        if at_hand is not None and at_hand.live is not None:
            return await self._compare(wanted, dict(at_hand.live), before, failure)
        try:
            resource = await self.cluster.resource(f"{key.api_version}/{key.kind}")
        except KlepaasError as exc:
            missing = Trouble.NOT_SERVED if isinstance(exc, NotFound) else classify_error(exc)
            return ObjectSeen(key=key, presence=Presence.UNKNOWN, error=_error(exc, missing, before))
        try:
            live: dict[str, Any] | None = await self.cluster.get(resource, key.name, key.namespace)
        except NotFound:
            live = None
        except KlepaasError as exc:
            return ObjectSeen(key=key, presence=Presence.UNKNOWN, error=_error(exc, _of_reading(exc), before))
        return await self._compare(wanted, live, before, failure)

    async def _compare(
        self, wanted: ObjectIntent, live: dict[str, Any] | None, before: ObjectSeen | None, failure: ErrorSeen | None
    ) -> ObjectSeen:
        """What of the body is not there yet, as a dry run says."""
        key = wanted.key
        if live is None:
            error = failure or await self._try_creation(wanted, before)
            return ObjectSeen(key=key, presence=Presence.ABSENT, error=error)
        is_ending = bool(at(live, "metadata", "deletionTimestamp"))
        seen = partial(
            ObjectSeen,
            key=key,
            presence=Presence.ENDING if is_ending else Presence.LIVE,
            uid=uid(live),
            is_ours=is_ours(live),
            live=live,
            body=wanted.body,
        )
        if wanted.body is None or is_ending:
            return seen(error=failure)
        body = self.open_payload(wanted.body)
        if not body or _is_settled_still(wanted, live, before):
            return seen(remaining=(), error=failure)
        for _ in range(_DRY_RUNS_MAX):
            try:
                after = await self.cluster.apply(_held(body, live), force=True, dry_run=True)
            except KlepaasError as exc:
                error = _error(exc, classify_error(exc), before)
                if _NO_DRY_RUN in exc.what:
                    return seen(remaining=unwritten_of(body, live), error=failure)
                if error.trouble in _OF_BODIES:
                    return seen(remaining=unwritten_of(body, live), error=failure or error)
                if error.trouble is not Trouble.STALE:
                    return seen(error=error)
                live = await self._read_again(wanted, live)
            else:
                return seen(remaining=remaining_of(wanted, body, live, after), error=failure)
        return seen(error=error)

    async def _read_again(self, wanted: ObjectIntent, live: dict[str, Any]) -> dict[str, Any]:
        """The object in the version that it has by now; a status moves it several times a second."""
        key = wanted.key
        try:
            resource = await self.cluster.resource(f"{key.api_version}/{key.kind}")
            return await self.cluster.get(resource, key.name, key.namespace)
        except KlepaasError:
            return live

    async def _try_creation(self, wanted: ObjectIntent, before: ObjectSeen | None) -> ErrorSeen | None:
        """Whether the object could be made; only where it is to be."""
        body = None if wanted.body is None else self.open_payload(wanted.body)
        if not body or wanted.known_uid is not None:
            return None
        try:
            await self.cluster.apply(body, dry_run=True)
        except KlepaasError as exc:
            return None if _NO_DRY_RUN in exc.what else _error(exc, classify_error(exc), before)
        return None

    async def _look_at_rollouts(
        self, intent: Intent, objects: tuple[ObjectSeen, ...], before: Observed | None
    ) -> tuple[RolloutSeen, ...]:
        known = {one.key: one for one in before.rollouts} if before is not None else {}
        calls = []
        for wanted, seen in zip(intent.objects, objects, strict=True):
            if wanted.is_removal or not wanted.key.is_workload or seen.live is None:
                continue
            calls.append(partial(self._look_at_one, intent, seen, known.get(wanted.key)))
        return tuple(await together(*calls)) if calls else ()

    async def _look_at_one(self, intent: Intent, seen: ObjectSeen, before: RolloutSeen | None) -> RolloutSeen:
        cluster_s = time() + self.clock_ahead_s()
        try:
            if self.look_at_rollout is not None:
                return await self.look_at_rollout(intent, seen, cluster_s)
            return await look_at_rollout(self.cluster, intent, seen, cluster_s=cluster_s, grace_s=self.grace_s)
        except KlepaasError as exc:
            trouble = _of_reading(exc)
            since_s = before.error.since_s if before and before.error and before.error.trouble is trouble else time()
            return RolloutSeen(key=seen.key, error=ErrorSeen(trouble=trouble, text=exc.line, since_s=since_s))

    async def _look_at_namespace(
        self, name: str, objects: tuple[ObjectSeen, ...], before: Observed | None, around: Surroundings
    ) -> NamespaceState:
        is_quiet = all(one.presence is Presence.LIVE and one.error is None for one in objects)
        if before is None and is_quiet and all(one.key in around.at_hand for one in objects):
            # A plan has just been made there, of objects that nobody deletes.
            return NamespaceState.ACTIVE
        if before is not None and is_quiet and before.namespace is not NamespaceState.UNKNOWN:
            return before.namespace
        try:
            found = await self.cluster.get(await self.cluster.resource("v1/Namespace"), name, None)
        except NotFound:
            return NamespaceState.ABSENT
        except KlepaasError:
            return NamespaceState.UNKNOWN
        return NamespaceState.ENDING if at(found, "status", "phase") == "Terminating" else NamespaceState.ACTIVE


def _is_settled_still(wanted: ObjectIntent, live: dict[str, Any], before: ObjectSeen | None) -> bool:
    """Whether nothing of this body was to do at the last look and nothing but a status has moved since."""
    if before is None or before.remaining != () or before.error is not None or before.live is None:
        return False
    if before.body != wanted.body:
        return False
    return is_same_intent(before.live, live)


def _held(body: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """A body held to the object, in the version, that it is compared with."""
    held = {name: live["metadata"][name] for name in ("uid", "resourceVersion")}
    return {**body, "metadata": {**body["metadata"], **held}}


def _of_reading(exc: KlepaasError) -> Trouble:
    """What an error of a read means: nothing was refused, so nothing is decided."""
    trouble = classify_error(exc)
    return Trouble.UNREACHABLE if trouble in _OF_BODIES else trouble


def _error(exc: KlepaasError, trouble: Trouble, before: ObjectSeen | None) -> ErrorSeen:
    known = before.error if before is not None else None
    since_s = known.since_s if known is not None and known.trouble is trouble else time()
    managers = tuple(dict.fromkeys(manager for manager, _ in getattr(exc, "owners", ())))
    return ErrorSeen(trouble=trouble, text=exc.line, since_s=since_s, managers=managers)


def _count_discoveries(objects: tuple[ObjectSeen, ...], before: Observed | None) -> int:
    """How often a kind that is not served was looked for anew: each look asks the cluster, once it is not known."""
    is_missing = any(one.error is not None and one.error.trouble is Trouble.NOT_SERVED for one in objects)
    was_missing = before is not None and any(error.trouble is Trouble.NOT_SERVED for error in before.errors)
    return (before.discoveries + 1 if before is not None and was_missing else 0) if is_missing else 0
