"""Start to tools: klepaas against an empty FastMCP server, in one run, alternating.

    python bench/startup.py [ROUNDS]

Each round starts a process, speaks raw JSON-RPC over stdio, and measures until `tools/list` is answered; then it ends
the process. The cluster that klepaas is configured with is a black hole: the start must not wait for it. A first round
that is not counted writes the bytecode, which an installed package has. Where other programs use the machine, go by the
processor's time.
"""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
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
        starts: dict[str, list[Start]] = {name: [] for name in commands}
        for counted in [False, *[True] * rounds]:
            for name, command in commands.items():
                start = start_to_tools(command, kubeconfig)
                if counted:
                    starts[name].append(start)
    for name, of_one in starts.items():
        print(f"{name:<14} tools/list {of_one[0].list_bytes} bytes")
    compare("until the list", {name: [start.wall_ms for start in of_one] for name, of_one in starts.items()})
    compare("of the processor", {name: [start.cpu_ms for start in of_one] for name, of_one in starts.items()})


def compare(what: str, times_ms: dict[str, list[float]]) -> None:
    """Print the figures of both servers and their difference."""
    medians = {name: statistics.median(values) for name, values in times_ms.items()}
    minima = {name: min(values) for name, values in times_ms.items()}
    for name, values in times_ms.items():
        print(f"{name:<14} {what}: min {minima[name]:.0f}  median {medians[name]:.0f}  max {max(values):.0f} ms")
    ours, empty = "klepaas", "empty FastMCP"
    print(
        f"difference {what}: {medians[ours] - medians[empty]:+.0f} ms in the median, "
        f"{minima[ours] - minima[empty]:+.0f} ms between the minima (goal: at most +60)"
    )


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


@dataclass(frozen=True)
class Start:
    """One start: how long until `tools/list` was answered, what it took of the processor, and the answer's size."""

    wall_ms: float
    cpu_ms: float
    list_bytes: int


def start_to_tools(command: list[str], kubeconfig: Path) -> Start:
    """Start a server, list its tools, and end it."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started, used_s = time.perf_counter(), used_by_children_s()
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
        wall_ms = (time.perf_counter() - started) * 1000
        process.kill()  # at once: what it does after the list is no part of the start
        process.wait(timeout=30)
    tools = json.loads(answer)["result"]["tools"]
    cpu_ms = (used_by_children_s() - used_s) * 1000
    return Start(wall_ms, cpu_ms, len(json.dumps(tools, separators=(",", ":")).encode()))


def used_by_children_s() -> float:
    """What ended children of this process took of the processor, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def send(stream: Any, message: dict[str, Any]) -> None:
    """Write one JSON-RPC message."""
    stream.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
