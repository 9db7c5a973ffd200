"""`klepaas call` asks whoever sits at the terminal, and nobody else."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

CODE = """
    @hookimpl
    def klepaas_tools(host):
        yield tool("wipe", Effect.DESTRUCTIVE, "wiped")
"""
COMMAND = [sys.executable, "-m", "klepaas", "call", "wipe", "--writes"]


@pytest.mark.parametrize(("typed", "exit_code"), [("yes\n", 0), ("y\n", 1), ("\n", 1)])
def test_a_change_is_made_when_the_person_types_yes(
    distribute: Callable[..., Path], klepaas_environment: dict[str, str], typed: str, exit_code: int
) -> None:
    distribute("wiper", CODE)
    ours, theirs = pty.openpty()
    with (
        open(ours, "wb", buffering=0) as terminal,
        subprocess.Popen(
            COMMAND, env=klepaas_environment, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
        ) as process,
    ):
        os.close(theirs)
        said = b""
        while b"Type yes" not in said:
            said += os.read(ours, 4096)
        terminal.write(typed.encode())
        output, _ = process.communicate(timeout=scale_timeout(30))
    assert process.returncode == exit_code
    assert output == (b"wiped\n" if exit_code == 0 else b"")
    assert b"Tool: wipe (destructive)" in said


def test_where_nobody_sits_a_change_that_needs_a_person_is_refused(
    distribute: Callable[..., Path], klepaas: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    distribute("wiper", CODE)
    done = klepaas("call", "wipe", "--writes")
    assert done.returncode == 1
    assert "needs a person's confirmation" in done.stderr
