"""One task that runs every controller: woken by changes and by the next moment something is due."""

from __future__ import annotations

import heapq
import logging
import time

import anyio
import anyio.lowlevel

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.metrics import Metrics
from klepaas_plugins.kubernetes.sandbox.objects import Objects
from klepaas_plugins.kubernetes.sandbox.status import ApiError
from klepaas_plugins.kubernetes.sandbox.store import Change

from .autoscalers import AutoscalerController
from .base import Controller
from .daemon_sets import DaemonSetController
from .deployments import DeploymentController
from .endpoints import EndpointController
from .garbage import GarbageCollector
from .housekeeping import BudgetController, DefinitionController, QuotaController
from .jobs import JobController
from .kubelet import Kubelet
from .namespaces import NamespaceController
from .replica_sets import ReplicaSetController
from .scheduler import Scheduler
from .stateful_sets import StatefulSetController
from .volumes import ClaimController

_Work = tuple[int, str, str]
_BATCH = 20
_FIRST_RETRY_S = 0.005
_LAST_RETRY_S = 60.0
_log = logging.getLogger(__name__)


class ControllerManager:
    """The work queue of all controllers."""

    def __init__(self, objects: Objects, recorder: Recorder, metrics: Metrics) -> None:
        kinds = (
            DeploymentController, ReplicaSetController, StatefulSetController, JobController, Scheduler, Kubelet,
            EndpointController, GarbageCollector, NamespaceController, QuotaController, BudgetController,
            ClaimController, DefinitionController, DaemonSetController,
        )  # fmt: skip
        self._controllers: list[Controller] = [kind(objects, recorder) for kind in kinds]
        self._controllers.append(AutoscalerController(objects, recorder, metrics))
        self._queue: dict[_Work, None] = {}
        self._timers: list[tuple[float, _Work]] = []
        self._due: dict[_Work, float] = {}
        self._failures: dict[_Work, int] = {}
        self._wake = anyio.Event()
        objects.store.listen(self._changed)

    def _changed(self, change: Change) -> None:
        for index, controller in enumerate(self._controllers):
            try:
                keys = list(controller.concerns(change))
            except Exception:  # noqa: BLE001 - what a watch is told must not fail a write
                _log.exception("a controller of the sandbox failed at a change: %s", type(controller).__name__)
                continue
            for namespace, name in keys:
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
            self._schedule(work, self._reconcile(work))
            done += 1
            if done % _BATCH == 0:
                await anyio.lowlevel.checkpoint()

    def _reconcile(self, work: _Work) -> float | None:
        """One controller's look at one object; when it fails, the next look is later each time.

        A controller may meet an object that passed validation and that it cannot make sense of. That must not end the
        others, as it does not on a cluster.
        """
        index, namespace, name = work
        try:
            again_s: float | None = self._controllers[index].reconcile(namespace, name)
        except Exception as error:  # noqa: BLE001 - see above
            self._failures[work] = failures = self._failures.get(work, 0) + 1
            # An answer of the API, such as a conflict or a refusal by quota, is no fault of the controller.
            level = logging.DEBUG if isinstance(error, ApiError) else logging.ERROR
            what = type(self._controllers[index]).__name__
            _log.log(level, "%s of the sandbox failed at %s/%s", what, namespace, name, exc_info=True)
            delay_s = min(_FIRST_RETRY_S * float(2 ** min(failures, 16)), _LAST_RETRY_S)
            return time.time() + delay_s
        self._failures.pop(work, None)
        return again_s

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
