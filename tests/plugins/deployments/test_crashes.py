"""Deployments survive `kill -9` and an API server in trouble: nothing lost, nothing twice, nothing stuck.

A klepaas over stdio is killed at a named point of its work (`klepaas.operations.failpoints`). Another one goes on: one
that ran beside it on the same store all the time, or one that is started then, in turns; and in turns the API server is
in trouble from the death on. The sandbox stands outside them. `KLEPAAS_TEST_SOAK=1` plays 200 deaths in place of 20;
`test_crashes_and_faults` plays more points than processes can be started for.
"""

import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from klepaas.app import create_app
from klepaas.operations import Operation, Operations, State
from klepaas.operations.failpoints import VARIABLE
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

IS_SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(7200 if IS_SOAK else 450))]

RESUMED_WITHIN_S = time_budget(5, "the lease of a process that was killed would be waited for twice")
AT_ONCE = 4
GOOD, NEXT, BROKEN, UNREADY = (f"example/{name}" for name in ("app:1", "app:2", "crash:3", "unready:4"))
DEPLOYMENT, SERVICE = "apply Deployment web", "apply Service web"
RECORD = "record the release"
ALONE = ("after_submit", "after_claim", "before_outcome", "after_outcome")
AFTERWARDS = (None, "fails", "hangs", "answers late")
AROUND = ("before_intent", "after_intent", "before_effect", "after_effect", "before_done", "after_done")


@dataclass(frozen=True)
class Work:
    """A change, and how it must end.

    Attributes:
        name: What it is.
        tool: The tool.
        arguments: Its arguments, without the place.
        steps: Its steps.
        state: The state that the operation ends in.
        image: What runs afterwards.
        replicas: How many pods are wanted afterwards.
        releases: How many releases there are afterwards.
    """

    name: str
    tool: str
    arguments: dict[str, Any]
    steps: tuple[str, ...]
    state: State
    image: str
    replicas: int = 2
    releases: int = 3


# Before each: GOOD is deployed, then NEXT, each with two pods and a port.
WORKS = (
    Work(
        "deploy", "deploy_application", {"image": "example/app:5", "port": 8081},
        (DEPLOYMENT, SERVICE, RECORD, "mark the release passed"), State.SUCCEEDED, "example/app:5",
    ),
    Work(
        "deploy what breaks", "deploy_application", {"image": BROKEN},
        (DEPLOYMENT, RECORD, "mark the release failed", "undo: restore Deployment web"), State.ROLLED_BACK, NEXT,
    ),
    Work(
        "rollback", "rollback_deployment", {"release": 1},
        ("roll back: restore Deployment web", RECORD, "mark the release passed"), State.SUCCEEDED, GOOD,
    ),
    Work(
        "scale", "scale_application", {"replicas": 3}, ("scale deployment web", RECORD), State.SUCCEEDED, NEXT, 3,
    ),
    Work(
        "cancel", "deploy_application", {"image": UNREADY},
        (DEPLOYMENT, "before_tidy", "mark the release failed", "undo: restore Deployment web"), State.CANCELLED, NEXT,
    ),
)  # fmt: skip


@pytest.fixture
async def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    # Slow enough for a deadline to come late, so that a cancel comes before it.
    timing = replace(Timing.instant(), deadline_scale=0.5)
    async with Sandbox(timing, nodes=4) as found:
        monkeypatch.setenv("KUBECONFIG", str(found.write_kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.setenv("KLEPAAS_K8S_READ_TIMEOUT_S", "2")
        yield found


async def _confirm(*_: Any) -> dict[str, bool]:
    """A person who confirms what takes something away: another port, for example."""
    return {"confirm": True}


@asynccontextmanager
async def _klepaas(folder: Path) -> AsyncIterator[tuple[Client[Any], Operations]]:
    """A klepaas in this process, on the store in a folder."""
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder))
    async with Client(app.server, timeout=scale_timeout(60), elicitation_handler=_confirm) as client:
        yield client, Operations.of(app.host)


