"""Speaks to klepaas as a row does: its handshake, its way of sending arguments, its limits; no MCP library."""

import itertools
import json
import time
from collections.abc import Mapping
from typing import Any, cast

import anyio
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from klepaas.testing import scale_timeout

from .rows import MODERN, Result, Row
from .wire import Message, Patience, Wire

__all__ = ["Player", "text_of"]

# No client waits for ever; a test that hangs says where.
ANSWER_LIMIT_S = scale_timeout(50)


def text_of(result: Result) -> str:
    """The text of a result, whole."""
    return "\n".join(block["text"] for block in result["content"])


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
        self.heard = 0
        self.arrived = anyio.Event()
        self.longest_call_s = 0.0
        self.longest_silence_s = 0.0

    async def connect(self) -> None:
        """Begin as the client does."""
        if self._row.probe:
            found = await self._ask("server/discover", self._envelope({}), MODERN)
            assert MODERN in found["result"]["supportedVersions"]
        if self._version != MODERN:
            await self.initialize()

    async def give_up_the_probe(self, until: Patience, *, withdrawn: bool) -> None:
        """Ask for discovery, and give it up.

        Args:
            until: Returns when the client's patience ends.
            withdrawn: Whether the client says so.
        """
        message = self._message("server/discover", self._envelope({}))
        headers = {**self._headers("server/discover", ""), "MCP-Protocol-Version": MODERN}
        await self._wire.abandon(message, headers, until, withdrawn=withdrawn)

    async def initialize(self) -> None:
        """Shake hands."""
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

    def refusal(self, tool: str, arguments: Mapping[str, Any]) -> str | None:
        """What the client itself says of arguments, in the words of its validator; None where it lets them pass."""
        schema = self._schemas[tool]
        if self._row.checks is None:
            return None
        missing = [name for name in schema.get("required", ()) if name not in arguments]
        if missing:
            return f"params must have required property '{missing[0]}'"
        if self._row.checks == "required":
            return None
        error = next(iter(Draft202012Validator(schema).iter_errors(dict(arguments))), None)
        return None if error is None else f"params/{'/'.join(map(str, error.path))} {error.message}"

    async def call(self, tool: str, **arguments: Any) -> Result:
        """Call a tool; the whole result."""
        shaped = self._shaped(tool, arguments)
        refusal = self.refusal(tool, shaped)
        if refusal is not None:
            return {"content": [{"type": "text", "text": refusal}], "isError": True}
        params: Message = {"name": tool, "arguments": shaped}
        result = (await self._request("tools/call", params))["result"]
        if result.get("resultType") == "input_required":
            answers = {name: self._answer() for name in result["inputRequests"]}
            again = {**params, "inputResponses": answers, "requestState": result["requestState"]}
            result = (await self._request("tools/call", again))["result"]
        return cast(Result, result)

    async def give_up_a_call(self, until: Patience, tool: str, **arguments: Any) -> None:
        """Call a tool, and give it up as the client does at its limit.

        Args:
            until: Returns when that is.
            tool: The tool.
            arguments: Of the call.
        """
        params, version = self._carried("tools/call", {"name": tool, "arguments": self._shaped(tool, arguments)})
        headers = {**self._headers("tools/call", tool), "MCP-Protocol-Version": version}
        await self._wire.abandon(self._message("tools/call", params), headers, until, withdrawn=True)

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
        params, version = self._carried(method, params)
        return await self._ask(method, params, version)

    def _carried(self, method: str, params: Message) -> tuple[Message, str]:
        """A request's parameters with what the client sends beside, and the version that it is sent in."""
        meta: Message = {}
        if self._row.progress and method == "tools/call":
            meta["progressToken"] = f"token-{next(self._ids)}"
        if self._version == MODERN:
            return self._envelope(params, meta), MODERN
        return {**params, **({"_meta": meta} if meta else {})}, self._agreed

    def _envelope(self, params: Message, meta: Mapping[str, Any] | None = None) -> Message:
        prefix = "io.modelcontextprotocol/"
        said = {
            f"{prefix}protocolVersion": MODERN,
            f"{prefix}clientCapabilities": self._row.capabilities,
            f"{prefix}clientInfo": {"name": self._row.called, "version": "1"},
        }
        return {**params, "_meta": {**said, **(meta or {})}}

    def _message(self, method: str, params: Message) -> Message:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    async def _ask(self, method: str, params: Message, version: str | None) -> Message:
        message = self._message(method, params)
        headers = self._headers(method, params.get("name", "")) if version else {}
        if version:
            headers["MCP-Protocol-Version"] = version
        come = await self._answered(message, headers)
        assert come.get("id") == message["id"], f"no answer to {method}: {come}"
        assert "result" in come, f"{method}: {come}"
        return come

    async def _answered(self, message: Message, headers: Mapping[str, str]) -> Message:
        """The answer to a request, and how long the client waited in silence for it and for what came before."""
        began_at = last = time.monotonic()
        come: Message = {}
        with anyio.fail_after(ANSWER_LIMIT_S):
            async for come in self._wire.exchange(message, headers):
                now = time.monotonic()
                self.longest_silence_s, last = max(self.longest_silence_s, now - last), now
                self._note()
                if "method" in come and "id" in come:
                    await self._reply(come, headers)
        self.longest_call_s = max(self.longest_call_s, time.monotonic() - began_at)
        return come

    def _note(self) -> None:
        self.heard += 1
        self.arrived.set()
        self.arrived = anyio.Event()

    async def _reply(self, asked: Message, headers: Mapping[str, str]) -> None:
        assert asked["method"] == "elicitation/create", asked
        await self._wire.send({"jsonrpc": "2.0", "id": asked["id"], "result": self._answer()}, headers)

    def _headers(self, method: str, name: str) -> dict[str, str]:
        headers = {"MCP-Protocol-Version": self._agreed}
        if self._version == MODERN or method == "server/discover":
            headers |= {"Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        return headers
