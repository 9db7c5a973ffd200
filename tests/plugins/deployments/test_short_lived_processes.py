"""A process for each call, as langchain and llama-index do over stdio: what each leaves the next one goes on with."""

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio

# Longer than any of the processes lives, so that none of them sees it all.
HOLD_S = "6"
LIMIT_S = scale_timeout(60)


class Caller:
    """Calls each tool in a process of its own, without a progress token, and leaves as the SDK's client does.

    Args:
        sandbox: The cluster.
        folder: Of the kubeconfig and the state.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.processes = 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KLEPAAS_")}
        self.environment = {
            **kept,
            "KUBECONFIG": str(sandbox.write_kubeconfig(folder / "kubeconfig")),
            "KLEPAAS_STATE_DIR": str(folder / "state"),
            "KLEPAAS_ROLLOUT_MIN_HEALTHY_S": HOLD_S,
        }
        self.folder = folder
        self._log = folder / "stderr"

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[ClientSession]:
        self.processes += 1
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "klepaas", "serve", "--writes"], env=self.environment
        )
        with self._log.open("a") as log:
            async with stdio_client(server, errlog=log) as streams, ClientSession(*streams) as session:
                await session.initialize()
                yield session

    async def list(self) -> list[str]:
        """The names of the tools."""
        async with self._session() as session:
            return [tool.name for tool in (await session.list_tools()).tools]

    async def call(self, tool: str, **arguments: Any) -> str:
        """A tool's answer."""
        async with self._session() as session:
            result: Any = await session.call_tool(tool, arguments)
        return "\n".join(block.text for block in result.content)

    @property
    def said(self) -> str:
        """What the processes said on standard error."""
        return self._log.read_text()


def release_states(sandbox: Sandbox) -> list[str]:
    """The states of the releases that the cluster holds."""
    labels = [item["metadata"].get("labels", {}) for item in sandbox.list("ConfigMap")]
    return [found["klepaas.io/state"] for found in labels if "klepaas.io/state" in found]


@pytest.mark.timeout(scale_timeout(75))
async def test_a_deployment_begun_by_a_process_that_left_is_verified_by_those_that_come_and_go(tmp_path: Path) -> None:
    async with Sandbox(Timing.instant()) as sandbox:
        caller = Caller(sandbox, tmp_path)
        assert "deploy_application" in await caller.list()
        begun = await caller.call("deploy_application", app_name="shop", image="example/app:1")
        found = re.match(r"(op-\w{12}): Deploying example/app:1 as shop is under way", begun)
        assert found, begun
        await caller.call("get_deployment_status", app_name="shop")
        with anyio.fail_after(LIMIT_S):
            while "succeeded" not in (told := await caller.call("get_operation", operation_id=found[1])):
                assert "running" in told or "pending" in told, told
    assert caller.processes <= 10, "it did not begin anew in each process"
    assert "attempt" not in told
    assert release_states(sandbox) == ["passed"]
    assert "Traceback" not in caller.said


async def test_ctrl_c_at_klepaas_call_names_the_operation_what_becomes_of_it_and_how_to_cancel_it(
    tmp_path: Path,
) -> None:
    async with Sandbox(Timing.instant()) as sandbox:
        caller = Caller(sandbox, tmp_path)
        deploy = json.dumps({"app_name": "shop", "image": "example/unready:1"})
        left = await interrupted(caller, sandbox, "deploy_application", deploy)
        found = re.match(r"(op-\w{12}) \(Deploying example/unready:1 as shop\) has not ended", left)
        assert found, left
        assert "`klepaas serve --writes`" in left
        cancel = f"""klepaas call --writes cancel_operation '{{"operation_id": "{found[1]}"}}'"""
        assert cancel in left
        assert "Traceback" not in left
        # What the text says is what a shell takes, and it works.
        with anyio.fail_after(LIMIT_S):
            done = await anyio.run_process(
                [sys.executable, "-m", *shlex.split(cancel)], env=caller.environment, check=False
            )
    assert b"cancelled" in done.stdout, done


async def interrupted(caller: Caller, sandbox: Sandbox, tool: str, arguments: str) -> str:
    """What `klepaas call` says on standard error where somebody presses Ctrl-C while it waits."""
    command = [sys.executable, "-m", "klepaas", "call", "--writes", tool, arguments]
    with (caller.folder / "call").open("wb") as log:
        async with await anyio.open_process(command, env=caller.environment, stderr=log) as process:
            with anyio.fail_after(LIMIT_S):
                while sandbox.get("Deployment", "shop") is None:
                    await sandbox.changed()
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 130
    return (caller.folder / "call").read_text()
