"""Verbs that the executor can carry out, over the sandbox: deaths, outages, other writers, cancels, refusals.

The switch is thrown here alone, until the answers of both ways are the same.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.operations import Operation, Operations, State
from klepaas.operations.failpoints import LOOK_POINTS, Failpoint, InjectedFailure, armed
from klepaas.operations.timing import Timing as LeaseTiming
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.deployments import kinds
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(240))]
LEASES = LeaseTiming(lease_s=0.75, heartbeat_s=0.2, look_s=0.25, first_look_s=0.05)
ENDS_WITHIN_S = scale_timeout(60)


@dataclass(frozen=True)
class Verb:
    """A change of an application that runs app:1 with one pod.

    Attributes:
        name: The kind of operation.
        tool: The tool.
        arguments: Its arguments, without the place.
        step: The step that writes.
        replicas: How many pods are wanted afterwards.
    """

    name: str
    tool: str
    arguments: dict[str, Any]
    step: str
    replicas: int = 1


VERBS = [
    Verb("scale", "scale_application", {"replicas": 2}, "scale deployment web", 2),
    Verb("restart", "restart_application", {}, "restart deployment web"),
]
each_verb = pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])
Server = tuple[Client[Any], Operations]


@pytest.fixture
async def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setattr("klepaas.operations.service.Timing", lambda: LEASES)
    monkeypatch.setattr(kinds, "EXECUTED", frozenset({"scale", "restart"}))
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.5), nodes=4) as found:
        monkeypatch.setenv("KUBECONFIG", str(found.write_kubeconfig(tmp_path / "kubeconfig")))
        yield found


@asynccontextmanager
async def servers(folder: Path, count: int = 1) -> AsyncIterator[list[Server]]:
    """Servers on one store."""
    async with AsyncExitStack() as stack:
        found: list[Server] = []
        for _ in range(count):
            app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder))
            client = await stack.enter_async_context(Client(app.server, timeout=scale_timeout(60)))
            found.append((client, Operations.of(app.host)))
        yield found


async def begin(server: Server, verb: Verb, namespace: str) -> str:
    """Begin the change without waiting for it; the operation's id."""
    place = {"app_name": "web", "namespace": namespace, **verb.arguments, "wait_s": 0}
    answer = await server[0].call_tool(verb.tool, place, raise_on_error=False)
    return str((answer.meta or {})["operation_id"])


async def prepare(sandbox: Sandbox, server: Server, namespace: str) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    await server[0].call_tool(
        "deploy_application", {"app_name": "web", "namespace": namespace, "image": "example/app:1", "replicas": 1}
    )


def spec_of(sandbox: Sandbox, namespace: str) -> dict[str, Any]:
    found = sandbox.get("Deployment", "web", namespace)
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec


def text_of(operation: Operation) -> str:
    return operation.outcome.text if operation.outcome else str(operation)


async def die_and_go_on(sandbox: Sandbox, servers: list[Server], verb: Verb, namespace: str, point: str) -> Operation:
    """Begin a change whose process dies at a point; how it ends by whoever goes on."""
    await prepare(sandbox, servers[0], namespace)
    deaths: list[str] = []

    async def die() -> None:
        deaths.append(point)
        raise InjectedFailure(point)

    with armed(Failpoint(point, die)):
        operation_id = await begin(servers[0], verb, namespace)
        ended = await servers[0][1].wait(operation_id, ENDS_WITHIN_S)
    assert deaths == [point], f"{point}: {deaths}"
    return ended


@each_verb
async def test_after_a_death_at_any_point_of_the_loop_it_is_gone_on_with_and_written_once(
    sandbox: Sandbox, tmp_path: Path, verb: Verb
) -> None:
    wrong: list[str] = []
    async with servers(tmp_path / "state", 2) as found:
        for point in LOOK_POINTS:
            namespace = f"death-{point.replace('_', '-')}"
            ended = await die_and_go_on(sandbox, found, verb, namespace, point)
            asked = {"app_name": "web", "namespace": namespace, "output": "json"}
            listed = await found[1][0].call_tool("list_releases", asked)
            releases = json.loads(listed.content[0].text)["releases"]  # type: ignore[union-attr]
            seen = (ended.state, spec_of(sandbox, namespace)["replicas"], len(releases))
            if seen != (State.SUCCEEDED, verb.replicas, 2):
                wrong.append(f"{point}: {seen}: {text_of(ended)}")
    assert not wrong, "\n".join(wrong)


