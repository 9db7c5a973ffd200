"""What a client before 2026-07-28 may send instead of one proper answer, line by line over stdio."""

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from klepaas.testing import scale_timeout

from .conftest import FOLDER

pytestmark = pytest.mark.anyio

ASKING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "raw", "version": "1"},
}
YES = {"action": "accept", "content": {"confirm": True}}


class Wire:
    """Lines to and from a server."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, BufferedByteReceiveStream(process.stdout)

    async def send(self, **message: Any) -> None:
        await self._in.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """The next message with these fields, past others."""
        with anyio.fail_after(scale_timeout(20)):
            while True:
                message: dict[str, Any] = json.loads(await self._out.receive_until(b"\n", 1_000_000))
                if all(message.get(name) == value for name, value in wanted.items()):
                    return message

    async def call(self, identifier: int, tool: str, **arguments: Any) -> None:
        await self.send(id=identifier, method="tools/call", params={"name": tool, "arguments": arguments})

    async def history(self, identifier: int) -> str:
        await self.call(identifier, "history")
        return str((await self.until(id=identifier))["result"]["content"][0]["text"])


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    environment = {**os.environ, "KLEPAAS_STATE_DIR": str(tmp_path / "state"), "KLEPAAS_CONFIRM_TIMEOUT_S": "1.5"}
    command = [sys.executable, str(FOLDER / "serve_changing_tools.py")]
    with (tmp_path / "stderr").open("wb") as log:
        process = await anyio.open_process(command, stderr=log, env=environment)
    async with process:
        wire = Wire(process)
        await wire.send(id=1, method="initialize", params=ASKING)
        await wire.until(id=1)
        await wire.send(method="notifications/initialized")
        yield wire
        process.kill()


async def test_an_answer_that_is_sent_twice_makes_one_change(wire: Wire) -> None:
    await wire.call(2, "delete", name="web")
    question = await wire.until(method="elicitation/create")
    for _ in range(3):
        await wire.send(id=question["id"], result=YES)
    assert not (await wire.until(id=2))["result"].get("isError")
    assert await wire.history(3) == "deleted web"


async def test_an_answer_to_another_question_and_one_that_comes_too_late_change_nothing(wire: Wire) -> None:
    await wire.call(2, "delete", name="web")
    question = await wire.until(method="elicitation/create")
    await wire.send(id="another", result=YES)
    answer = await wire.until(id=2)
    assert answer["result"]["isError"]
    assert "nobody answered in time" in answer["result"]["content"][0]["text"]
    await wire.send(id=question["id"], result=YES)
    assert await wire.history(3) == "nothing"


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"action": "accept"}},
        {"result": {"action": "maybe", "content": {"confirm": True}}},
        {"result": {"content": {"confirm": True}}},
        {"result": "yes"},
        {"error": {"code": -32603, "message": "no form"}},
    ],
    ids=str,
)
async def test_a_malformed_answer_changes_nothing(wire: Wire, answer: dict[str, Any]) -> None:
    await wire.call(2, "delete", name="web")
    question = await wire.until(method="elicitation/create")
    await wire.send(id=question["id"], **answer)
    assert (await wire.until(id=2))["result"]["isError"]
    assert await wire.history(3) == "nothing"


async def test_a_call_that_is_cancelled_while_it_waits_changes_nothing(wire: Wire) -> None:
    await wire.call(2, "delete", name="web")
    question = await wire.until(method="elicitation/create")
    await wire.send(method="notifications/cancelled", params={"requestId": 2})
    await wire.send(id=question["id"], result=YES)
    assert await wire.history(3) == "nothing"
