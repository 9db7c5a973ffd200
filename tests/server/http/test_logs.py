"""What is logged: in lines for people or for programs, each with the call it belongs to, and never a secret."""

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastmcp import Client

from klepaas import observability
from klepaas.app import App
from klepaas.correlation import trace_id_of
from klepaas.observability import configure_logging, say
from klepaas.settings import LogFormat, LogLevel
from klepaas.testing import scale_timeout

from .conftest import Process, modern_call, served

Serve = Callable[..., AbstractAsyncContextManager[Process]]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Logs into a buffer in the form given; afterwards everything is as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook

    def start(form: LogFormat) -> io.StringIO:
        buffer = io.StringIO()
        monkeypatch.setattr(sys, "stderr", buffer)
        configure_logging(LogLevel.INFO, form)
        return buffer

    yield start
    observability._Voice.form = LogFormat.TEXT
    root.handlers[:], sys.excepthook, threading.excepthook, sys.unraisablehook = before[0], *before[2:]
    root.setLevel(before[1])
    logging.captureWarnings(False)


def lines(buffer: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in buffer.getvalue().splitlines()]


def test_a_line_for_programs_is_one_safe_object(log: Callable[..., io.StringIO]) -> None:
    buffer = log(LogFormat.JSON)
    logging.getLogger("plugin").warning("first\nsecond \x1b[31m\u2028 \ud800 password=%s 배포", "Tr0ub4dor-and-3")
    try:
        raise ValueError("token=abcdef0123456789abcdef")
    except ValueError:
        logging.getLogger("plugin").exception("it broke")
    say("klepaas is here")
    logging.getLogger("plugin").warning("%d", "no number")
    threading.excepthook(threading.ExceptHookArgs((RuntimeError, RuntimeError("in a thread"), None, None)))
    first, second, third, fourth, fifth = lines(buffer)
    assert (first["level"], first["logger"]) == ("warning", "plugin")
    assert first["message"].startswith("first\nsecond ")
    assert "배포" in first["message"]
    assert first["time"].endswith("+00:00")
    assert "correlation_id" not in first
    assert second["message"] == "it broke"
    assert "ValueError" in second["exception"]
    assert (third["message"], third["logger"]) == ("klepaas is here", "klepaas")
    assert "cannot be formatted" in fourth["message"]
    assert "in a thread" in fifth["message"]
    for secret in ("Tr0ub4dor", "abcdef0123456789", "\x1b"):
        assert secret not in buffer.getvalue()


@pytest.mark.anyio
async def test_each_call_has_an_id_of_its_own_in_every_line(
    klepaas: Callable[..., App], log: Callable[..., io.StringIO], era: Any
) -> None:
    async with served(klepaas()) as url:
        buffer = log(LogFormat.JSON)
        async with Client(url, mode=era) as client:
            ids = [(await client.call_tool("who")).content[0].text for _ in range(2)]
            await client.call_tool("crash", raise_on_error=False)
    assert len(set(ids)) == 2
    at_work = [line for line in lines(buffer) if line["message"].startswith("at work")]
    assert [line["correlation_id"] for line in at_work] == ids
    assert {line["tool"] for line in at_work} == {"who"}
    (failed,) = [line for line in lines(buffer) if "failed unexpectedly" in line["message"]]
    assert failed["tool"] == "crash"
    assert failed["correlation_id"] not in ids
    assert "Tr0ub4dor" not in buffer.getvalue()


@pytest.mark.anyio
async def test_a_call_in_a_callers_trace_has_the_traces_id(
    klepaas: Callable[..., App], log: Callable[..., io.StringIO], era: Any
) -> None:
    async with Client(klepaas().server, mode=era) as client:
        buffer = log(LogFormat.JSON)
        result = await client.call_tool("who", meta={"traceparent": TRACEPARENT})
        assert result.content[0].text == TRACE
        result = await client.call_tool("who", meta={"traceparent": "00-evil\n-00f067aa0ba902b7-01"})
        assert result.content[0].text not in (TRACE, "nobody")
    first, second = [line for line in lines(buffer) if line["message"].startswith("at work")]
    assert (first["correlation_id"], first["trace_id"]) == (TRACE, TRACE)
    assert "trace_id" not in second


@pytest.mark.anyio
async def test_a_trace_in_the_http_header_counts_where_the_message_has_none(klepaas: Callable[..., App]) -> None:
    async with served(klepaas()) as url, httpx.AsyncClient() as http:
        call = modern_call("who")
        call["headers"] = {**call["headers"], "traceparent": TRACEPARENT}
        assert TRACE in (await http.post(url, **call)).text
        other = "a" * 32
        call["json"]["params"]["_meta"]["traceparent"] = f"00-{other}-00f067aa0ba902b7-01"
        assert other in (await http.post(url, **call)).text


@pytest.mark.anyio
async def test_a_line_for_people_names_the_call_too(
    klepaas: Callable[..., App], plugin: ModuleType, log: Callable[..., io.StringIO]
) -> None:
    async with Client(klepaas().server) as client:
        buffer = log(LogFormat.TEXT)
        found = (await client.call_tool("who")).content[0].text
    assert f"WARNING plugin [{found}]: at work, password=" in buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRACEPARENT, TRACE),
        (TRACEPARENT.replace("00-4", "cc-4"), TRACE),
        (TRACEPARENT.replace("00-4", "cc-4") + "-more", TRACE),
        (TRACEPARENT + "-more", None),
        (TRACEPARENT.replace("00-4", "ff-4"), None),
        (TRACEPARENT.upper(), None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (TRACEPARENT + "\n", None),
        (" " + TRACEPARENT, None),
        ("", None),
        (None, None),
        (7, None),
        ({"traceparent": TRACEPARENT}, None),
    ],
)
def test_only_a_valid_traceparent_names_a_trace(text: object, expected: str | None) -> None:
    assert trace_id_of(text) == expected


@pytest.mark.anyio
async def test_a_process_that_is_asked_to_writes_nothing_but_objects(serve: Serve) -> None:
    async with serve(KLEPAAS_LOG_FORMAT="json", KLEPAAS_LOG_LEVEL="info") as server, httpx.AsyncClient() as http:
        await http.post(server.url, **modern_call("who"))
        await http.post(server.url, **modern_call("crash"))
        await http.post(server.url, content=b"\x00garbage")
        server.signal()
        await server.ended(within_s=scale_timeout(5))
        said = server.stderr.read_text()
    found = [json.loads(line) for line in said.splitlines()]
    assert found[0]["message"].startswith("klepaas serves MCP on http://")
    assert {"who", "crash"} <= {line.get("tool") for line in found}
    assert "Tr0ub4dor" not in said


def test_a_complaint_about_the_settings_is_an_object_too(klepaas_environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "klepaas", "serve", "--http", "0.0.0.0:80"],
        env={**klepaas_environment, "KLEPAAS_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=scale_timeout(30),
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["level"] == "error"
