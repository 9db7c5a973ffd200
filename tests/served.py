"""`klepaas serve --http` in a process of its own, for tests whose client is not a coroutine."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from klepaas.testing import scale_timeout

SERVE = [sys.executable, "-m", "klepaas", "serve"]
START_LIMIT_S, END_LIMIT_S = scale_timeout(30), scale_timeout(20)


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Attributes:
        process: Its process.
        url: Where it answers.
    """

    process: subprocess.Popen[bytes]
    url: str


def unconfigured(folder: Path, **variables: str) -> dict[str, str]:
    """An environment in which nothing is configured and strange plugins are off.

    Args:
        folder: An empty folder, which becomes its home.
        variables: What is set beside.
    """
    foreign = ("KLEPAAS_", "FASTMCP_", "KUBE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    own = {"HOME": str(folder), "KUBECONFIG": str(folder / "none"), "KLEPAAS_STATE_DIR": str(folder / "state")}
    return {**kept, **own, **variables}


@contextmanager
def served(*options: str, environment: Mapping[str, str], stderr: Path) -> Iterator[Served]:
    """Serve while inside; the server must live until then, and end in order when it is asked to.

    Args:
        options: Of `klepaas serve`.
        environment: The process's.
        stderr: A file for what it says.
    """
    with stderr.open("wb") as log:
        process = subprocess.Popen(
            [*SERVE, *options, "--http", "127.0.0.1:0"], env=environment, stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        yield Served(process, _announced(stderr, process))
        assert process.poll() is None, stderr.read_text()
        process.terminate()
        assert process.wait(END_LIMIT_S) == 143
    finally:
        process.kill()
        process.wait()


def _announced(stderr: Path, process: subprocess.Popen[bytes]) -> str:
    until, pause = time.monotonic() + START_LIMIT_S, threading.Event()
    while time.monotonic() < until:
        told = re.search(r"http://\S+/mcp", stderr.read_text())
        if told:
            return told.group()
        assert process.poll() is None, stderr.read_text()
        pause.wait(0.02)
    raise TimeoutError(stderr.read_text())
