"""Speaks to klepaas as a row does: raw JSON-RPC over standard input and output, or raw HTTP; no MCP library."""

import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import anyio
import httpx
from tests.server.transports.conftest import Server

from klepaas.testing import scale_timeout
from klepaas.testing.timeouts import timeout_scale

from .rows import MODERN, Row

__all__ = ["Http", "Player", "Stdio", "Wire"]

Message = dict[str, Any]
# No client waits for ever; a test that hangs says where.
ANSWER_LIMIT_S = scale_timeout(50)
# What a machine may be slower than the one on which the limits were seen.
SLOWNESS = timeout_scale()


class Wire(Protocol):
    """A way to a server."""

    def exchange(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Message]:
        """Send a request; all that comes until its answer, the answer last."""

    async def send(self, message: Message, headers: Mapping[str, str]) -> None:
        """Send what has no answer."""


class Stdio:
    """Standard input and output of a process."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def exchange(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Message]:
        """Send a request; all that comes until its answer, the answer last."""
        await self.send(message, headers)
        while True:
            come = await self.server.receive()
            yield come
            if come.get("id") == message["id"] and "method" not in come:
                return

    async def send(self, message: Message, headers: Mapping[str, str]) -> None:
        """Send what has no answer."""
        await self.server.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")


class Http:
    """Streamable HTTP."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._session: dict[str, str] = {}

    async def exchange(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Message]:
        """Send a request; all that comes until its answer, the answer last."""
        async with self._http.stream("POST", "/mcp", json=message, headers={**self._headers, **headers}) as answer:
            if "mcp-session-id" in answer.headers:
                self._session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
            if answer.headers["content-type"].startswith("application/json"):
                yield json.loads(await answer.aread())
                return
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    async def send(self, message: Message, headers: Mapping[str, str]) -> None:
        """Send what has no answer."""
        answer = await self._http.post("/mcp", json=message, headers={**self._headers, **headers})
        assert answer.status_code == 202, answer.text

    @property
    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json, text/event-stream", **self._session}


class Player:
    """Plays a row.

    Args:
        row: The client.
        wire: Its way to klepaas.
        version: What it offers on this way.
    """

    def __init__(self, row: Row, wire: Wire, version: str) -> None:
        self._row = row
        self._wire = wire
        self._version = version
        self._ids = itertools.count(1)
        self._agreed = version
        self._schemas: dict[str, Any] = {}
        self.questions = 0
        self.longest_silence_s = 0.0

    async def connect(self) -> None:
        """Begin as the client does."""
        if self._row.probe:
            found = await self._ask("server/discover", self._envelope({}), MODERN)
            assert MODERN in found["result"]["supportedVersions"]
        if self._version == MODERN:
            return
        who = {"name": self._row.called, "version": "1"}
        wanted = {"protocolVersion": self._version, "capabilities": self._row.capabilities, "clientInfo": who}
        answer = await self._ask("initialize", wanted, None)
        self._agreed = answer["result"]["protocolVersion"]
        assert self._agreed == self._version
        await self._wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, self._headers("", ""))

    async def tools(self) -> dict[str, Any]:
        """The tools, by name."""
        result = (await self._request("tools/list", {}))["result"]
        self._schemas = {tool["name"]: tool["inputSchema"] for tool in result["tools"]}
        return {tool["name"]: tool for tool in result["tools"]}

    async def call(self, tool: str, **arguments: Any) -> str:
        """Call a tool; what the model gets."""
        params: Message = {"name": tool, "arguments": self._shaped(tool, arguments)}
        result = (await self._request("tools/call", params))["result"]
        if result.get("resultType") == "input_required":
            answers = {name: self._answer() for name in result["inputRequests"]}
            again = {**params, "inputResponses": answers, "requestState": result["requestState"]}
            result = (await self._request("tools/call", again))["result"]
        return self._row.shows(result)

    def _shaped(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as the client sends them."""
        shaped = {
            name: json.dumps(value) if self._row.nested and isinstance(value, dict | list) else value
            for name, value in arguments.items()
        }
        if self._row.empty:
            left_out = set(self._schemas[tool]["properties"]) - set(self._schemas[tool].get("required", ())) - {*shaped}
            shaped |= dict.fromkeys(sorted(left_out), json.loads(self._row.empty))
        return shaped

    def _answer(self) -> Message:
        self.questions += 1
        assert self._row.elicitation, "a client that cannot be asked was asked"
        return {"action": self._row.elicitation}

    async def _request(self, method: str, params: Message) -> Message:
        meta: Message = {}
        if self._row.progress and method == "tools/call":
            meta["progressToken"] = f"token-{next(self._ids)}"
        if self._version == MODERN:
            return await self._ask(method, self._envelope(params, meta), MODERN)
        return await self._ask(method, {**params, **({"_meta": meta} if meta else {})}, self._agreed)

    def _envelope(self, params: Message, meta: Mapping[str, Any] | None = None) -> Message:
        prefix = "io.modelcontextprotocol/"
        said = {
            f"{prefix}protocolVersion": MODERN,
            f"{prefix}clientCapabilities": self._row.capabilities,
            f"{prefix}clientInfo": {"name": self._row.called, "version": "1"},
        }
        return {**params, "_meta": {**said, **(meta or {})}}

    async def _ask(self, method: str, params: Message, version: str | None) -> Message:
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        headers = self._headers(method, params.get("name", "")) if version else {}
        if version:
            headers["MCP-Protocol-Version"] = version
        limit_s = (self._row.limit_s or ANSWER_LIMIT_S) * (SLOWNESS if (self._row.limit_s or 60) < 30 else 1)
        last, come = time.monotonic(), {}
        with anyio.fail_after(limit_s) as limit:
            async for come in self._wire.exchange(message, headers):
                now = time.monotonic()
                self.longest_silence_s, last = max(self.longest_silence_s, now - last), now
                if self._row.extends:
                    limit.deadline = anyio.current_time() + limit_s
                if "method" in come and "id" in come:
                    await self._reply(come, headers)
        assert come.get("id") == message["id"], f"no answer to {method}: {come}"
        assert "result" in come, f"{method}: {come}"
        return come

    async def _reply(self, asked: Message, headers: Mapping[str, str]) -> None:
        assert asked["method"] == "elicitation/create", asked
        await self._wire.send({"jsonrpc": "2.0", "id": asked["id"], "result": self._answer()}, headers)

    def _headers(self, method: str, name: str) -> dict[str, str]:
        headers = {"MCP-Protocol-Version": self._agreed}
        if self._version == MODERN or method == "server/discover":
            headers |= {"Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        return headers
