"""Programs that klepaas starts: away from our terminal and our streams, and ended with all that they started.

POSIX has sessions and groups of processes for it, Windows a job of processes, which the MCP library knows how to use.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO, cast

import anyio
from anyio.abc import Process

__all__ = [
    "INHERITED",
    "ask_to_end",
    "base_environment",
    "end",
    "is_batch_file",
    "program_name",
    "start",
    "with_suffixes",
]

# What a program needs to find itself and its files; nothing that could be a secret of klepaas or of its client.
INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_CACHE_HOME"),
    # The same on Windows, where hardly a program starts without the first ones.
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERNAME", "USERPROFILE"),
    *("HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROCESSOR_ARCHITECTURE"),
)
_PROGRAM_SUFFIXES = (".exe", ".cmd", ".bat", ".com")
_BATCH_SUFFIXES = (".cmd", ".bat")
_WINDOWS = sys.platform == "win32"


def base_environment() -> dict[str, str]:
    """The variables that every program gets. Ours may hold keys that a client handed on: those reach no program."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def program_name(command: str) -> str:
    """The name of a program without its folder and without the suffix that Windows gives it.

    Args:
        command: The program as somebody names it.
    """
    name = os.path.basename(command)
    stem, suffix = os.path.splitext(name)
    return stem if _WINDOWS and suffix.lower() in _PROGRAM_SUFFIXES else name


def is_batch_file(program: str) -> bool:
    """Whether Windows runs it through its shell, which would read the arguments once more.

    Args:
        program: The program's path.
    """
    return os.path.splitext(program)[1].lower() in _BATCH_SUFFIXES


def with_suffixes(program: Path) -> list[Path]:
    """The files that a program's path may mean: on Windows `npx` is npx.cmd.

    Args:
        program: The path as somebody names it.
    """
    if not _WINDOWS:
        return [program]
    known = os.environ.get("PATHEXT", os.pathsep.join(_PROGRAM_SUFFIXES)).split(os.pathsep)
    if program.suffix.lower() in (suffix.lower() for suffix in known):
        return [program]
    return [program.with_name(f"{program.name}{suffix}") for suffix in known]


async def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str | os.PathLike[str] | None,
    stdin: int | IO[bytes] = subprocess.PIPE,
) -> Process:
    """Start a program whose output and errors we read.

    Args:
        command: The program and its arguments; no shell sees them.
        environment: All its variables.
        folder: Where it starts; None for our own folder.
        stdin: Its input: a pipe, or nothing (`subprocess.DEVNULL`).

    Returns:
        The process, to be given to `end` in any case.

    Raises:
        OSError: It cannot be started.
    """
    if sys.platform == "win32":
        return await _start_in_job(command, environment, folder, stdin)
    else:  # noqa: RET505 -- mypy knows only this form
        return await anyio.open_process(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )


async def _start_in_job(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: str | os.PathLike[str] | None,
    stdin: int | IO[bytes],
) -> Process:
    from mcp.os.win32.utilities import create_windows_process

    place = str(folder) if folder is not None else None
    errors = cast(TextIO, subprocess.PIPE)  # it hands on whatever subprocess takes
    process = await create_windows_process(command[0], [*command[1:]], {**environment}, errors, place)
    if not isinstance(process, Process):
        process.kill()
        raise OSError("this event loop starts no processes")
    if stdin == subprocess.DEVNULL and process.stdin is not None:
        await process.stdin.aclose()
    return process


def ask_to_end(process: Process) -> None:
    """Ask a program and all that it started to end. Windows knows no such request: there nothing happens.

    Args:
        process: The program.
    """
    if sys.platform != "win32":
        _signal_group(process, signal.SIGTERM)


async def end(process: Process) -> None:
    """End a program and all that it started at once; also what outlived it.

    Args:
        process: The program.
    """
    if sys.platform == "win32":
        from mcp.os.win32.utilities import terminate_windows_process_tree

        await terminate_windows_process_tree(process)
    else:
        _signal_group(process, signal.SIGKILL)


if sys.platform != "win32":

    def _signal_group(process: Process, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
