"""Start to tools: klepaas against an empty FastMCP server, in one run, alternating.

    python bench/startup.py [ROUNDS]

Each round starts a process, speaks raw JSON-RPC over stdio, and measures until `tools/list` is answered. The cluster
that klepaas is configured with is a black hole: the start must not wait for it. A first round that is not counted
writes the bytecode, which an installed package has.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EMPTY = "from fastmcp import FastMCP\nFastMCP('empty').run(show_banner=False)\n"
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


def main(rounds: int) -> None:
    """Print the figures of both servers and their difference."""
    with tempfile.TemporaryDirectory() as folder, black_hole() as port:
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.write_text(json.dumps(pointing_at(port)))
        kubeconfig.chmod(0o600)
        commands = {"empty FastMCP": ["-c", EMPTY], "klepaas": ["-m", "klepaas", "serve"]}
        times: dict[str, list[float]] = {name: [] for name in commands}
        listed: dict[str, int] = {}
        for counted in [False, *[True] * rounds]:
            for name, command in commands.items():
                duration_ms, size_bytes = start_to_tools(command, kubeconfig)
                if not counted:
                    continue
                times[name].append(duration_ms)
                listed[name] = size_bytes
    for name, values in times.items():
        print(
            f"{name:<14} min {min(values):6.0f}  median {statistics.median(values):6.0f}  max {max(values):6.0f} ms",
            end="",
        )
        print(f"   tools/list {listed[name]} bytes")
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"difference of the medians: {medians['klepaas'] - medians['empty FastMCP']:+.0f} ms (goal: at most +60)")
    print(f"difference of the minima:  {min(times['klepaas']) - min(times['empty FastMCP']):+.0f} ms")


def black_hole() -> Any:
    """A socket that takes connections and never answers."""

    class Hole:
        def __enter__(self) -> int:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.socket.listen()
            return int(self.socket.getsockname()[1])

        def __exit__(self, *_: object) -> None:
            self.socket.close()

    return Hole()


def pointing_at(port: int) -> dict[str, Any]:
    """A kubeconfig whose only cluster listens on this port of this machine."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "hole",
        "contexts": [{"name": "hole", "context": {"cluster": "hole", "user": "nobody"}}],
        "clusters": [{"name": "hole", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "nobody", "user": {}}],
    }


def start_to_tools(command: list[str], kubeconfig: Path) -> tuple[float, int]:
    """Milliseconds from the start of the process to the answer of `tools/list`, and that answer's size in bytes."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        send(process.stdin, {"id": 1, "method": "initialize", "params": INITIALIZE})
        process.stdout.readline()
        send(process.stdin, {"method": "notifications/initialized"})
        send(process.stdin, {"id": 2, "method": "tools/list", "params": {}})
        answer = process.stdout.readline()
        duration_ms = (time.perf_counter() - started) * 1000
        process.stdin.close()
        process.wait(timeout=30)
    return duration_ms, len(json.dumps(json.loads(answer)["result"]["tools"], separators=(",", ":")).encode())


def send(stream: Any, message: dict[str, Any]) -> None:
    """Write one JSON-RPC message."""
    stream.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
