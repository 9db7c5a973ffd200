"""Real servers: a client that leaves and a signal that ends the process change nothing about an operation."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from fastmcp import Client
from tests.served import SERVE, served, unconfigured
from tests.server.operations.test_processes import ROOT
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import at_work

from klepaas.operations import State
from klepaas.testing import scale_timeout, time_budget

pytestmark = pytest.mark.anyio

PLUGIN = '''
import os
from klepaas.hookspecs import hookimpl
from klepaas.operations import Operations
from klepaas.principals import current_principal
from klepaas.changes import ChangeSet
from klepaas.testing import scale_timeout
from klepaas.tools import Effect, Tool
from tests.server.operations.work import Work

work = Work(os.environ["WAREHOUSE_OF_TESTS"], 20)

@hookimpl
def klepaas_operation_kinds(host):
    return work.kinds().values()

@hookimpl
def klepaas_tools(host):
    operations = Operations.of(host)

    async def begin_and_wait(for_s: float) -> str:
        """Begin an operation and wait for it."""
        asked = await operations.submit(
            "wait", target="t", title="Waiting", request={"for_s": for_s}, principal=current_principal()
        )
        return (await operations.wait(asked.id, scale_timeout(50))).state.value

    async def plan() -> ChangeSet:
        return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")

    yield Tool(begin_and_wait, Effect.WRITE, "Begin", "test", plan=plan)
'''


@pytest.fixture
def environment(tmp_path: Path, warehouse: Warehouse) -> dict[str, str]:
    """Of a server with the plugin above, and a state folder `tmp_path / "state"`."""
    site = tmp_path / "site"
    info = site / "waiting-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: waiting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[klepaas]\nwaiting = waiting_plugin\n")
    (site / "waiting_plugin.py").write_text(PLUGIN)
    path = os.pathsep.join([str(site), str(ROOT)])
    off = '["kubernetes", "deployments", "cluster", "github", "slack"]'
    return unconfigured(
        tmp_path, PYTHONPATH=path, WAREHOUSE_OF_TESTS=warehouse.url, KLEPAAS_DISABLED_PLUGINS=off,
        KLEPAAS_MODE="writes", KLEPAAS_STRICT_PLUGINS="true",
    )  # fmt: skip


async def until_begun(warehouse: Warehouse) -> str:
    """The operation whose first step is made."""
    with anyio.fail_after(scale_timeout(30)):
        while not warehouse.made:  # noqa: ASYNC110 -- another process does it
            await anyio.sleep(0.02)
    return next(iter(warehouse.made)).split("/")[0]


async def ended(tmp_path: Path, warehouse: Warehouse, operation_id: str) -> State:
    async with at_work(tmp_path / "state", warehouse.url, runs=False) as onlooker:
        return (await onlooker.wait(operation_id, scale_timeout(30))).state


async def test_a_client_over_http_that_leaves_changes_nothing(
    environment: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    with served(environment=environment, stderr=tmp_path / "stderr") as server:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                async with Client(server.url) as client:
                    await client.call_tool("begin_and_wait", {"for_s": 1.5})

            group.start_soon(ask)
            operation_id = await until_begun(warehouse)
            group.cancel_scope.cancel()
        assert await ended(tmp_path, warehouse, operation_id) is State.SUCCEEDED
    assert warehouse.made == {f"{operation_id}/before": 1, f"{operation_id}/after": 1}


async def test_sigterm_lets_go_and_the_next_server_goes_on_at_once(
    environment: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    quick = {**environment, "KLEPAAS_SHUTDOWN_GRACE_S": "0.2"}
    async with anyio.create_task_group() as group:
        with served(environment=quick, stderr=tmp_path / "stderr") as server:

            async def ask() -> None:
                async with Client(server.url) as client:
                    await client.call_tool("begin_and_wait", {"for_s": 3}, raise_on_error=False)

            group.start_soon(ask)
            operation_id = await until_begun(warehouse)
            group.cancel_scope.cancel()
    async with at_work(tmp_path / "state", warehouse.url, runs=False) as onlooker:
        left = await onlooker.get(operation_id, None)
    assert (left.state, left.attempt) == (State.PENDING, 1)
    with served(environment=quick, stderr=tmp_path / "stderr"):
        assert await ended(tmp_path, warehouse, operation_id) is State.SUCCEEDED
    assert warehouse.made == {f"{operation_id}/before": 1, f"{operation_id}/after": 1}


async def test_sigterm_over_stdio_lets_go_too(
    environment: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    with stdio_server({**environment, "KLEPAAS_SHUTDOWN_GRACE_S": "0.2"}, tmp_path) as process:
        operation_id = await until_begun(warehouse)
        process.send_signal(signal.SIGTERM)
        assert process.wait(scale_timeout(20)) == 143
    async with at_work(tmp_path / "state", warehouse.url, runs=False) as onlooker:
        left = await onlooker.get(operation_id, None)
        assert (left.state, left.attempt) == (State.PENDING, 1)
        assert time.time() - left.updated_at < time_budget(10, "it would be as the lease left it")


@contextmanager
def stdio_server(
    environment: dict[str, str], tmp_path: Path, for_s: float | None = 20, stdout: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on pipes whose client has begun an operation of so many seconds, or none, and reads nothing more."""
    call = {"name": "begin_and_wait", "arguments": {"for_s": for_s}, "_meta": {"progressToken": 1}}
    hello = '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}'
    lines = [
        f'{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{hello}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ]
    lines = lines if for_s is not None else lines[:2]
    with (tmp_path / "stderr").open("wb") as log:
        process = subprocess.Popen(SERVE, env=environment, stdin=subprocess.PIPE, stdout=stdout, stderr=log)
    assert process.stdin is not None
    try:
        process.stdin.write("\n".join([*lines, ""]).encode())
        process.stdin.flush()
        yield process
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def test_after_the_end_of_input_a_change_and_its_operation_get_their_grace_and_nothing_is_written(
    environment: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    with stdio_server(environment, tmp_path, for_s=1.0, stdout=subprocess.PIPE) as process:
        operation_id = await until_begun(warehouse)
        said = await anyio.to_thread.run_sync(hang_up, process)
        assert process.wait(scale_timeout(20)) == 0
    assert said == b""
    assert await ended_without_a_server(tmp_path, warehouse, operation_id) is State.SUCCEEDED
    assert warehouse.made == {f"{operation_id}/before": 1, f"{operation_id}/after": 1}


async def test_what_is_not_done_within_the_grace_is_handed_over_and_goes_on_at_once(
    environment: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    quick = {**environment, "KLEPAAS_SHUTDOWN_GRACE_S": "0.3"}
    with stdio_server(quick, tmp_path, for_s=3.0) as process:
        operation_id = await until_begun(warehouse)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(scale_timeout(20)) == 0
    async with at_work(tmp_path / "state", warehouse.url, runs=False) as onlooker:
        left = await onlooker.get(operation_id, None)
    assert (left.state, left.attempt) == (State.PENDING, 1)


async def test_a_server_that_leaves_first_takes_up_what_waits_and_finishes_it_within_its_grace(
    environment: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    with stdio_server({**environment, "KLEPAAS_SHUTDOWN_GRACE_S": "0"}, tmp_path, for_s=0.5) as process:
        operation_id = await until_begun(warehouse)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(scale_timeout(20)) == 0
    # A client that only says hello, and leaves before the server has looked for anything.
    with stdio_server(environment, tmp_path, for_s=None) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(scale_timeout(20)) == 0
    assert await ended_without_a_server(tmp_path, warehouse, operation_id) is State.SUCCEEDED


def hang_up(process: "subprocess.Popen[bytes]") -> bytes:
    """Take what was said so far, close the input, and give what is said after that."""
    assert process.stdin is not None
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    process.stdout.read()
    process.stdin.close()
    os.set_blocking(process.stdout.fileno(), True)
    return process.stdout.read()


async def ended_without_a_server(tmp_path: Path, warehouse: Warehouse, operation_id: str) -> State:
    """How an operation is, where nobody carries it out any more."""
    async with at_work(tmp_path / "state", warehouse.url, runs=False) as onlooker:
        return (await onlooker.get(operation_id, None)).state
