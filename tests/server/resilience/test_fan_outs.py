"""Calls side by side: which error comes back, whom it cancels, and that all of the product goes through one helper."""

import ast
from pathlib import Path

import anyio
import pytest

from klepaas.errors import CircuitOpen, NotFound, Unavailable
from klepaas.resilience import Overloaded, Policy, State, Upstream, gather
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
PRODUCT = ("server", "plugins", "providers", "agents")
_STARTS = {"create_task_group", "TaskGroup", "gather", "as_completed"}
# Task groups that ask no upstream side by side: what each is for. A new one needs a reason.
OTHER_GROUPS = {
    "server/klepaas/resilience/fan_out.py": "the helper itself",
    "server/klepaas/actions.py": "serves until a signal",
    "server/klepaas/announcements.py": "tells clients of changes",
    "server/klepaas/external/child.py": "reads the streams of a process",
    "server/klepaas/external/connection.py": "waits for the first of two events",
    "server/klepaas/external/guarded.py": "keeps one connection up",
    "server/klepaas/http/server.py": "serves until a signal",
    "server/klepaas/notifications.py": "delivers in the background",
    "server/klepaas/progress.py": "reports progress beside one call",
    "server/klepaas/protocol/end_of_input.py": "reads the client's input",
    "server/klepaas/protocol/versions.py": "serves one client",
    "plugins/klepaas_plugins/alertmanager/receiver.py": "stores alerts while a client waits",
    "plugins/klepaas_plugins/deployments/watching.py": "watches one rollout",
    "plugins/klepaas_plugins/kubernetes/client/exec_plugins.py": "reads the streams of a process",
    "plugins/klepaas_plugins/kubernetes/demo.py": "runs the sandbox of the demonstration",
    "plugins/klepaas_plugins/kubernetes/sandbox/server.py": "runs the sandbox",
    "plugins/klepaas_plugins/kubernetes/sandbox/stand_in_kubelet.py": "runs a stand-in of a kubelet",
}


def _groups() -> set[str]:
    """The files of the product that start tasks."""
    found = set()
    for path in sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STARTS:
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id in ("anyio", "asyncio"):
                    found.add(path.relative_to(ROOT).as_posix())
    return found


def test_every_fan_out_of_the_product_goes_through_the_one_helper() -> None:
    assert _groups() - OTHER_GROUPS.keys() == set(), "use klepaas.resilience.gather"
    assert OTHER_GROUPS.keys() - _groups() == set(), "has no task group any more"


async def test_results_come_in_the_order_of_the_calls() -> None:
    first_may = anyio.Event()

    async def first() -> int:
        await first_may.wait()
        return 1

    async def second() -> int:
        first_may.set()
        return 2

    assert await gather(first, second) == [1, 2]
    assert await gather() == []


async def test_no_more_calls_run_at_once_than_asked_for() -> None:
    running, most = 0, 0

    async def call() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1

    await gather(*[call] * 9, at_once=3)
    assert most == 3


@pytest.mark.parametrize("refusal", [CircuitOpen("left alone"), Overloaded("too many calls")])
async def test_a_refused_sibling_cancels_nobody_and_is_told_in_the_end(refusal: Exception) -> None:
    ended = []

    async def slow() -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        ended.append("slow")

    async def refused() -> None:
        raise refusal

    with pytest.raises(type(refusal)):
        await gather(refused, slow)
    assert ended == ["slow"]


async def test_a_sibling_that_fails_cancels_the_others_and_comes_before_a_refusal() -> None:
    async def refused() -> None:
        raise CircuitOpen("left alone")

    async def fails() -> None:
        raise NotFound("there is no pod web")

    with pytest.raises(NotFound):
        await gather(refused, anyio.sleep_forever, fails)


async def test_a_group_with_a_refused_call_closes_the_breaker_all_the_same(clock: FakeClock) -> None:
    upstream = Upstream("kubernetes/prod", Policy(probe_wait_s=1, attempts=1), clock=clock)
    up = anyio.Event()

    async def fails() -> None:
        raise Unavailable("down")

    async def works() -> str:
        await up.wait()
        return "pods"

    async def read() -> object:
        return await upstream.call(works, safe=True, what="list pods")

    async def waits_in_vain() -> None:
        with pytest.raises(CircuitOpen):
            await gather(read, read, read)

    for _ in range(5):
        with pytest.raises(Unavailable):
            await upstream.call(fails, safe=True, what="list pods")
    clock.advance(30)
    async with anyio.create_task_group() as group:
        group.start_soon(waits_in_vain)
        await clock.run(2)
        up.set()
    assert upstream.snapshot().state is State.CLOSED
