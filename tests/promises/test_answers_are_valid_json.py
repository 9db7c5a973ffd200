"""Whatever a plugin hands out, each line on stdio and each body over HTTP is JSON in UTF-8 that any client can read.

Half surrogate pairs, NaN, infinity, integers beyond every other language, bytes and keys that are no texts end the
whole answer, or the connection, where they reach the protocol's library.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, Any, Literal

import anyio
import httpx
import pytest
from mcp.server.stdio import stdio_server

from klepaas import names
from klepaas.app import App
from klepaas.errors import BadRequest
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus, hookimpl
from klepaas.http.application import HttpApp
from klepaas.output import Answer, json_answer
from klepaas.prompts import Prompt, Wording
from klepaas.protocol.versions import serve_each_version
from klepaas.resources import Resource
from klepaas.testing import app_with, scale_timeout
from klepaas.tools import Effect, Tool

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

HALF = "start \ud83d middle \ude00 pair \ud83d\ude00 end"
VALUES: dict[Any, Any] = {
    "nan": float("nan"),
    "infinite": [float("inf"), -float("inf")],
    "huge": 10**400,
    "too huge to print": 1 << 40_000,
    "bytes": b"caf\xc3\xa9 \xff",
    1: "a number",
    None: "nothing",
    HALF: HALF,
    "set": {"one"},
    "tuple": (HALF, 1.5),
    "object": object(),
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}


async def odd_text() -> str:
    """A text."""
    return HALF


async def odd_answer() -> Answer:
    """An answer with ids."""
    return Answer(HALF, operation_id=HALF, plan_id=HALF)


async def odd_json() -> Answer:
    """Data."""
    return json_answer("odd/v1", VALUES, operation_id=HALF)


async def odd_refusal() -> str:
    """An error that is explained."""
    raise BadRequest(HALF, next_step=HALF, details=HALF)


async def odd_defect() -> str:
    """An error that nobody expected."""
    raise RuntimeError(HALF)


async def odd_change() -> str:
    """A change that a person confirms."""
    return HALF


async def _preview() -> Answer:
    return Answer(HALF, basis=VALUES)


async def odd_thing(name: Annotated[str, names.OBJECT]) -> str:
    """A resource."""
    if name == "refused":
        raise BadRequest(HALF)
    return HALF


async def odd_prompt(name: Annotated[str, names.OBJECT] = "web", language: Literal["en", "ko"] = "en") -> str:
    return HALF


async def _known(_chosen: Mapping[str, str]) -> Iterable[str]:
    return ["web", HALF, "w\ud800"]


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    for function in (odd_text, odd_answer, odd_json, odd_refusal, odd_defect):
        yield Tool(function, Effect.READ, "Odd", "odd", search_hint=HALF)
    yield Tool(odd_change, Effect.DESTRUCTIVE, f"Odd {HALF}", "odd", preview=_preview)


async def _ailing() -> HealthReport:
    return HealthReport(HealthStatus.UNHEALTHY, HALF)


@hookimpl
def klepaas_health_checks() -> Iterable[HealthCheck]:
    yield HealthCheck(f"odd/{HALF}", _ailing, required=True)


@hookimpl
def klepaas_resources() -> Iterable[Resource]:
    yield Resource("klepaas://odd/{name}", odd_thing, f"A thing {HALF}", completions={"name": _known})


@hookimpl
def klepaas_prompts() -> Iterable[Prompt]:
    wordings = {
        "en": Wording(f"Odd {HALF}", f"Odd. {HALF}", {"name": f"A name {HALF}"}),
        "ko": Wording("이상한", "이상합니다.", {"name": "이름"}),
    }
    yield Prompt(odd_prompt, wordings, {"name": _known})


def _requests() -> list[dict[str, Any]]:
    """Every request that brings something of a plugin's."""
    tools = ("odd_text", "odd_answer", "odd_json", "odd_refusal", "odd_defect", "odd_change")
    asked: list[tuple[str, dict[str, Any]]] = [
        *((f"{what}/list", {}) for what in ("tools", "prompts", "resources", "resources/templates")),
        *(("tools/call", {"name": tool, "arguments": {}}) for tool in tools),
        *(("resources/read", {"uri": f"klepaas://odd/{name}"}) for name in ("web", "refused", "..")),
        *(("prompts/get", {"name": name, "arguments": {}}) for name in ("odd_prompt",)),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "odd_prompt"}, "argument": {"name": "name", "value": "w"}},
        ),
    ]
    return [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": META}}
        for number, (method, params) in enumerate(asked)
    ]


@contextlib.asynccontextmanager
async def _odd() -> AsyncIterator[App]:
    plugin = [klepaas_tools, klepaas_resources, klepaas_prompts, klepaas_health_checks]
    async with app_with(*plugin, settings={"mode": "writes", "strict_plugins": False}) as app:
        yield app


