"""Calls a second over HTTP, as a 2026-07-28 client makes them: klepaas against a bare FastMCP server, in one run.

    python bench/http_calls.py [SECONDS]

Both serve one tool that does nothing, the bare one with the same hook that spares it a list before each call. What is
left is what klepaas adds: gate, policy, audit, counters, limits, redaction. SECONDS (10) is the time for each.
"""

import asyncio
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from wire import Http, cost

TURN_S = 0.5
GOAL_PER_S, GOAL_RATIO = 700, 0.7
AT_ONCE = (1, 16)
PLUGIN = '''
from klepaas.hookspecs import hookimpl
from klepaas.tools import Effect, Tool


async def nothing() -> str:
    """Do nothing."""
    return "done"


@hookimpl
def klepaas_tools(host):
    yield Tool(nothing, Effect.READ, title="Nothing", toolset="bench")
'''
BARE = '''
import sys
from fastmcp import FastMCP

server = FastMCP("bare")
server._mcp_server.get_tool_input_schema = lambda name: None


@server.tool(output_schema=None)
async def nothing() -> str:
    """Do nothing."""
    return "done"


quiet = {"log_level": "warning", "access_log": False}
server.run("http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False, uvicorn_config=quiet)
'''
BODY = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "nothing", "arguments": {}, "_meta": Http.META},
    }
).encode()
HEAD = (
    "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
    f"Mcp-Name: nothing\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()


class Server:
    """One server's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def calls_per_s(self, at_once: int, seconds: float) -> float:
        """Call for so long from so many connections at the same time."""
        until = time.perf_counter() + seconds
        began = time.perf_counter()
        counts = await asyncio.gather(*(self._call_until(until) for _ in range(at_once)))
        return sum(counts) / (time.perf_counter() - began)

    async def _call_until(self, until: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        count = 0
        while time.perf_counter() < until:
            writer.write(HEAD + BODY)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            text = await (reader.readexactly(int(length[1])) if length else reader.readuntil(b"\r\n0\r\n\r\n"))
            assert head.startswith(b"HTTP/1.1 200"), head + text
            assert b'"done"' in text, text
            count += 1
        writer.close()
        await writer.wait_closed()
        return count


@asynccontextmanager
async def running(*command: str, port: int, **variables: str) -> AsyncIterator[Server]:
    """A server that answers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLEPAAS_", "FASTMCP_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stderr=asyncio.subprocess.DEVNULL, env={**environment, **variables}
    )
    try:
        await listening(port, time.perf_counter() + 30)
        yield Server(process, port)
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int, until: float) -> None:
    """Wait until somebody answers on a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        if time.perf_counter() > until:
            raise
        await asyncio.sleep(0.1)
        await listening(port, until)
    else:
        writer.close()


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def installed(folder: Path) -> str:
    """A folder in which the plugin with the tool is installed."""
    (folder / "bench_plugin.py").write_text(PLUGIN)
    info = folder / "klepaas_bench-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: klepaas-bench\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[klepaas]\nbench = bench_plugin\n")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


async def main(seconds: float) -> None:
    """Print the figures of both servers and their ratio."""
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        serve = ["-m", "klepaas", "serve", "--http", f"127.0.0.1:{ports[0]}"]
        settings = {
            "PYTHONPATH": installed(Path(folder)),
            "KUBECONFIG": f"{folder}/none",
            "KLEPAAS_STATE_DIR": f"{folder}/state",
            "KLEPAAS_RATE_LIMIT_PER_MINUTE": "0",
        }
        async with (
            running(*serve, port=ports[0], **settings) as ours,
            running("-c", BARE, str(ports[1]), port=ports[1]) as bare,
        ):
            servers = {"klepaas": ours, "bare FastMCP": bare}
            for at_once in AT_ONCE:
                await compare(servers, at_once, seconds)


async def compare(servers: dict[str, Server], at_once: int, seconds: float) -> None:
    """Let the servers take turns with so many connections, in short turns: what else the machine does hits both."""
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for server in servers.values():
        await server.calls_per_s(at_once, 1.0)
    before = {name: cost(server.process.pid).cpu_s for name, server in servers.items()}
    for _ in range(round(seconds / TURN_S)):
        for name, server in servers.items():
            rates[name].append(await server.calls_per_s(at_once, TURN_S))
    for name, server in servers.items():
        found, used_s = rates[name], cost(server.process.pid).cpu_s - before[name]
        spread = f"min {min(found):6.0f}  median {statistics.median(found):6.0f}  max {max(found):6.0f} calls/s"
        print(f"{at_once:3} at once  {name:<13} {spread}   {used_s * 1000 / (sum(found) * TURN_S):.2f} ms CPU a call")
    ours, bare = rates.values()
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    verdict = "met" if statistics.median(ours) >= GOAL_PER_S or ratio >= GOAL_RATIO else "MISSED"
    print(
        f"{at_once:3} at once  ratio {ratio:.2f}: goal {verdict} ({GOAL_PER_S} calls/s or {GOAL_RATIO} of the bare one)"
    )


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
