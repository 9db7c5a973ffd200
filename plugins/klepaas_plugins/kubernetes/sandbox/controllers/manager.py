"""One task that runs every controller: woken by changes and by the next moment something is due."""

from __future__ import annotations

import heapq
import time

import anyio
import anyio.lowlevel

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.objects import Objects
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Controller
from .deployments import DeploymentController
from .endpoints import EndpointController
from .garbage import GarbageCollector
from .housekeeping import BudgetController, ClaimController, DefinitionController, QuotaController
from .jobs import JobController
from .kubelet import Kubelet
from .namespaces import NamespaceController
from .replica_sets import ReplicaSetController
from .scheduler import Scheduler
from .stateful_sets import StatefulSetController

_Work = tuple[int, str, str]
_BATCH = 20


class ControllerManager:
    """The work queue of all controllers."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        kinds = (
            DeploymentController, ReplicaSetController, StatefulSetController, JobController, Scheduler, Kubelet,
            EndpointController, GarbageCollector, NamespaceController, QuotaController, BudgetController,
            ClaimController, DefinitionController,
        )  # fmt: skip
        self._controllers: list[Controller] = [kind(objects, recorder) for kind in kinds]
        self._queue: dict[_Work, None] = {}
        self._timers: list[tuple[float, _Work]] = []
        self._due: dict[_Work, float] = {}
        self._wake = anyio.Event()
        objects.store.listen(self._changed)

    def _changed(self, change: Change) -> None:
        for index, controller in enumerate(self._controllers):
            for namespace, name in controller.concerns(change):
                self._queue[index, namespace, name] = None
        if self._queue:
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        done = 0
        while True:
            self._take_due()
            if not self._queue:
                await self._wait()
                continue
            work = next(iter(self._queue))
            del self._queue[work]
            again_s = self._controllers[work[0]].reconcile(work[1], work[2])
            self._schedule(work, again_s)
            done += 1
            if done % _BATCH == 0:
                await anyio.lowlevel.checkpoint()

    def _schedule(self, work: _Work, again_s: float | None) -> None:
        if again_s is None:
            self._due.pop(work, None)
        elif self._due.get(work) != again_s:
            self._due[work] = again_s
            heapq.heappush(self._timers, (again_s, work))

    def _take_due(self) -> None:
        now_s = time.time()
        while self._timers and self._timers[0][0] <= now_s:
            at_s, work = heapq.heappop(self._timers)
            if self._due.get(work) == at_s:
                del self._due[work]
                self._queue[work] = None

    async def _wait(self) -> None:
        self._wake = anyio.Event()
        if not self._timers:
            await self._wake.wait()
            return
        with anyio.move_on_after(max(self._timers[0][0] - time.time(), 0)):
            await self._wake.wait()
