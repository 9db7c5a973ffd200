"""klepaas before a cluster that is in trouble from a chosen moment on, with a clock that is turned by hand."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from anyio._core._eventloop import get_async_backend
from fastmcp import Client
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.operations import Operation, Operations
from klepaas.portability.sockets import listening_socket
from klepaas.settings import Mode, Settings
from klepaas.way_out import ids_of
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.sandbox.webhooks import Webhook

from .cases import Case, Stage
from .turning import Turning

__all__ = ["Answer", "World", "open_world"]

# The pods of an image with this in its name take their time.
SLOW = "-slow"
_SLOW_READY_S = 6.0
_CUT_S, _TURNS = 0.004, 3
_NO_ANSWER_S, _LONG_S = 3600.0, 600.0


@dataclass(frozen=True)
class Answer:
    """What a tool answered."""

    text: str
    is_error: bool
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass
class Watcher:
    """Sees every request of one case as it arrives, and says when its moment has come."""

    namespace: str
    stage: Stage
    writes: int
    begin: Callable[[], None]
    written: list[str] = field(default_factory=list)
    has_begun: bool = False

    def start(self) -> None:
        """The fault begins."""
        self.has_begun = True
        self.begin()

    def see(self, method: str, url: str) -> None:
        """A request has arrived, and has met nothing yet.

        Args:
            method: Its method.
            url: Its path and query.
        """
        path, _, query = url.partition("?")
        if f"/namespaces/{self.namespace}/" not in path:
            return
        is_record = method in ("POST", "PATCH", "PUT") and re.search(r"/(secrets|configmaps)(/klepaas[^/]*)?$", path)
        is_write = method != "GET" and "dryRun" not in query and not re.search(r"reviews$", path)
        is_own = bool(is_write and not is_record and re.search(r"/(deployments|services|configmaps)/[^/]+$", path))
        if not self.has_begun and self._is_due(is_own=is_own, is_record=bool(is_record and is_write)):
            self.start()
        if is_own:
            self.written.append(path)

    def _is_due(self, *, is_own: bool, is_record: bool) -> bool:
        count = len(self.written)
        if self.stage is Stage.FIRST_WRITE:
            return is_own
        if self.stage in (Stage.BETWEEN, Stage.GOING_BACK):
            return is_own and count >= 1
        if self.stage is Stage.RECORD:
            return is_record and count >= self.writes
        return self.stage is Stage.LAST_WRITE and not is_own and count >= self.writes


@dataclass
class World:
    """klepaas, its cluster, and the clock."""

    sandbox: Sandbox
    client: Client[Any]
    operations: Operations
    clock: Turning
    seen: int = 0
    threads: int = 0
    is_unattended: bool = False
    watcher: Watcher | None = None
    _is_refusing: bool = False

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool; the time turns where it waits for long."""
        result: list[Answer] = []

        async def ask() -> None:
            found = await self.client.call_tool(tool, arguments, raise_on_error=False)
            block = found.content[0]
            assert isinstance(block, TextContent)
            result.append(Answer(block.text, found.is_error, ids_of(found.meta) or {}))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            for step_s in (0, 0, 0, *_steps(_NO_ANSWER_S)):
                if result:
                    break
                await self.turn(step_s)
            group.cancel_scope.cancel()
        return result[0] if result else Answer("no answer within an hour", True, {"code": "none"})

    async def turn(self, seconds: float) -> None:
        """So much time passes, and everybody does what is due."""
        self.clock.turn(seconds)
        await self.settle()

    async def pass_time(self, seconds: float) -> None:
        """So much time passes, in steps that grow."""
        for step_s in _steps(seconds):
            await self.turn(step_s)

    async def settle(self) -> None:
        """Wait until nobody asks the cluster anything and no thread works any more."""
        quiet, before = 0, -1
        while quiet < _TURNS:
            await asyncio.sleep(_CUT_S)
            is_busy = self.seen != before or self.threads > 0
            quiet, before = (0 if is_busy else quiet + 1), self.seen

    # Faults.

    def begin_fault(self, case: Case, namespace: str) -> None:
        """Whatever the case's fault is, from now on."""
        fault, anything = case.fault, r"^/"
        match fault.kind:
            case "cut":
                self.sandbox.halve(anything)
            case "refused":
                self._refuse()
            case "slow":
                self.sandbox.slow(anything, 45.0)
            case "answer":
                self.sandbox.fail("*", anything, fault.code, reason=fault.reason, message=fault.message)
            case "writes":
                path = rf"^(?!.*dryRun).*/{namespace}/(deployments|services)/"
                self.sandbox.fail("PATCH", path, fault.code, reason=fault.reason, message=fault.message)
            case "webhook":
                for resource in ("deployments", "services"):
                    self.sandbox.add_webhook(_webhook(case, resource))
            case "killed":
                self._kill()
            case "clock":
                self.clock.set_wall(case.duration_s if fault.name == "clock-forward" else -case.duration_s)

    async def last(self, case: Case) -> None:
        """The fault lasts as long as the case says."""
        if case.fault.kind == "asleep":
            await self.turn(case.duration_s)
        elif case.fault.kind != "clock":
            await self.pass_time(case.duration_s)

    async def end_fault(self) -> None:
        """All is well again."""
        self.sandbox.clear_faults()
        self.is_unattended = False
        if self._is_refusing:
            self._is_refusing = False
            self.sandbox._listener = listener = listening_socket("127.0.0.1", self.sandbox._port)
            await self.sandbox._server.startup(sockets=[listener])

    def _refuse(self) -> None:
        self._is_refusing = True
        for server in self.sandbox._server.servers:
            server.close()
        self.sandbox._listener.close()
        for connection in list(self.sandbox._server.server_state.connections):
            connection.transport.abort()

    def _kill(self) -> None:
        """The process is gone without a word; none comes until the fault ends."""
        self.is_unattended = True
        runner = self.operations._runner
        assert runner is not None
        for task in runner._tasks.values():
            task.cancel()

    async def operation(self, operation_id: str) -> Operation:
        """An operation."""
        return await self.operations.get(operation_id, None)