@asynccontextmanager
async def _doomed(folder: Path, failpoint: str) -> AsyncIterator[Client[Any]]:
    """A klepaas in a process of its own that kills itself at a point."""
    environment = {**os.environ, "KLEPAAS_STATE_DIR": str(folder), VARIABLE: f"{failpoint}=kill"}
    command = ["-m", "klepaas", "serve", "--writes"]
    transport = StdioTransport(sys.executable, command, env=environment, keep_alive=False, log_file=folder / "log")
    client = Client(transport, timeout=scale_timeout(60), elicitation_handler=_confirm)
    await client.__aenter__()  # type: ignore[no-untyped-call]
    try:
        yield client
    finally:
        with anyio.move_on_after(scale_timeout(10), shield=True):
            try:
                await client.__aexit__(None, None, None)  # type: ignore[no-untyped-call]
            except Exception:  # noqa: BLE001 - its server has died, as it was to
                pass


async def _prepare(client: Client[Any], namespace: str) -> None:
    for image in (GOOD, NEXT):
        arguments = {"app_name": "web", "namespace": namespace, "image": image, "replicas": 2, "port": 8080}
        with anyio.fail_after(scale_timeout(60)):
            while (answer := await client.call_tool("deploy_application", arguments, raise_on_error=False)).is_error:
                # On a busy machine the cluster may not have answered in time; then nothing was begun.
                assert (answer.meta or {}).get("retryable"), answer.content
                await anyio.sleep(0.5)


async def _die(client: Client[Any], work: Work, namespace: str) -> float:
    """Begin the work where it kills its process; when that was."""
    arguments = {"app_name": "web", "namespace": namespace, "wait_s": 60, **work.arguments}
    try:
        with anyio.fail_after(scale_timeout(60)):
            if work.name == "cancel":
                begun = await client.call_tool(work.tool, {**arguments, "wait_s": 0}, raise_on_error=False)
                operation_id = (begun.meta or {})["operation_id"]
                await client.call_tool("cancel_operation", {"operation_id": operation_id, "wait_s": 60})
            else:
                await client.call_tool(work.tool, arguments, raise_on_error=False)
            await anyio.sleep_forever()
    except TimeoutError:
        raise AssertionError(f"{work.name} did not come to the point where it dies") from None
    except Exception:  # noqa: BLE001 - the connection broke in whatever way
        return time.monotonic()
    raise AssertionError("unreachable")


async def _newest(operations: Operations) -> Operation:
    return max(await operations.find(None, limit=20), key=lambda one: one.created_at)


async def _resumed(operations: Operations, began_at: float) -> tuple[Operation, float]:
    """The operation when it has ended, and how long it took to go on with it."""
    took_s: float | None = None
    with anyio.fail_after(scale_timeout(45)):
        while True:
            newest = await _newest(operations)
            if took_s is None and (newest.attempt > 1 or newest.ended):
                took_s = time.monotonic() - began_at
            if newest.ended and took_s is not None:
                return newest, took_s
            await anyio.sleep(0.05)


def _look(sandbox: Sandbox, namespace: str) -> tuple[str, int, int]:
    """The image that is wanted, the pods, and the releases that are recorded."""
    deployment = sandbox.get("Deployment", "web", namespace)
    assert deployment is not None
    spec = deployment["spec"]
    releases = [
        one for one in sandbox.list("ConfigMap", namespace) if one["metadata"]["name"].startswith("klepaas.release")
    ]
    return spec["template"]["spec"]["containers"][0]["image"], spec["replicas"], len(releases)


@dataclass(frozen=True)
class Death:
    """Where a process dies, and what comes then.

    Attributes:
        work: What it was doing.
        where: The failpoint.
        beside: Whether the server that goes on ran beside it.
        fault: What the API server does then. None: it is well.
    """

    work: Work
    where: str
    beside: bool
    fault: str | None

    @property
    def name(self) -> str:
        follower = "a server beside it" if self.beside else "the next server"
        return f"{self.work.name} at {self.where}, then {follower}, the API {self.fault or 'is well'}"


