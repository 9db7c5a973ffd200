"""The rollouts of a change, each followed by watches: what is known of them costs requests once, not with each look."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from klepaas.errors import NotFound
from klepaas_plugins.deployments.executor.intent import Intent, ObjectKey
from klepaas_plugins.deployments.executor.observed import ObjectSeen, Presence, RolloutSeen
from klepaas_plugins.deployments.executor.progress import hold_s, rollout_of
from klepaas_plugins.deployments.hold import Hold
from klepaas_plugins.deployments.objects import Object, at, uid
from klepaas_plugins.deployments.verifying import hold_record
from klepaas_plugins.deployments.watching import Followed, Follower, Target
from klepaas_plugins.kubernetes.client import Cluster, fresh

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Rollouts"]

# Where a watch has nothing to wait for although nothing is decided, looking again may wait so long.
_PAUSE_S = 0.5


@dataclass
class Rollouts:
    """The workloads of one change.

    Attributes:
        cluster: Where they are.
        run: Keeps for how long each has been complete, for the next process.
        grace_s: Seconds without a node after which that is decisive.
        hold_s: How long each has to stay complete, in seconds. None: what its probe says.
    """

    cluster: Cluster
    run: "Run"
    grace_s: float
    hold_s: float | None
    _followers: dict[ObjectKey, Follower] = field(default_factory=dict)

    async def look(self, intent: Intent, seen: ObjectSeen, cluster_s: float) -> RolloutSeen:
        """How far a workload is.

        Args:
            intent: The operation.
            seen: The workload, which is live.
            cluster_s: The cluster's time, in seconds since 1970.

        Raises:
            KlepaasError: Its ReplicaSets or pods cannot be listed.
        """
        live = seen.live or {}
        follower = self._followers.get(seen.key)
        if follower is None or uid(follower.last.snapshot.workload) != seen.uid:
            follower = await self._follow(intent, seen.key, live)
        elif at(follower.last.snapshot.workload, "metadata", "resourceVersion") != at(
            live, "metadata", "resourceVersion"
        ):
            await follower.load(live)
        followed = follower.last
        rollout = rollout_of(
            seen.key,
            followed.snapshot,
            cluster_s=cluster_s,
            grace_s=self.grace_s,
            missed_before=_missed(intent, seen.key),
            hold_wish_s=intent.hold_s,
        )
        # A clock of the cluster that differs from ours must not shorten it.
        return replace(rollout, held_s=followed.healthy_s)

    async def _follow(self, intent: Intent, key: ObjectKey, live: Object) -> Follower:
        target = replace(Target.of(key.kind, live), missed_before=_missed(intent, key))
        needed_s = hold_s(live) if self.hold_s is None else self.hold_s
        hold = Hold(needed_s, hold_record(self.run, f"{key.kind}/{key.name}"))
        follower = Follower(fresh(self.cluster), target, self.grace_s, hold)
        await follower.load(live)
        self._followers[key] = follower
        return follower

    def followed(self, key: ObjectKey) -> Followed | None:
        """How a workload was seen last. None: it was not.

        Args:
            key: The workload.
        """
        follower = self._followers.get(key)
        return None if follower is None else follower.last

    async def wait(self, key: ObjectKey, wait_s: float) -> bool:
        """Watch a workload until something is decided, or the time is over.

        Args:
            key: The workload.
            wait_s: Longest wait, in seconds.

        Returns:
            Whether what is known of it is true to the moment.
        """
        follower = self._followers.get(key)
        if follower is None:
            await anyio.sleep(min(_PAUSE_S, wait_s))
            return False
        if follower.last.settled or follower.last.verdict.failed:
            await anyio.sleep(min(_PAUSE_S, wait_s))
            self.forget(key)
            return False
        try:
            await follower.watch_for(wait_s, self.run.report)
        except NotFound:
            self.forget(key)
            return False
        if follower.last.trouble is not None:
            self.forget(key)
            return False
        return True

    def forget(self, key: ObjectKey | None = None) -> None:
        """Look anew next time.

        Args:
            key: At which workload. None: at all.
        """
        if key is None:
            self._followers.clear()
        else:
            self._followers.pop(key, None)

    def at_hand(self) -> dict[ObjectKey, ObjectSeen]:
        """The workloads as the watches know them at this moment."""
        return {key: _seen(key, follower.last.snapshot.workload) for key, follower in self._followers.items()}


def _seen(key: ObjectKey, workload: Object) -> ObjectSeen:
    live = {**workload, "kind": key.kind, "apiVersion": key.api_version}
    return ObjectSeen(key=key, presence=Presence.LIVE, uid=uid(workload), live=live)


def _missed(intent: Intent, key: ObjectKey) -> str | None:
    return intent.missed_deadlines.get(f"{key.kind}/{key.name}")
