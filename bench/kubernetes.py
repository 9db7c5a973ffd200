"""klepaas beside a bare server and its peers, on the same cluster, in one run.

    python bench/kubernetes.py [--kubeconfig FILE] [--rounds N] [--peer NAME=COMMAND ...]

Without a kubeconfig a sandbox with 2,000 pods is started in a process of its own. Known peers (kubernetes-mcp-server,
mcp-server-kubernetes, kubectl-mcp-server) need only their command; see PEERS for how each lists pods. It prints, for
each server: start to tools, bytes of tools/list, latency of a list of 100 pods and of all pods, calls a second with 16
at once, bytes of the answers, processor time and memory; and each figure's ratio to klepaas'.
"""

import argparse
import asyncio
import os
import shlex
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from wire import Http, Stdio, cost, now_ms, python, text_of

HERE = Path(__file__).parent
NAMESPACE = "load-0"


@dataclass(frozen=True)
class Server:
    """A server to measure: its command, and the calls that list 100 pods and all pods. None: it cannot."""

    name: str
    command: list[str]
    tool: str
    hundred: Mapping[str, Any]
    everything: Mapping[str, Any] | None


PEERS: dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any] | None]] = {
    "kubernetes-mcp-server": ("pods_list_in_namespace", {"namespace": NAMESPACE}, None),
    "mcp-server-kubernetes": ("kubectl_get", {"resourceType": "pods", "namespace": NAMESPACE, "name": ""}, None),
    "kubectl-mcp-server": ("kubectl_get", {"resource_type": "pods", "namespace": NAMESPACE}, None),
}


@dataclass
class Figures:
    """What was measured of one server."""

    start_ms: float
    tools_bytes: int
    hundred_ms: float
    hundred_bytes: int
    at_once_a_second: float
    cpu_ms_a_call: float
    rss_mb: float
    everything_ms: float | None = None
    everything_bytes: int | None = None


async def measure(
    server: Server, environment: Mapping[str, str], rounds: int, over: type[Stdio] | type[Http]
) -> Figures:
    """Measure one server."""
    started = now_ms()
    async with over(server.command, environment) as wire:
        await wire.request("tools/list", {})
        start_ms, tools_bytes = now_ms() - started, wire.answer_bytes
        hundred = {"name": server.tool, "arguments": server.hundred}
        for _ in range(3):
            await wire.request("tools/call", hundred)
        before = cost(wire.pid)
        times = []
        for _ in range(rounds):
            began = now_ms()
            answer = await wire.request("tools/call", hundred)
            times.append(now_ms() - began)
        after = cost(wire.pid)
        began = now_ms()
        await asyncio.gather(*(wire.request("tools/call", hundred) for _ in range(max(16, rounds // 16 * 16))))
        at_once = max(16, rounds // 16 * 16) / (now_ms() - began) * 1000
        figures = Figures(
            start_ms,
            tools_bytes,
            statistics.median(times),
            len(text_of(answer).encode()),
            at_once,
            (after.cpu_s - before.cpu_s) / rounds * 1000,
            after.rss_mb,
        )
        if server.everything is not None:
            await _everything(wire, server, figures)
    return figures


async def _everything(wire: Stdio | Http, server: Server, figures: Figures) -> None:
    times = []
    for _ in range(5):
        began = now_ms()
        answer = await wire.request("tools/call", {"name": server.tool, "arguments": server.everything})
        times.append(now_ms() - began)
    figures.everything_ms = statistics.median(times)
    figures.everything_bytes = len(text_of(answer).encode())


def servers(peers: list[str]) -> Iterator[tuple[Server, type[Stdio] | type[Http]]]:
    """klepaas and the bare server over both transports, then the peers over stdio."""
    ours = {"kind": "pods", "namespace": NAMESPACE}
    klepaas = [python(), "-m", "klepaas", "serve"]
    bare = [python(), str(HERE / "bare_server.py")]
    all_pods = {"kind": "pods", "all_namespaces": True}
    yield Server("klepaas, stdio", klepaas, "k8s_get", ours, all_pods), Stdio
    yield Server("bare FastMCP, stdio", bare, "list_pods", {"namespace": NAMESPACE}, {}), Stdio
    yield Server("klepaas, HTTP", [*klepaas, "--http", "127.0.0.1:0"], "k8s_get", ours, all_pods), Http
    for peer in peers:
        name, _, command = peer.partition("=")
        tool, hundred, everything = PEERS[name]
        yield Server(f"{name}, stdio", shlex.split(command), tool, hundred, everything), Stdio


@contextmanager
def cluster(kubeconfig: str | None) -> Iterator[str]:
    """The kubeconfig of the cluster to measure on."""
    if kubeconfig:
        yield kubeconfig
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        with Popen([python(), str(HERE / "loaded_sandbox.py"), str(path)], stdin=PIPE, stdout=PIPE) as sandbox:
            assert sandbox.stdout is not None
            assert sandbox.stdin is not None
            sandbox.stdout.readline()
            try:
                yield str(path)
            finally:
                sandbox.stdin.close()


def show(rows: dict[str, Figures]) -> None:
    """Print the table and, in brackets, how many times klepaas' figure each one is."""
    columns = [field.name for field in fields(Figures)]
    base = next(iter(rows.values()))
    print("| server | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, figures in rows.items():
        cells = []
        for column in columns:
            value, ours = getattr(figures, column), getattr(base, column)
            cells.append("" if value is None else f"{value:.4g} ({value / ours:.2f})" if ours else f"{value:.4g}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", help="the cluster; namespace load-0 holds 100 pods")
    parser.add_argument("--rounds", type=int, default=64)
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=COMMAND", help=f"one of {', '.join(PEERS)}"
    )
    arguments = parser.parse_args()
    rows: dict[str, Figures] = {}
    with cluster(arguments.kubeconfig) as kubeconfig:
        environment = {**os.environ, "KUBECONFIG": kubeconfig}
        for server, over in servers(arguments.peer):
            rows[server.name] = asyncio.run(measure(server, environment, arguments.rounds, over))
    show(rows)


if __name__ == "__main__":
    main()