class _Input:
    """What a client writes; it stays open until the end."""

    def __init__(self, lines: Iterable[str], end: anyio.Event) -> None:
        self._lines, self._end = list(lines), end

    async def __aiter__(self) -> AsyncIterator[str]:
        for line in self._lines:
            yield line
        await self._end.wait()


class _Output:
    """What a client reads, as bytes."""

    def __init__(self, answers: int) -> None:
        self.data, self.all_there = b"", anyio.Event()
        self._answers = answers

    async def write(self, text: str) -> None:
        self.data += text.encode()
        if sum(b'"id":' in line for line in self.data.splitlines()) >= self._answers:
            self.all_there.set()

    async def flush(self) -> None:
        pass


async def _over_stdio(app: App, requests: list[dict[str, Any]]) -> list[bytes]:
    end, output = anyio.Event(), _Output(len(requests))
    given = _Input((json.dumps(request) + "\n" for request in requests), end)
    with anyio.fail_after(scale_timeout(20)):
        async with (
            app.server._lifespan_manager(),
            stdio_server(given, output) as (incoming, outgoing),  # type: ignore[arg-type]
            anyio.create_task_group() as group,
        ):
            group.start_soon(serve_each_version, app.server, incoming, outgoing)
            await output.all_there.wait()
            end.set()
            group.cancel_scope.cancel()
    return output.data.splitlines()


async def _over_http(app: App, requests: list[dict[str, Any]]) -> list[bytes]:
    web, found = HttpApp(app), []
    async with (
        web.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://127.0.0.1", timeout=30) as http,
    ):
        for request in requests:
            headers = {
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": request["method"],
            }
            name = request["params"].get("name") or request["params"].get("uri")
            if name and name.isascii():
                headers["Mcp-Name"] = name
            content = json.dumps(request).encode()
            answer = await http.post("/mcp", content=content, headers={**headers, "Content-Type": "application/json"})
            lines = [line.removeprefix(b"data:").strip() for line in answer.content.splitlines()]
            found += [line for line in lines if line.startswith(b"{")]
    return found


def _refuse_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _read(line: bytes) -> dict[str, Any]:
    """A message, read as strictly as any client does."""
    text = line.decode("utf-8")
    message: dict[str, Any] = json.loads(text, parse_constant=_refuse_constant)
    try:
        json.dumps(message, ensure_ascii=False).encode()  # no half pair in an escape either
    except UnicodeEncodeError as exc:
        raise AssertionError(ascii(message)[:3000]) from exc
    return message


@pytest.mark.parametrize("over", [_over_stdio, _over_http])
async def test_whatever_a_plugin_hands_out_every_message_is_valid_json_and_utf_8_and_every_request_has_its_answer(
    over: Any,
) -> None:
    requests = _requests()
    async with _odd() as app:
        messages = [_read(line) for line in await over(app, requests)]
    answers = {message["id"]: message for message in messages if message.get("id") is not None}
    methods = {
        request["id"]: f"{request['method']} {request['params'].get('name', request['params'].get('uri', ''))!a}"
        for request in requests
    }
    assert [method for number, method in methods.items() if number not in answers] == []
    failed = {methods[number] for number, answer in answers.items() if "error" in answer}
    assert failed <= {
        "resources/read 'klepaas://odd/refused'",
        "resources/read 'klepaas://odd/..'",
    }
    texts = {methods[number]: json.dumps(answer, ensure_ascii=False) for number, answer in answers.items()}
    for method in ("tools/call 'odd_text'", "tools/call 'odd_answer'", "resources/read 'klepaas://odd/web'"):
        assert "start" in texts[method], method
        assert "end" in texts[method], method
    number = next(number for number, method in methods.items() if method == "tools/call 'odd_json'")
    data = json.loads(answers[number]["result"]["content"][0]["text"])
    assert (data["nan"], data["infinite"], data["1"]) == ("NaN", ["Infinity", "-Infinity"], "a number")
    assert data["huge"] == "1" + "0" * 400
    assert data["bytes"].startswith("café")


async def test_what_a_component_says_of_itself_keeps_neither_a_probe_nor_a_scrape_from_its_answer() -> None:
    async with _odd() as app:
        web = HttpApp(app)
        transport = httpx.ASGITransport(web)
        async with web.running(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            ready = await http.get("/readyz")
            scraped = [await http.get("/metrics") for _ in range(2)]
    assert ready.status_code == 503
    assert "start" in str(_read(ready.content)["reasons"])
    assert [answer.status_code for answer in scraped] == [200, 200]
    assert "klepaas" in scraped[1].content.decode("utf-8")
