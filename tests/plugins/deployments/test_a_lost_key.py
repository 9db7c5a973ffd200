"""The store's key is lost while changes are under way: what was done is verified, brought back, or said to be unknown.

A process that dies at a point is played by dropping the operation there. Then the key goes, and another server on the
same store takes the operations up. `KLEPAAS_TEST_SOAK=1` plays every stage of every kind in place of a choice.
"""

import copy
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from sqlalchemy import update

from klepaas.app import create_app
from klepaas.operations import Operation, Operations, State
from klepaas.operations.failpoints import Failpoint, InjectedFailure, armed
from klepaas.operations.timing import Timing as LeaseTiming
from klepaas.settings import Mode, Settings
from klepaas.store import Store
from klepaas.store.keys import FILE_NAME
from klepaas.store.tables import OperationRow
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

IS_SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(480 if IS_SOAK else 240))]

# Nobody takes up what is left before a test says that its process is gone.
LEASES = LeaseTiming(lease_s=3600, heartbeat_s=0.2, look_s=0.1, first_look_s=0.05)
ENDS_WITHIN_S = scale_timeout(30)
GOOD, NEXT, NEW, BROKEN = "example/app:1", "example/app:2", "example/app:5", "example/crash:3"
DEPLOYMENT, SERVICE, RECORD = "apply Deployment web", "apply Service web", "record the release"
DEPLOY = ("deploy_application", {"image": NEW, "port": 8081})
BREAK = ("deploy_application", {"image": BROKEN})
BACK = ("rollback_deployment", {"release": 1})
SCALE = ("scale_application", {"replicas": 3})
RESTART: tuple[str, dict[str, Any]] = ("restart_application", {})
UNDO = "roll back: restore Deployment web"
RESTORED = (State.ROLLED_BACK, NEXT, 1)


@dataclass
class Case:
    """A change of an application that runs NEXT with one pod, where its process dies, and how it must end.

    Attributes:
        name: What it is.
        call: The tool and its arguments.
        point: Where it dies,
        step: at which step; "": at none.
        ends: The state, and the image and number of pods that are wanted then.
        says: What its text must have.
        before: What is deployed before, one after another.
    """

    name: str
    call: tuple[str, dict[str, Any]]
    point: str
    step: str
    ends: tuple[State, str | None, int]
    says: tuple[str, ...] = ()
    before: tuple[str, ...] = (NEXT,)
    operation_id: str = field(default="", init=False)


NOT_BEGUN = "It had not begun: nothing was changed"
FEW = (
    Case("a deployment not begun", DEPLOY, "after_claim", "", (State.FAILED, NEXT, 1), (NOT_BEGUN,)),
    Case("a deployment meant and not sent", DEPLOY, "before_effect", DEPLOYMENT, RESTORED, ("another key",)),
    Case("a deployment half done", DEPLOY, "after_effect", DEPLOYMENT, RESTORED, ("rolled back to release 1",)),
    Case("a deployment applied", DEPLOY, "before_intent", RECORD, (State.SUCCEEDED, NEW, 1), ("what was applied",)),
    Case("a deployment verified", DEPLOY, "before_outcome", "", (State.SUCCEEDED, NEW, 1), ("release 2",)),
    Case(
        "a deployment half done that somebody cancelled", DEPLOY, "after_effect", DEPLOYMENT,
        (State.CANCELLED, NEXT, 1), ("was cancelled and is rolled back to release 1",),
    ),
    Case("one that breaks, recorded", BREAK, "after_done", RECORD, RESTORED, ("rolled back to release 1",)),
    Case("one that is rolled back", BREAK, "before_effect", "undo: restore Deployment web", RESTORED),
    Case("a rollback done", BACK, "after_effect", UNDO, (State.SUCCEEDED, GOOD, 1), before=(GOOD, NEXT)),
    Case("a scaling sent", SCALE, "after_effect", "scale deployment web", (State.SUCCEEDED, NEXT, 3)),
    Case(
        "a first deployment half done", DEPLOY, "after_effect", DEPLOYMENT, (State.UNKNOWN, NEW, 1),
        ("no earlier release", "not done: apply Service web", "Look at Deployment web in"), before=(),
    ),
    Case(
        "a deployment without a way back", (DEPLOY[0], {**DEPLOY[1], "auto_rollback": False}), "after_effect",
        DEPLOYMENT, (State.UNKNOWN, NEW, 1), ("rollback_deployment(", "release=1", "Look at Deployment web in"),
    ),
    Case(
        "written over by kubectl", DEPLOY, "after_effect", DEPLOYMENT, (State.UNKNOWN, "example/foreign:9", 1),
        ("changed by others: Deployment web by kubectl", "that is left alone"),
    ),
)  # fmt: skip
# Beside these, in a soak.
MORE = (
    *(
        Case(f"{call[0]} not begun", call, "after_claim", "", (State.FAILED, NEXT, 1), (NOT_BEGUN,), (GOOD, NEXT))
        for call in (BACK, SCALE, RESTART)
    ),
    Case("a deployment recorded", DEPLOY, "after_done", RECORD, (State.SUCCEEDED, NEW, 1), ("release 2",)),
    Case("one that was rolled back", BREAK, "before_outcome", "", RESTORED),
    Case("a rollback meant", BACK, "before_effect", UNDO, RESTORED, before=(GOOD, NEXT)),
    Case("a scaling meant", SCALE, "before_effect", "scale deployment web", RESTORED),
    Case("a restart meant", RESTART, "before_effect", "restart deployment web", RESTORED),
    Case("a restart done", RESTART, "after_done", "restart deployment web", (State.SUCCEEDED, NEXT, 1)),
)
CASES = (*FEW, *MORE) if IS_SOAK else FEW