def _webhook(case: Case, resource: str) -> Webhook:
    if case.fault.code:
        return Webhook(
            resource=resource, denies=True, code=case.fault.code, message="not today", lets_dry_runs_through=True
        )
    failure = "dial tcp 10.0.0.9:443: connect: connection refused"
    return Webhook(resource=resource, failure=failure, lets_dry_runs_through=True)


def _steps(seconds: float) -> list[float]:
    """The same time in steps that grow, so that hours take few of them; the last minute passes in small ones.

    What had a limit ran into it when hours passed at once. It has to try again before the time is over, as it would.
    """
    end = [40.0, 10.0, 5.0, 2.0, 1.0] if seconds > _LONG_S else []
    found, step_s, rest_s = list[float](), 1.0, seconds - sum(end)
    while rest_s > 0:
        found.append(min(step_s, rest_s))
        rest_s -= step_s
        step_s *= 2
    return found + end


async def _confirm(*_: Any) -> dict[str, bool]:
    return {"confirm": True}


@asynccontextmanager
async def open_world(folder: Path, monkeypatch: Any) -> AsyncIterator[World]:
    """A cluster, klepaas in front of it, and the clock of both."""
    clock = Turning()
    timing = replace(Timing.instant(), deadline_scale=1.0, autoscaler_s=1e9, slow_ready_s=_SLOW_READY_S)
    with clock.installed():
        async with Sandbox(timing, nodes=4) as sandbox:
            monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(folder / "kubeconfig")))
            monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "10")
            app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder / "state"))
            async with Client(app.server, timeout=1e6, elicitation_handler=_confirm) as client:
                world = World(sandbox, client, Operations.of(app.host), clock)
                _observe(world, monkeypatch)
                yield world


def _observe(world: World, monkeypatch: Any) -> None:
    """See every request before it meets a fault; and let nobody look for operations where the process is gone."""
    strike = world.sandbox._faults.strike

    def see(method: str, url: str) -> Any:
        world.seen += 1
        if world.watcher is not None:
            world.watcher.see(method, url)
        return strike(method, url)

    backend = get_async_backend()
    run_sync = backend.run_sync_in_worker_thread

    async def count_threads(_cls: Any, *args: Any, **more: Any) -> Any:
        world.threads += 1
        try:
            return await run_sync(*args, **more)
        finally:
            world.threads -= 1

    monkeypatch.setattr(backend, "run_sync_in_worker_thread", classmethod(count_threads))
    monkeypatch.setattr(world.sandbox._faults, "strike", see)
    from klepaas.operations import runner

    look, release = runner.Runner.look, runner._release

    async def look_if_there(self: Any) -> float:
        return 1.0 if world.is_unattended else await look(self)

    async def release_if_there(holding: Any) -> None:
        if not world.is_unattended:
            await release(holding)

    monkeypatch.setattr(runner.Runner, "look", look_if_there)
    monkeypatch.setattr(runner, "_release", release_if_there)
