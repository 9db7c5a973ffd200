"""What one read costs: processor time of a call of klepaas beside that of a bare FastMCP tool, in one run.

    python bench/reads.py [--kubeconfig FILE --namespace NAME --pod NAME] [--rounds N]

Without a kubeconfig a sandbox with pods of production's size is started in a process of its own. Both servers answer
over stdio, in turns, and the least of some turns counts. klepaas may take at most `LIMIT` times the bare tool's time.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from wire import Stdio, cost, python

HERE = Path(__file__).parent
LIMIT = 3.0
TURNS = 5


@dataclass(frozen=True)
class Read:
    """One read: what each server is asked, by name and arguments of its tool."""

    name: str
    klepaas: tuple[str, Mapping[str, Any]]
    bare: tuple[str, Mapping[str, Any]]


def reads(namespace: str, pod: str) -> list[Read]:
    """What is measured."""
    place = {"namespace": namespace}
    return [
        Read(
            "one object as YAML",
            ("k8s_get", {"kind": "pods", "name": pod, "output": "yaml", **place}),
            ("get_pod", {"name": pod, **place}),
        ),
        Read("a table of 100 rows", ("k8s_get", {"kind": "pods", "limit": 100, **place}), ("list_pods", place)),
    ]


async def measure(
    environment: Mapping[str, str], namespace: str, pod: str, rounds: int
) -> dict[str, tuple[float, float]]:
    """The processor time of a call of each read, in ms: klepaas', and the bare tool's."""
    ours, theirs = [python(), "-m", "klepaas", "serve"], [python(), str(HERE / "bare_server.py")]
    found: dict[str, tuple[float, float]] = {}
    async with Stdio(ours, environment) as klepaas, Stdio(theirs, environment) as bare:
        for read in reads(namespace, pod):
            pair = [float("inf"), float("inf")]
            for _ in range(TURNS):
                for at, (wire, call) in enumerate(((klepaas, read.klepaas), (bare, read.bare))):
                    pair[at] = min(pair[at], await _cpu_ms(wire, call, rounds))
            found[read.name] = (pair[0], pair[1])
    return found


async def _cpu_ms(wire: Stdio, call: tuple[str, Mapping[str, Any]], rounds: int) -> float:
    request = {"name": call[0], "arguments": call[1]}
    answer = await wire.request("tools/call", request)
    if answer["result"].get("isError"):
        raise RuntimeError(answer["result"])
    before = cost(wire.pid).cpu_s
    for _ in range(rounds):
        await wire.request("tools/call", request)
    return (cost(wire.pid).cpu_s - before) / rounds * 1000


@contextmanager
def _sandbox() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        command = [python(), str(HERE / "sandbox_of_large_pods.py"), str(path)]
        with Popen(command, stdin=PIPE, stdout=PIPE) as sandbox:
            assert sandbox.stdout is not None
            assert sandbox.stdin is not None
            sandbox.stdout.readline()
            try:
                yield str(path)
            finally:
                sandbox.stdin.close()


def main() -> int:
    """Measure, print, and say by the exit code whether the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", help="the cluster; without it a sandbox is started")
    parser.add_argument("--namespace", default="shop")
    parser.add_argument("--pod", default="web-0")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.kubeconfig:
        return _run(arguments.kubeconfig, arguments)
    with _sandbox() as kubeconfig:
        return _run(kubeconfig, arguments)


def _run(kubeconfig: str, arguments: argparse.Namespace) -> int:
    environment = {**os.environ, "KUBECONFIG": kubeconfig}
    found = asyncio.run(measure(environment, arguments.namespace, arguments.pod, arguments.rounds))
    print("| read | klepaas, ms of CPU | bare FastMCP tool, ms of CPU | ratio |")
    print("|---|---|---|---|")
    for name, (ours, theirs) in found.items():
        print(f"| {name} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} (at most {LIMIT:g}) |")
    return int(any(ours > LIMIT * theirs for ours, theirs in found.values()))


if __name__ == "__main__":
    sys.exit(main())
