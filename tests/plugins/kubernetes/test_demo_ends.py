"""`klepaas demo` asked to end: nothing of it is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

_SHORT = """
import sys
from klepaas.__main__ import main
from klepaas_plugins.kubernetes import demo
demo.STORY = demo.STORY[:{steps}]

async def tell_nothing(*_):
    return []

if not demo.STORY:
    demo._walk = tell_nothing  # and start no server for it
sys.argv = ["klepaas", "demo", "--serve"]
main()
"""


@contextmanager
def demo(folder: Path, steps: int, until: str) -> Iterator["subprocess.Popen[str]"]:
    """A demo with the first steps of its story, as soon as it has said something."""
    variables = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-c", _SHORT.format(steps=steps)]
    process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any(until in line for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(scale_timeout(75))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_demo_that_serves_and_is_asked_to_end_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    with demo(tmp_path, 0, "The sandbox stays up") as process:
        assert [path.name for path in tmp_path.glob("klepaas-demo-*/kubeconfig")] == ["kubeconfig"]
        process.send_signal(number)
        assert process.wait(scale_timeout(60)) == 128 + number
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(scale_timeout(75))
def test_a_demo_that_is_asked_to_end_in_the_middle_of_its_story_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, 2, "Connected:") as process:
        process.send_signal(signal.SIGHUP)
        assert process.wait(scale_timeout(60)) == 128 + signal.SIGHUP
    assert list(tmp_path.iterdir()) == []
