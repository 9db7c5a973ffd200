"""Transcripts in the documentation: their commands are run in one shell, and what they print is compared.

In a block ```console, a line `$ command` begins a command, lines `> more` go on with it, and what follows is its
output; `...` on a line of its own stands for any lines, elsewhere for any text.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "--- end of command"


@dataclass(frozen=True)
class Command:
    """One command of a transcript, and what it printed when the transcript was written."""

    text: str
    printed: str


def commands_in(page: str) -> Iterator[Command]:
    """The commands of a page, in order."""
    for block in _BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            more = [line[2:] for line in lines[1:] if line.startswith(">")]
            printed = [line for line in lines[1:] if not line.startswith(">")]
            yield Command("\n".join([lines[0], *more]), "\n".join(printed))


def run(commands: list[Command], folder: Path, variables: dict[str, str], timeout_s: float) -> list[str]:
    """Run commands one after another in one shell; what it left running is ended.

    Returns:
        What each printed, on either stream.
    """
    script = "\n".join(f"{command.text}\nprintf '%s\\n' '{_MARK}'" for command in commands)
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(script, timeout=timeout_s)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it left nothing running
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    return printed.split(f"{_MARK}\n")[:-1]


def fits(expected: str, printed: str) -> bool:
    """Whether what was printed is what the transcript shows."""
    # Which of the two states of a container that keeps crashing is seen depends on the moment of the look.
    printed = re.sub(r"Error \((exit code \d+), \d+ restarts?\)", r"CrashLoopBackOff (\1)", printed)
    pattern = "\n".join(
        ".*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") for line in expected.splitlines()
    )
    # Lines of dots may stand for no line at all.
    pattern = pattern.replace(".*\n", "(?:.*\n)?").replace("\n.*", "(?:\n.*)?")
    return re.fullmatch(pattern, printed.strip("\n"), re.DOTALL) is not None
