"""A call that waits for its operation names it and says that it goes on; and an operation that waits blocks nobody."""

from typing import Any

import anyio
import pytest

from klepaas.operations import Operations
from klepaas.operations.failpoints import Failpoint, armed
from klepaas.store import StoreUnavailable
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

DEPLOYMENT = "apply Deployment web"
Hold = tuple[anyio.Event, anyio.Event, Failpoint]


def hold_before_effect() -> Hold:
    """An operation that stops before its first effect until it is let go on."""
    reached, goes_on = anyio.Event(), anyio.Event()

    async def hold() -> None:
        reached.set()
        await goes_on.wait()

    return reached, goes_on, Failpoint("before_intent", hold, DEPLOYMENT)


async def test_a_call_that_loses_the_store_names_its_operation_and_says_that_it_goes_on(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, goes_on, point = hold_before_effect()
    said: list[Any] = []

    async def lose(*_: Any, **__: Any) -> Any:
        await reached.wait()
        raise StoreUnavailable("The store of klepaas cannot be read (it is gone)")

    with armed(point):
        monkeypatch.setattr(Operations, "wait", lose)
        said.append(await bench.deploy())
        asked = await bench.call("get_operation", operation_id=said[0].operation, wait_s=5)
        monkeypatch.undo()
        goes_on.set()
    assert not said[0].is_error
    assert said[0].text.startswith(f"{said[0].operation}: ")
    assert "It goes on without this call" in said[0].text
    assert "Its record cannot be read now: The store of klepaas cannot be read (it is gone)" in said[0].text
    assert asked.is_error
    assert f"{said[0].operation}: " in asked.text
    assert "goes on without this call" in asked.text
    end = await bench.call("get_operation", operation_id=said[0].operation, wait_s=60)
    assert "succeeded" in end.text


async def test_a_call_whose_server_stops_names_its_operation_and_says_who_goes_on_with_it(bench: Any) -> None:
    reached, goes_on, point = hold_before_effect()
    said: list[Any] = []
    with armed(point):
        async with anyio.create_task_group() as group:

            async def deploy() -> None:
                said.append(await bench.deploy(wait_s=600))

            group.start_soon(deploy)
            with anyio.fail_after(scale_timeout(20)):
                await reached.wait()
                # As `Calls.stop` has it done before calls get their grace.
                Operations.of(bench.host).stop_waiting()
        goes_on.set()
    assert not said[0].is_error
    assert said[0].text.startswith(f"{said[0].operation}: ")
    assert "This server stops; the next one" in said[0].text


SERVICE = r"services/web\?fieldManager=klepaas&fieldValidation=Strict(&force=true)?$"


async def test_a_newer_deployment_takes_the_place_of_one_that_waits_and_goes_back_to_what_that_one_would_have(
    bench: Any,
) -> None:
    await bench.deploy(port=8080)
    bench.sandbox.fail("PATCH", SERVICE, 503, message="not now")
    older = await bench.deploy(image="example/app:2", port=8081, wait_s=1)
    operations = Operations.of(bench.host)
    with anyio.fail_after(scale_timeout(60)):
        while (await operations.get(older.operation, None)).waiting is None:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.05)
    assert bench.container()["image"] == "example/app:2", "it is half done"
    told = await bench.call("get_operation", operation_id=older.operation)
    assert "It waits since " in told.text
    assert "A newer change of the same target takes its place." in told.text
    status = await bench.call("get_deployment_status", app_name="web")
    assert "It waits since " in status.text
    newer = await bench.deploy(image="example/crash:3")
    end = await bench.call("get_operation", operation_id=older.operation)
    assert f"superseded by operation {newer.operation}" in end.text
    assert "Done before, and it stays: " in end.text
    assert DEPLOYMENT in end.text
    assert "rolled back to release 1" in newer.text, newer.text
    assert bench.container()["image"] == "example/app:1"