def _deaths(count: int) -> list[Death]:
    """The same ones in every run: each kind of work in turn, each of its steps, and the points that are in none."""
    chosen, found = random.Random(11), []
    for number in range(count):
        work, turn = WORKS[number % len(WORKS)], number // len(WORKS)
        places = (*work.steps, *ALONE)
        # The steps and the points without one take turns, the steps first.
        place = work.steps[turn // 2 % len(work.steps)] if turn % 2 == 0 else chosen.choice(places)
        is_point = place in ALONE or place == "before_tidy"
        where = place if is_point else f"{chosen.choice(AROUND)}@{place}"
        found.append(Death(work, where, number % 2 == 0, AFTERWARDS[number % len(AFTERWARDS)]))
    return found


def _trouble(sandbox: Sandbox, fault: str | None, namespace: str) -> None:
    """What the API server does to an application from now on, for a while."""
    if fault == "fails":
        sandbox.fail("*", f"/{namespace}/", 503, times=3)
    elif fault == "hangs":
        sandbox.hang(f"/{namespace}/", times=1)
    elif fault == "answers late":
        sandbox.slow(f"/{namespace}/", 0.5, times=4)


async def test_after_kill_9_at_any_point_another_server_goes_on_within_5_seconds(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    count = 200 if IS_SOAK else 20
    limiter = anyio.CapacityLimiter(AT_ONCE)
    wrong: list[str] = []

    async def go_on(death: Death, operations: Operations, namespace: str, began_at: float) -> None:
        try:
            if death.work.name == "cancel":  # it may have died before that was asked
                await operations.cancel((await _newest(operations)).id, None)
            ended, took_s = await _resumed(operations, began_at)
        except TimeoutError:
            there = await operations.get((await _newest(operations)).id, None)
            wrong.append(f"{death.name} is stuck: {there}")
            return
        work = death.work
        seen, wanted = _look(sandbox, namespace), (work.image, work.replicas, work.releases)
        if ended.state is not work.state or seen != wanted or took_s > RESUMED_WITHIN_S:
            text = ended.outcome.text[:300] if ended.outcome else ""
            wrong.append(f"{death.name}: {ended.state}, {seen}, resumed in {took_s:.1f} s: {text}")

    async def one(number: int, death: Death) -> None:
        async with limiter:
            namespace, folder = f"death-{number}", tmp_path / str(number)
            folder.mkdir()
            sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            async with _klepaas(folder) as (client, operations):
                await _prepare(client, namespace)
                if death.beside:
                    async with _doomed(folder, death.where) as client:
                        died_at = await _die(client, death.work, namespace)
                        _trouble(sandbox, death.fault, namespace)
                        await go_on(death, operations, namespace, died_at)
                    return
            async with _doomed(folder, death.where) as client:
                await _die(client, death.work, namespace)
            _trouble(sandbox, death.fault, namespace)
            began_at = time.monotonic()
            async with _klepaas(folder) as (_, operations):
                await go_on(death, operations, namespace, began_at)

    async with anyio.create_task_group() as group:
        for number, death in enumerate(_deaths(count)):
            group.start_soon(one, number, death)
    assert not wrong, "\n".join(wrong)


FAULTS = ("fails", "hangs", "answers late", "answers half")
_PATHS = {"deploy": "deployments/web", "rollback": "deployments/web", "scale": "deployments/web"}


def _plant(sandbox: Sandbox, fault: str, path: str) -> None:
    """Trouble for the next change that is sent to a path."""
    changing = rf"{path}\?fieldManager=klepaas&fieldValidation=Strict(&force=true)?$"
    if fault == "fails":
        sandbox.fail("PATCH", changing, 503, times=1)
    elif fault == "hangs":
        sandbox.hang(changing, times=1)
    elif fault == "answers late":
        sandbox.slow(changing, 3.0, times=1)
    else:
        sandbox.halve(changing, times=1)


async def test_an_api_server_in_trouble_makes_nothing_happen_twice_or_not_at_all(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    wrong: list[str] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)
    works = [work for work in WORKS if work.name in _PATHS]

    async def one(client: Client[Any], work: Work, fault: str) -> None:
        async with limiter:
            namespace = f"{work.name}-{fault.replace(' ', '-')}"
            sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            await _prepare(client, namespace)
            _plant(sandbox, fault, f"{namespace}/{_PATHS[work.name]}")
            arguments = {"app_name": "web", "namespace": namespace, "wait_s": 90, **work.arguments}
            said = await client.call_tool(work.tool, arguments, raise_on_error=False)
            seen, wanted = _look(sandbox, namespace), (work.image, work.replicas, work.releases)
            if said.is_error or seen != wanted:
                wrong.append(f"{work.name} while it {fault}: {seen}: {said.content[0].text}")  # type: ignore[union-attr]

    async with _klepaas(tmp_path / "state") as (client, _), anyio.create_task_group() as group:
        for work in works:
            for fault in FAULTS:
                group.start_soon(one, client, work, fault)
    assert wrong == []
