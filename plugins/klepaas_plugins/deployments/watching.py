"""Following a rollout by watching the workload, its ReplicaSets, its pods and their warnings until it is decided.

Nothing is polled: each change that the cluster reports is judged (`rollout.decide`), and the wait ends with the first
decisive one, or when the rollout has stayed healthy for long enough. A watch that ends or expires is taken up again
from a fresh list, as the API asks its clients to do. A caller that leaves cancels the watching; what was applied stays.

Source: Kubernetes, "API Concepts", section "Efficient detection of changes".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from klepaas.agents import Report
from klepaas.errors import Forbidden, KlepaasError, NotFound
from klepaas.output.verdict import Claim
from klepaas.output.verdict import Verdict as Seen
from klepaas_plugins.deployments.hold import Hold
from klepaas_plugins.deployments.objects import Object, at, is_owned_by, items, selector_text, uid
from klepaas_plugins.deployments.outages import Patience, is_outage
from klepaas_plugins.deployments.rollout import Snapshot, Verdict, decide, first_seen_waiting
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import Cluster, Expired, WatchEvent, forget_looks, fresh

__all__ = ["Followed", "Follower", "Report", "Target", "follow", "look"]

_RETRY_S, _LOOK_AGAIN_S = 0.5, 1.0
# Events tell only why a pod stays pending: they are asked for where one does for so long.
PENDING_S = 0.5
# While it has to stay complete, how long it has is told so often.
_TELL_EVERY_S = 1.0


@dataclass(frozen=True)
class Target:
    """The workload that is followed.

    Attributes:
        kind: Deployment, StatefulSet or DaemonSet.
        namespace: Its namespace.
        name: Its name.
        selector: What selects its pods, as a query.
        missed_before: When an earlier rollout missed its deadline; see `rollout.Snapshot`.
    """

    kind: str
    namespace: str
    name: str
    selector: str
    missed_before: str | None = None

    @classmethod
    def of(cls, kind: str, workload: Object) -> "Target":
        """The target that an object is."""
        metadata, selector = workload["metadata"], at(workload, "spec", "selector") or {}
        return cls(kind, metadata["namespace"], metadata["name"], selector_text(selector))


@dataclass(frozen=True)
class Followed:
    """How following ended.

    Attributes:
        snapshot: What was seen last.
        verdict: What that says; neither done nor failed when the time was over first.
        trouble: Why the cluster could not be followed to the end. None: it could.
        healthy_s: For how long it had been complete without a restart, in seconds.
        settled: Whether that was long enough.
    """

    snapshot: Snapshot
    verdict: Verdict
    trouble: KlepaasError | None = None
    healthy_s: float = 0.0
    settled: bool = False


@dataclass
class _Seen:
    """The objects that are known at the moment, by uid, and the versions to watch from."""

    target: Target
    grace_s: float
    hold: Hold = field(default_factory=Hold)
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, float] = field(default_factory=dict)

    def take(self, kind: str, event: WatchEvent) -> None:
        known = self.objects.setdefault(kind, {})
        if event.type == "DELETED":
            known.pop(uid(event.object), None)
        else:
            known[uid(event.object)] = event.object

    def snapshot(self) -> Snapshot:
        found = [item for item in self.objects[self.target.kind].values() if _named(item, self.target.name)]
        if not found:
            raise NotFound(f"{self.target.kind.lower()} {self.target.name} in {self.target.namespace} was deleted")
        workload, now_s = found[0], anyio.current_time()
        owned = [item for item in self.objects.get("ReplicaSet", {}).values() if is_owned_by(item, workload)]
        pods = list(self.objects["Pod"].values())
        self.waiting = first_seen_waiting([*pods, *owned], self.waiting, now_s)
        waited_s = {key: now_s - since_s for key, since_s in self.waiting.items()}
        warnings = list(self.objects.get("Event", {}).values())
        missed = self.target.missed_before
        return Snapshot(self.target.kind, workload, owned, pods, waited_s, self.grace_s, missed, warnings)

    def judged(self, trouble: KlepaasError | None) -> Followed:
        """What is seen now, and for how long it has been complete."""
        snapshot = self.snapshot()
        verdict = decide(snapshot)
        healthy_s = self.hold.observe(snapshot, verdict)
        settled = verdict.done and (healthy_s >= self.hold.needed_s or not verdict.counts.desired)
        return Followed(snapshot, verdict, trouble, healthy_s, settled)

    @property
    def is_pending(self) -> bool:
        """Whether a pod waits for a node, a volume or its images."""
        return any(at(pod, "status", "phase") == "Pending" for pod in self.objects.get("Pod", {}).values())

    def next_look_s(self) -> float | None:
        """Seconds until the time alone changes the decision or what is told of it. None: only an event can."""
        now_s = anyio.current_time()
        left = [since_s + self.grace_s + 0.01 - now_s for since_s in self.waiting.values()]
        if self.hold.since_s is not None:
            left.append(self.hold.since_s + self.hold.needed_s + 0.01 - now_s)
            left.append(_TELL_EVERY_S)
        return min((rest_s for rest_s in left if rest_s > 0), default=None)


def _named(item: Object, name: str) -> bool:
    return bool(at(item, "metadata", "name") == name)


async def look(cluster: Cluster, target: Target, grace_s: float = 0.0, seen: Object | None = None) -> Snapshot:
    """The workload, its ReplicaSets and its pods as they are now.

    Args:
        cluster: Where the workload is.
        target: The workload.
        grace_s: Seconds without a node after which a pod counts as unschedulable.
        seen: The workload as it was read for the same answer. None: it is read.

    Raises:
        NotFound: The workload is gone.
    """
    follower = Follower(cluster, target, grace_s)
    await follower.load(seen)
    return (await follower.load_events()).snapshot


async def follow(
    cluster: Cluster,
    target: Target,
    *,
    wait_s: float,
    grace_s: float,
    report: Report,
    hold: Hold | None = None,
    seen: Object | None = None,
    patience: Patience | None = None,
) -> Followed:
    """Watch until the rollout has settled, has failed for a decisive cause, or the time is over.

    Args:
        cluster: Where the workload is.
        target: The workload.
        wait_s: Longest wait, in seconds; 0 looks once.
        grace_s: Seconds without a node after which a pod counts as unschedulable.
        report: Called with pods ready, pods wanted and a message whenever these change.
        hold: How long it must have been complete, without a restart, to have settled. None: no time at all.
        seen: The workload as it was a moment ago, which is watched from there on. None: it is read.
        patience: Waits for the end of outages, whose time does not count. None: it does.

    Raises:
        NotFound: The workload was deleted meanwhile.
        KlepaasError: Not even the first look was possible.
    """
    follower = Follower(fresh(cluster), target, grace_s, hold)
    try:
        # What has to stay as it is for a while is watched for longer than what was seen is old.
        await follower.load(seen if wait_s > 0 and follower.hold.needed_s else None)
        if wait_s > 0:
            await follower.watch_for(wait_s, report, patience)
        else:
            await follower.load_events()
    finally:
        # Time has passed, and the cluster with it.
        forget_looks(cluster)
    return follower.last


class _Announcer:
    """Tells the caller about progress, each state once."""

    def __init__(self, report: Report, hold: Hold) -> None:
        self._report = report
        self._hold = hold
        self._told = ""

    async def tell(self, followed: Followed) -> None:
        await self._hold.keep()
        verdict, cause = followed.verdict, followed.verdict.cause
        ill = cause is not None and cause.reason != "not ready"
        text = f"{verdict.progress}; {cause.text}" if cause and ill else verdict.progress
        if verdict.done and not followed.settled:
            text += f"; {_held(followed)} of {self._hold.needed_s:g} s"
        if text != self._told:
            self._told = text
            await self._report(float(verdict.recent), float(verdict.counts.desired), text)


def _held(followed: Followed) -> str:
    """For how long it has been complete, as what was watched shows."""
    pods = len(followed.snapshot.pods)
    seen = Seen(observed=(f"{followed.snapshot.subject}, {pods} pods, for {followed.healthy_s:.0f} s",))
    return f"{seen.render(Claim.HEALTHY)} for {followed.healthy_s:.0f}"


class Follower:
    """What is known of one workload, and the watches that keep it up to date.

    Args:
        cluster: Where the workload is; it remembers nothing.
        target: The workload.
        grace_s: Seconds without a node after which a pod counts as unschedulable.
        hold: How long it must have been complete, without a restart, to have settled. None: no time at all.
    """

    def __init__(self, cluster: Cluster, target: Target, grace_s: float, hold: Hold | None = None) -> None:
        self._cluster = cluster
        self.hold = hold or Hold()
        self._seen = _Seen(target, grace_s, self.hold)
        self._queries: Sequence[_Query] = _queries(target)
        self._last: Followed | None = None

    @property
    def last(self) -> Followed:
        """What was seen last; there is something after the first `load`."""
        assert self._last is not None  # noqa: S101 - load() comes first
        return self._last

    async def load(self, seen: Object | None = None) -> Followed:
        """See everything anew but the events.

        Args:
            seen: The workload, which need not be read. None: it is read.
        """
        kind = self._seen.target.kind
        queries = [one for one in self._queries if one.required and (seen is None or one.kind != kind)]
        if seen is not None:
            self._seen.objects[kind] = {uid(seen): seen}
            self._seen.versions[kind] = str(at(seen, "metadata", "resourceVersion"))
        await together(*(partial(self._load_one, query) for query in queries))
        self._seen.objects.pop("Event", None)
        self._judge()
        return self.last

    async def load_events(self) -> Followed:
        """See the events also, where a pod is pending: they tell why it stays so."""
        if self._seen.is_pending:
            await together(*(partial(self._load_one, query) for query in self._queries if not query.required))
            self._judge()
        return self.last

    async def _load_one(self, query: "_Query") -> None:
        resource = await self._cluster.resource(query.resource)
        try:
            listed = await self._cluster.list(
                resource,
                self._seen.target.namespace,
                label_selector=query.label_selector,
                field_selector=query.field_selector,
            )
        except Forbidden:
            if query.required:
                raise
            # Warnings only make the decision earlier.
            self._queries = [other for other in self._queries if other.required]
            return
        self._seen.objects[query.kind] = {uid(item): item for item in items(listed)}
        self._seen.versions[query.kind] = str(at(listed, "metadata", "resourceVersion") or "")

    def _judge(self, trouble: KlepaasError | None = None) -> None:
        self._last = self._seen.judged(trouble)

    async def watch_for(self, wait_s: float, report: Report, patience: Patience | None = None) -> None:
        """Watch until it has settled or failed, or the time is over; `last` says how it is then.

        Args:
            wait_s: Longest wait, in seconds.
            report: Takes progress.
            patience: Waits for the end of outages, whose time does not count. None: it does.

        Raises:
            NotFound: The workload was deleted.
        """
        with anyio.move_on_after(wait_s) as limit:
            await self.run(_Announcer(report, self.hold), limit, patience)

    async def run(self, announcer: _Announcer, limit: anyio.CancelScope, patience: Patience | None = None) -> None:
        """Judge each change until one decides, or until the cluster does not let us look.

        Where watching alone is not allowed, looking again in short steps does.

        Args:
            announcer: Takes progress.
            limit: The time that there is.
            patience: Waits for the end of outages, whose time does not count. None: it does.
        """
        loaded, looking = True, False
        while not self._decided():
            try:
                if not loaded:
                    looking = True
                    await self.load()
                loaded = looking = False
                await self._watch(announcer)
            except NotFound:
                raise
            except KlepaasError as exc:
                self._last = replace(self.last, trouble=exc)
                if looking and patience is not None and is_outage(exc):
                    await self._sit_out(exc, limit, patience)
                    continue
                if not exc.retryable and looking:
                    return
                await anyio.sleep(_RETRY_S if exc.retryable else _LOOK_AGAIN_S)

    async def _sit_out(self, error: KlepaasError, limit: anyio.CancelScope, patience: Patience) -> None:
        """Wait until it can be looked at again; what was complete may not have been so all the time."""
        began_s, limit_s = anyio.current_time(), limit.deadline
        limit.deadline = math.inf
        is_over = False
        while not is_over:
            await patience.wait(error)
            try:
                await self.load()
                is_over = True
            except NotFound:
                raise
            except KlepaasError as exc:
                if not is_outage(exc):
                    raise
                error = exc
        await patience.go_on()
        limit.deadline = limit_s + anyio.current_time() - began_s

    def _decided(self) -> bool:
        return self.last.settled or self.last.verdict.failed

    async def _watch(self, announcer: _Announcer) -> None:
        """Watch until a decision, or until one of the watches ends; an error that ended it is raised."""
        send, receive = anyio.create_memory_object_stream[_Event](100)
        async with anyio.create_task_group() as group, send, receive:
            for query in self._queries:
                group.start_soon(self._pump, query, send)
            # An error raised in here would leave inside an exception group.
            ended = await self._consume(receive, announcer)
            group.cancel_scope.cancel()
        if ended is not None:
            raise ended

    async def _consume(self, events: "MemoryObjectReceiveStream[_Event]", announcer: _Announcer) -> KlepaasError | None:
        try:
            while True:
                self._judge()
                await announcer.tell(self.last)
                if self._decided():
                    return None
                with anyio.move_on_after(self._seen.next_look_s()):
                    kind, event = await events.receive()
                    if not isinstance(event, WatchEvent):
                        return event
                    self._seen.take(kind, event)
        except KlepaasError as exc:
            return exc

    async def _pump(self, query: "_Query", send: "MemoryObjectSendStream[_Event]") -> None:
        """Pass on what one watch sees, and at its end why it ended; None: it just did."""
        ended: KlepaasError | None = None
        try:
            if not query.required:
                await self._until_pending()
                await self._load_one(query)
                for item in self._seen.objects.get(query.kind, {}).values():
                    await send.send((query.kind, WatchEvent("ADDED", item)))
                if query not in self._queries:
                    return
            resource = await self._cluster.resource(query.resource)
            async with self._cluster.watch(
                resource,
                self._seen.target.namespace,
                label_selector=query.label_selector,
                field_selector=query.field_selector,
                resource_version=self._seen.versions[query.kind],
            ) as events:
                async for event in events:
                    await send.send((query.kind, event))
        except Expired:
            pass
        except KlepaasError as exc:
            if not query.required and not exc.retryable:
                return
            ended = exc
        await send.send((query.kind, ended))

    async def _until_pending(self) -> None:
        """Wait until a pod has been pending for some time; what was seen tells, so nothing is asked."""
        while True:
            await anyio.sleep(PENDING_S)
            if self._seen.is_pending:
                return


_Event = tuple[str, WatchEvent | KlepaasError | None]


@dataclass(frozen=True)
class _Query:
    """What to list and watch."""

    kind: str
    resource: str
    label_selector: str | None = None
    field_selector: str | None = None
    required: bool = True


def _queries(target: Target) -> list[_Query]:
    plural = f"{target.kind.lower()}s.apps"
    found = [
        _Query(target.kind, plural, field_selector=f"metadata.name={target.name}"),
        _Query("Pod", "pods", label_selector=target.selector),
        _Query("Event", "events", field_selector="involvedObject.kind=Pod,type=Warning", required=False),
    ]
    if target.kind == "Deployment":
        found.append(_Query("ReplicaSet", "replicasets.apps", label_selector=target.selector))
    return found
