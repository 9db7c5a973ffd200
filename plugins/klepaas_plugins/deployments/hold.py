"""For how long a rollout has been complete, also when the process that watches it changes.

A process that leaves must not make the next one wait from the beginning: clients that start a process for each call
would never see the end. So what is complete is put on record with its moment and with what identifies it: the
workload's generation, and of each pod its uid, its restarts and when it became ready. A process that finds exactly the
same knows that nothing has restarted or failed its readiness since, although nobody was watching.
"""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from klepaas_plugins.deployments.objects import Object, at, uid
from klepaas_plugins.deployments.rollout import Snapshot, Verdict, current_pods

__all__ = ["Hold", "Record"]

# Takes what is to be kept for the next process: what was complete, and since when.
Keep = Callable[[Mapping[str, Any]], Awaitable[None]]


async def _keep_nothing(_fact: Mapping[str, Any]) -> None:
    """Where nobody goes on."""


@dataclass(frozen=True)
class Record:
    """What outlives a process.

    Attributes:
        before: What an earlier process kept. None: nothing.
        keep: Keeps it for the next one.
    """

    before: Mapping[str, Any] | None = None
    keep: Keep = _keep_nothing


@dataclass
class Hold:
    """How long one rollout has been complete.

    Attributes:
        needed_s: How long it has to be, in seconds.
        record: What outlives this process.
    """

    needed_s: float = 0.0
    record: Record = field(default_factory=Record)
    since_s: float | None = None
    _restarts: int = 0
    _known: str = ""
    _kept: str = ""

    def observe(self, snapshot: Snapshot, verdict: Verdict) -> float:
        """Take in what is seen now; a restart of a container begins the time anew.

        Returns:
            For how long it has been complete, in seconds.
        """
        now_s = anyio.current_time()
        restarts = sum(_restarts(pod) for pod in current_pods(snapshot))
        if not verdict.done:
            self.since_s, self._known = None, ""
        else:
            self._known = _fingerprint(snapshot)
            if self.since_s is None:
                self.since_s = now_s - self._before_s()
            elif restarts > self._restarts:
                self.since_s = now_s
        self._restarts = restarts
        return 0.0 if self.since_s is None else now_s - self.since_s

    def _before_s(self) -> float:
        """For how long an earlier process knew the very same, in seconds; 0 where it did not."""
        before = self.record.before
        if not before or self._kept or before.get("what") != self._known:
            return 0.0
        return float(max(0.0, time.time() - before["since"]))

    async def keep(self) -> None:
        """Keep what is complete, where it is other than what was kept."""
        if self.since_s is None or self._known == self._kept:
            return
        self._kept = self._known
        since = time.time() - (anyio.current_time() - self.since_s)
        await self.record.keep({"what": self._known, "since": since})


def _restarts(pod: Object) -> int:
    return sum(int(status.get("restartCount") or 0) for status in at(pod, "status", "containerStatuses") or ())


def _fingerprint(snapshot: Snapshot) -> str:
    pods = sorted([uid(pod), _restarts(pod), _ready_since(pod)] for pod in current_pods(snapshot))
    seen = [uid(snapshot.workload), at(snapshot.workload, "metadata", "generation"), pods]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:32]


def _ready_since(pod: Object) -> str:
    conditions = at(pod, "status", "conditions") or ()
    return next((str(one.get("lastTransitionTime")) for one in conditions if one.get("type") == "Ready"), "")
