"""What leaves the gate after a tool ran, failed, hung or answered with too much."""

import logging
import re
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.tools import ToolResult
from mcp_types import TextContent

from klepaas.app import App
from klepaas.output.redaction import MARK
from klepaas.testing import scale_timeout
from klepaas.way_out import ids_of, let_out

pytestmark = pytest.mark.anyio


def _text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def _error(result: CallToolResult) -> dict[str, Any]:
    assert result.is_error
    assert result.structured_content is None
    # The protocol has its own names there, such as the server's.
    return ids_of(result.meta) or {}


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("bad_request", False),
        ("unauthorized", False),
        ("forbidden", False),
        ("not_found", False),
        ("conflict", False),
        ("rate_limited", True),
        ("timeout", True),
        ("unavailable", True),
        ("circuit_open", True),
        ("internal", False),
    ],
)
async def test_an_error_keeps_its_code_its_line_and_its_details(
    client: Client[Any], code: str, retryable: bool
) -> None:
    async with client:
        result = await client.call_tool("fail", {"code": code}, raise_on_error=False)
    line = "Deployment web is not well. Read its log. Retry after 3 s."
    assert _error(result) == {"code": code, "retryable": retryable, "retry_after_s": 3.0}
    assert [_text(result)] == [f"{line}\nline 1\nline 2"]


async def test_an_error_that_quotes_a_document_stays_one_short_line_with_its_code(client: Client[Any]) -> None:
    async with client:
        result = await client.call_tool("fail_without_end", {}, raise_on_error=False)
    error = _error(result)
    assert error["code"] == "unavailable"
    line = _text(result).split("\n")[0]
    assert line.startswith("first second xxx")
    assert len(line) <= 1000
    assert len(_text(result).encode()) <= 256 * 1024
    assert "[cut: " in _text(result)


@pytest.mark.parametrize("tool", ["crash", "crash_together"])
async def test_an_unexpected_exception_is_masked_and_found_by_its_reference(
    client: Client[Any], plugin: Any, capsys: pytest.CaptureFixture[str], tool: str
) -> None:
    async with client:
        result = await client.call_tool(tool, {}, raise_on_error=False)
    assert _error(result)["code"] == "internal"
    reference = re.search(r"reference ([0-9a-f]{12})", _text(result))
    assert reference is not None
    log = capsys.readouterr().err
    assert reference[1] in log
    assert "RuntimeError" in log
    assert "gate_tools.py" in log
    for place in (log, str(result)):
        assert plugin.PASSWORD not in place
        assert "could not start" not in place


async def test_what_an_exception_says_is_logged_for_who_asks_for_it(
    client: Client[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    async with client:
        await client.call_tool("crash", {}, raise_on_error=False)
    assert "could not start" in capsys.readouterr().err


async def test_an_error_of_concurrent_work_keeps_its_code(client: Client[Any]) -> None:
    async with client:
        result = await client.call_tool("fail_together", {}, raise_on_error=False)
    assert (_error(result)["code"], _text(result)) == ("not_found", "There is no web.")


async def test_a_tool_cannot_stop_the_server(client: Client[Any]) -> None:
    async with client:
        assert _error(await client.call_tool("leave_the_process", {}, raise_on_error=False))["code"] == "internal"
        assert not (await client.call_tool("read_it")).is_error


async def test_a_limit_that_a_tool_missed_itself_is_a_timeout(client: Client[Any]) -> None:
    async with client:
        assert _error(await client.call_tool("miss_a_limit", {}, raise_on_error=False))["code"] == "timeout"


async def test_a_tool_that_hangs_is_answered_within_its_limit(client: Client[Any]) -> None:
    async with client:
        with anyio.fail_after(scale_timeout(3)):
            result = await client.call_tool("hang", {}, raise_on_error=False)
        assert _error(result) == {"code": "timeout", "retryable": True}
        assert "0.3 s" in _text(result)
        assert not (await client.call_tool("read_it")).is_error


async def test_a_call_that_the_client_gives_up_is_cancelled_and_is_no_error(
    client: Client[Any], plugin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client:
        with anyio.fail_after(scale_timeout(10)):
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "wait")
                await plugin.started.wait()
                group.cancel_scope.cancel()
            await plugin.ended.wait()
        assert not (await client.call_tool("read_it")).is_error
    log = capsys.readouterr().err
    assert "klepaas.gate" not in log
    assert "Traceback" not in log


async def test_progress_reaches_the_client(client: Client[Any]) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with client:
        result = await client.call_tool("talk", {"steps": 2}, progress_handler=note)
        assert _text(result) == "told"
    assert [message for _, _, message in seen] == ["step 1", "step 2"]
    values = [progress for progress, _, _ in seen]
    assert values == sorted(set(values)), "the protocol asks for a value that rises"


@pytest.mark.parametrize("limit_bytes", [1024, 50_000, 256 * 1024])
@pytest.mark.parametrize("tool", ["long", "long_line"])
async def test_ten_megabytes_are_cut_at_the_limit_and_the_cut_is_said(
    klepaas: Callable[..., App], era: Any, tool: str, limit_bytes: int
) -> None:
    async with Client(klepaas(answer_max_bytes=limit_bytes).server, mode=era) as client:
        with anyio.fail_after(scale_timeout(10)):
            result = await client.call_tool(tool)
    text = _text(result)
    assert len(text.encode()) <= limit_bytes
    assert len(text.encode()) > limit_bytes / 3
    cut = re.search(r"\[cut: .*?(\d+) bytes\. Ask for less, or narrower\.\]$", text)
    assert cut is not None
    assert int(cut[1]) + text.index("\n[cut") == 10_000_000


def test_structured_content_of_other_servers_that_is_not_small_is_left_out_and_that_is_said() -> None:
    result = let_out(ToolResult("the text", {"rows": ["a row of facts"] * 100_000}), 256 * 1024)
    (block,) = result.content
    assert result.structured_content is None
    assert isinstance(block, TextContent)
    assert block.text.startswith("the text\n[left out: ")


def test_text_in_structured_content_of_other_servers_is_cleaned_and_redacted_in_every_place() -> None:
    hidden = ["\u202eevil\x07", {"deep": "password: hunter2secret"}]
    data = {"plain": "ok", "hidden\u200b": hidden, "api_key": "plainvalue", "number": 3}
    result = let_out(ToolResult("the text", data), 256 * 1024)
    assert result.structured_content == {
        "plain": "ok",
        "hidden": ["evil", {"deep": f"password: {MARK}"}],
        "api_key": MARK,
        "number": 3,
    }


async def test_an_empty_answer_is_an_answer(client: Client[Any]) -> None:
    async with client:
        result = await client.call_tool("nothing")
    assert not result.is_error
    assert [_text(result)] == [""]


@pytest.mark.parametrize("how", ["none", "dict", "image", "bytes", "object"])
async def test_what_is_no_answer_is_a_masked_defect(client: Client[Any], plugin: Any, how: str) -> None:
    async with client:
        result = await client.call_tool("answer_strangely", {"how": how}, raise_on_error=False)
    assert _error(result)["code"] == "internal"
    assert plugin.PASSWORD not in str(result)
