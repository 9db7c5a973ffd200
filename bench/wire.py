"""Raw JSON-RPC to an MCP server process over stdio or HTTP, and what the process costs. No MCP library in between."""

import asyncio
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx

LIMIT_S = 120.0
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
TICKS_A_SECOND = int(getattr(os, "sysconf", lambda _: 1)("SC_CLK_TCK"))  # read from /proc, so on Linux alone
LINE_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Cost:
    """What a process and its children have used so far: processor seconds, and memory in MB."""

    cpu_s: float
    rss_mb: float


class Stdio:
    """One server process, spoken to over its standard streams.

    Args:
        command: The server's command.
        environment: Its environment.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = dict(environment)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.answer_bytes = 0

    async def __aenter__(self) -> "Stdio":
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            limit=LINE_MAX_BYTES,
        )
        self._reader = asyncio.create_task(self._read())
        await self.request("initialize", INITIALIZE)
        self._send({"method": "notifications/initialized"})
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._reader.cancel()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(self._waiting[number], LIMIT_S)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.lstrip()[:1] != b"{":
                continue
            message = json.loads(line)
            waiting = self._waiting.pop(message.get("id"), None)
            if waiting is not None:
                self.answer_bytes = len(line)
                waiting.set_result(message)


class Http:
    """One server process, spoken to over streamable HTTP, as a 2026-07-28 client would.

    Args:
        command: The server's command; it tells its address on stderr.
        environment: Its environment.
    """

    META: ClassVar[dict[str, Any]] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = dict(environment)
        self._ids = itertools.count(1)
        self.answer_bytes = 0

    async def __aenter__(self) -> "Http":
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, env=self._environment
        )
        self._url = await asyncio.wait_for(self._announced(), 30)
        self._client = httpx.AsyncClient(timeout=LIMIT_S, trust_env=False, limits=httpx.Limits(max_connections=32))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 20)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": {**params, "_meta": self.META}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            **({"Mcp-Name": str(params["name"])} if "name" in params else {}),
        }
        response = await self._client.post(self._url, json=body, headers=headers)
        self.answer_bytes = len(response.content)
        text = response.text
        found = re.findall(r"^data: (.*)$", text, re.MULTILINE)
        message: dict[str, Any] = json.loads(found[-1] if found else text)
        return message

    async def _announced(self) -> str:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            found = re.search(rb"http://[0-9.]+:\d+/mcp", line)
            if found:
                self._drain = asyncio.create_task(self._process.stderr.read())
                return found.group().decode()
        raise RuntimeError("the server announced no address")


def cost(pid: int) -> Cost:
    """What a process and its descendants have used.

    Args:
        pid: The process.
    """
    cpu_s = rss_mb = 0.0
    for member in _family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(") ")[2].split()
            status = Path(f"/proc/{member}/status").read_text()
        except OSError:
            continue
        # Own time and that of children that have ended: a server may start a process for each call.
        cpu_s += sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICKS_A_SECOND
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        rss_mb += int(found.group(1)) / 1024 if found else 0.0
    return Cost(cpu_s, rss_mb)


def _family(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        try:
            tasks = Path(f"/proc/{member}/task").iterdir()
            found.extend(int(child) for task in tasks for child in (task / "children").read_text().split())
        except OSError:
            continue
    return found


def text_of(answer: Mapping[str, Any]) -> str:
    """The text of a tool call's answer; an error ends the benchmark."""
    result = answer.get("result")
    if not isinstance(result, dict) or result.get("isError"):
        raise SystemExit(f"the call failed: {json.dumps(answer)[:500]}")
    return "\n".join(str(block.get("text", "")) for block in result.get("content", ()))


def python() -> str:
    """The interpreter that runs the benchmark."""
    return sys.executable


def now_ms() -> float:
    """A clock for differences, in milliseconds."""
    return time.perf_counter() * 1000