@each_verb
async def test_an_operation_that_an_older_klepaas_has_begun_goes_on_the_way_that_it_began(
    sandbox: Sandbox, tmp_path: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with servers(tmp_path / "state") as found:
        await prepare(sandbox, found[0], "default-2")
        dead = anyio.Event()

        async def die() -> None:
            dead.set()
            raise InjectedFailure("after_effect")

        with monkeypatch.context() as older, armed(Failpoint("after_effect", die, verb.step)):
            older.setattr(kinds, "EXECUTED", frozenset())
            operation_id = await begin(found[0], verb, "default-2")
            with anyio.fail_after(ENDS_WITHIN_S):
                await dead.wait()
        ended = await found[0][1].wait(operation_id, ENDS_WITHIN_S)
    assert ended.state is State.SUCCEEDED, text_of(ended)
    assert "intent" not in ended.notes
    assert spec_of(sandbox, "default-2")["replicas"] == verb.replicas


async def outlast(sandbox: Sandbox, folder: Path, verb: Verb, begin_outage: Callable[[], None], says: str) -> Operation:
    """A change that meets an outage after its write, which ends once somebody was told what is waited for."""
    async with servers(folder) as found:
        await prepare(sandbox, found[0], "shop")

        async def meet() -> None:
            begin_outage()

        with armed(Failpoint("after_write", meet)):
            operation_id = await begin(found[0], verb, "shop")
            await until_line(found[0][1], operation_id, says)
        sandbox.clear_faults()
        return await found[0][1].wait(operation_id, ENDS_WITHIN_S)


@pytest.mark.parametrize(("verb", "code"), [(VERBS[0], 401), (VERBS[0], 403), (VERBS[0], 429), (VERBS[1], 500)])
async def test_an_outage_after_the_write_is_waited_out_and_undoes_nothing(
    sandbox: Sandbox, tmp_path: Path, verb: Verb, code: int
) -> None:
    def begin_outage() -> None:
        reason, message = {401: ("Unauthorized", "Unauthorized"), 403: ("Forbidden", FORBIDDEN)}.get(code, ("", "no"))
        sandbox.fail("*", "/shop/", code, reason=reason, message=message)

    ended = await outlast(sandbox, tmp_path / "state", verb, begin_outage, "waits for")
    assert ended.state is State.SUCCEEDED, text_of(ended)
    assert spec_of(sandbox, "shop")["replicas"] == verb.replicas


FORBIDDEN = 'pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "shop"'


async def write_as_a_person(sandbox: Sandbox, spec: dict[str, Any]) -> None:
    """Somebody else writes to the workload."""
    url = f"{sandbox.url}/apis/apps/v1/namespaces/shop/deployments/web"
    async with httpx.AsyncClient(timeout=scale_timeout(15), trust_env=False) as http:
        answer = await http.patch(
            url,
            params={"fieldManager": "kubectl-edit"},
            content=json.dumps({"spec": spec}),
            headers={"content-type": "application/strategic-merge-patch+json"},
        )
    assert answer.status_code == 200, answer.text


async def test_a_number_of_pods_that_somebody_else_set_after_the_write_is_left_and_never_called_verified(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "1.5")
    async with servers(tmp_path / "state") as found:
        await prepare(sandbox, found[0], "shop")

        async def meet() -> None:
            await write_as_a_person(sandbox, {"replicas": 3})

        with armed(Failpoint("after_write", meet)):
            operation_id = await begin(found[0], VERBS[0], "shop")
            ended = await found[0][1].wait(operation_id, ENDS_WITHIN_S)
        asked = {"app_name": "web", "namespace": "shop", "output": "json"}
        listed = await found[0][0].call_tool("list_releases", asked)
    assert ended.state is State.FAILED, text_of(ended)
    assert "superseded by kubectl-edit, which set spec.replicas" in text_of(ended)
    assert spec_of(sandbox, "shop")["replicas"] == 3
    states = {one["number"]: one["state"] for one in json.loads(listed.content[0].text)["releases"]}  # type: ignore[union-attr]
    assert states[2] != "verified"


async def test_while_a_person_has_paused_the_rollout_it_waits_and_a_newer_change_takes_its_place(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with servers(tmp_path / "state") as found:
        operations = found[0][1]
        await prepare(sandbox, found[0], "shop")

        async def pause() -> None:
            await write_as_a_person(sandbox, {"paused": True})

        with armed(Failpoint("before_write", pause)):
            restart = await begin(found[0], VERBS[1], "shop")
            await until_line(operations, restart, "a person who paused it")
        scale = await begin(found[0], VERBS[0], "shop")
        await until_line(operations, scale, "a person who paused it")
        old = await operations.get(restart, None)
        await write_as_a_person(sandbox, {"paused": False})
        new = await operations.wait(scale, ENDS_WITHIN_S)
        known = await operations.get(scale, None)
    assert old.state is State.CANCELLED, text_of(old)
    assert f"superseded by operation {scale}" in text_of(old)
    assert new.state is State.SUCCEEDED, text_of(new)
    assert known.notes["back"] == 1, "what was never seen to work is no place to go back to"


async def until_line(operations: Operations, operation_id: str, says: str) -> None:
    """Wait until an operation says what it waits for."""
    with anyio.fail_after(ENDS_WITHIN_S):
        while says not in (there := await operations.get(operation_id, None)).line:
            assert not there.ended, text_of(there)
            await anyio.sleep(0.1)


@each_verb
async def test_what_somebody_deletes_meanwhile_is_never_made_again(
    sandbox: Sandbox, tmp_path: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than a watch of a busy machine is late.
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "1.5")
    async with servers(tmp_path / "state") as found:
        await prepare(sandbox, found[0], "shop")

        async def delete() -> None:
            sandbox.delete("Deployment", "web", "shop")

        with armed(Failpoint("after_write", delete)):
            operation_id = await begin(found[0], verb, "shop")
            ended = await found[0][1].wait(operation_id, ENDS_WITHIN_S)
    assert ended.state is State.FAILED, text_of(ended)
    assert "deleted by somebody" in text_of(ended)
    assert sandbox.get("Deployment", "web", "shop") is None


@each_verb
async def test_a_cancel_before_the_first_write_changes_nothing(sandbox: Sandbox, tmp_path: Path, verb: Verb) -> None:
    async with servers(tmp_path / "state") as found:
        await prepare(sandbox, found[0], "shop")
        before = spec_of(sandbox, "shop")
        reached, go_on = anyio.Event(), anyio.Event()

        async def hold() -> None:
            reached.set()
            await go_on.wait()

        with armed(Failpoint("observed", hold)):
            operation_id = await begin(found[0], verb, "shop")
            with anyio.fail_after(ENDS_WITHIN_S):
                await reached.wait()
                await found[0][1].cancel(operation_id, None)
            go_on.set()
            ended = await found[0][1].wait(operation_id, ENDS_WITHIN_S)
    assert ended.state is State.CANCELLED, text_of(ended)
    assert spec_of(sandbox, "shop") == before


async def test_a_cancel_after_the_write_restores_the_number_before(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with servers(tmp_path / "state") as found:
        await prepare(sandbox, found[0], "shop")
    # It stays unproven for longer than a cancel takes.
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "3")
    written = anyio.Event()

    async def tell() -> None:
        written.set()

    async with servers(tmp_path / "state") as found:
        with armed(Failpoint("after_write", tell)):
            operation_id = await begin(found[0], VERBS[0], "shop")
            with anyio.fail_after(ENDS_WITHIN_S):
                await written.wait()
                await found[0][1].cancel(operation_id, None)
            ended = await found[0][1].wait(operation_id, ENDS_WITHIN_S)
    assert ended.state is State.CANCELLED, text_of(ended)
    assert "rolled back to release 1" in text_of(ended)
    assert spec_of(sandbox, "shop")["replicas"] == 1


@each_verb
async def test_bodies_lie_encrypted_in_the_notes_and_are_gone_when_it_has_ended(
    sandbox: Sandbox, tmp_path: Path, verb: Verb
) -> None:
    folder, kept = tmp_path / "state", list[str]()

    def read() -> str:
        with closing(sqlite3.connect(folder / "klepaas.db", timeout=scale_timeout(5))) as store:
            rows = store.execute("SELECT notes FROM operations WHERE kind = ?", (verb.name,)).fetchall()
        return json.dumps(rows)

    async with servers(folder) as found:
        await prepare(sandbox, found[0], "shop")

        async def look() -> None:
            kept.append(read())

        with armed(Failpoint("after_write", look)):
            operation_id = await begin(found[0], verb, "shop")
            ended = await found[0][1].wait(operation_id, ENDS_WITHIN_S)
        kept.append(read())
    assert ended.state is State.SUCCEEDED, text_of(ended)
    assert "sealed" in kept[0]
    assert "example/app:1" not in kept[0]
    assert "sealed" not in kept[1]