@pytest.fixture
async def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setattr("klepaas.operations.service.Timing", lambda: LEASES)
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.02), nodes=4) as found:
        monkeypatch.setenv("KUBECONFIG", str(found.write_kubeconfig(tmp_path / "kubeconfig")))
        yield found


async def _confirm(*_: Any) -> dict[str, bool]:
    return {"confirm": True}


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[tuple[Client[Any], Operations]]:
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder))
    async with Client(app.server, timeout=scale_timeout(60), elicitation_handler=_confirm) as client:
        yield client, Operations.of(app.host)


def _arguments(case: Case) -> dict[str, Any]:
    return {"app_name": "web", "namespace": _namespace(case), **case.call[1]}


def _namespace(case: Case) -> str:
    return f"case-{CASES.index(case)}"


async def _prepare(sandbox: Sandbox, client: Client[Any], case: Case) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _namespace(case)}})
    for image in case.before:
        arguments = {"app_name": "web", "namespace": _namespace(case), "image": image, "port": 8080, "replicas": 1}
        await client.call_tool("deploy_application", arguments)


async def _die(case: Case, client: Client[Any]) -> None:
    """Begin the change and have its process die at the point."""
    dead = anyio.Event()

    async def die() -> None:
        dead.set()
        raise InjectedFailure(case.point)

    with armed(Failpoint(case.point, die, case.step or None)), anyio.fail_after(ENDS_WITHIN_S):
        answer = await client.call_tool(case.call[0], {**_arguments(case), "wait_s": 0}, raise_on_error=False)
        case.operation_id = str((answer.meta or {})["operation_id"])
        await dead.wait()


async def _lose_key(folder: Path) -> None:
    """The key goes, and with it the process that held the operations."""
    (folder / FILE_NAME).unlink()
    store = Store(folder)
    await store.write(lambda session: session.execute(update(OperationRow).values(lease_until=None)))
    await store.aclose()


def _write_over(sandbox: Sandbox, namespace: str) -> None:
    """Somebody changes the image with kubectl, some time after."""
    there = copy.deepcopy(sandbox.get("Deployment", "web", namespace))
    assert there is not None
    there["spec"]["template"]["spec"]["containers"][0]["image"] = "example/foreign:9"
    containers: dict[str, Any] = {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}
    fields = {"f:spec": {"f:template": {"f:spec": containers}}}
    there["metadata"]["managedFields"].append(
        {"manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1", "time": "2999-01-01T00:00:00Z",
         "fieldsType": "FieldsV1", "fieldsV1": fields}
    )  # fmt: skip
    sandbox.plant(there)


def _wrong(sandbox: Sandbox, case: Case, ended: Operation) -> Iterator[str]:
    there = sandbox.get("Deployment", "web", _namespace(case))
    spec = (there or {}).get("spec") or {"replicas": 0, "template": {"spec": {"containers": [{"image": None}]}}}
    seen = (ended.state, spec["template"]["spec"]["containers"][0]["image"], spec["replicas"])
    text = ended.outcome.text if ended.outcome else ""
    if seen != case.ends:
        yield f"{case.name}: {seen} is not {case.ends}: {text}"
    yield from (f"{case.name} does not say {part!r}: {text}" for part in case.says if part not in text)


async def test_with_its_key_lost_a_change_is_verified_or_brought_back_or_not_known_and_then_its_objects_are_named(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    async with _server(folder) as (client, operations):
        async with anyio.create_task_group() as group:
            for case in CASES:
                group.start_soon(_prepare, sandbox, client, case)
        for case in CASES:
            await _die(case, client)
            if "cancelled" in case.name:
                await operations.cancel(case.operation_id, None)
            if case.name == "written over by kubectl":
                _write_over(sandbox, _namespace(case))
    await _lose_key(folder)
    wrong: list[str] = []
    async with _server(folder) as (client, operations):
        for case in CASES:
            wrong += _wrong(sandbox, case, await operations.wait(case.operation_id, ENDS_WITHIN_S))
    assert not wrong, "\n\n".join(wrong)
