"""Which program a name means: looked for once, found as a file that nobody else may change, and started by its path.

A name is looked for in the absolute folders of PATH: never in the working directory, where an attacker's checkout may
lie, although `.` or an empty part of PATH would say so, and Windows does so unasked. A relative path counts from a
folder that is named with it, for example the kubeconfig's; without one it is refused. What is found must be safe from
other users (`klepaas.portability.writers`). What lies on the way to klepaas itself is taken as it is: who may write
there may change klepaas.

A graphical client starts klepaas with the short PATH of the desktop, not with the one of the user's shell.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from klepaas.output.safe import limit_length, shorten
from klepaas.portability import processes
from klepaas.portability.writers import find_other_writer

__all__ = ["MissingProgram", "UnsafeProgram", "UnusableProgram", "find_program", "program_problem", "search_folders"]

_PATH_MAX_CHARS = 400


class UnusableProgram(Exception):
    """A program that is not started.

    Args:
        command: As it was to be started: a name, or a path.
        reason: See below.
        next_step: See below.

    Attributes:
        name: Its name.
        reason: To go after its name: "is not found on the PATH of the klepaas server (/usr/bin:/bin)".
        next_step: What to do; the name of what to correct is to be added by whoever knows it.
    """

    def __init__(self, command: str, reason: str, next_step: str) -> None:
        super().__init__(reason)
        self.name = limit_length(os.path.basename(command), 60) or "(nameless)"
        self.reason = reason
        self.next_step = next_step


class MissingProgram(UnusableProgram):
    """A program that is not there.

    Args:
        command: As it was to be started: a name, or a path.
    """

    def __init__(self, command: str) -> None:
        name = limit_length(os.path.basename(command), 60) or "(nameless)"
        if os.path.dirname(command):
            reason = f"is not at {limit_length(command, _PATH_MAX_CHARS)}, or is not executable"
            super().__init__(command, reason, f"Install {name} there, or correct its path")
            return
        path = os.environ.get("PATH", "")
        shown = shorten(path, _PATH_MAX_CHARS)
        super().__init__(
            command,
            f"is not found on the PATH of the klepaas server ({shown or 'empty'})",
            f"Install {name}. If it runs in your terminal, the client has started klepaas with a shorter PATH, as "
            f"graphical clients do: give the whole path that `which {name}` prints, or set PATH in the env of "
            "klepaas' entry in the client's configuration",
        )


class UnsafeProgram(UnusableProgram):
    """A program that is there, and is not safe to start."""


def find_program(command: str, *, path: str | None = None, folder: Path | None = None) -> Path:
    """The program that a name means, by its absolute path.

    Args:
        command: A name, or a path.
        path: Where names are looked for, as PATH says it. None: the PATH of this process.
        folder: Where a relative path begins. None: there is no such place, and a relative path is refused.

    Raises:
        MissingProgram: It is not there.
        UnsafeProgram: Somebody else may change it, or it is named by a relative path.
    """
    found = next((place for place in _candidates(command, path, folder) if _is_program(place)), None)
    if found is None:
        raise MissingProgram(command)
    writer = find_other_writer(found, given=(Path(sys.executable), Path(__file__)))
    if writer is not None:
        name = limit_length(os.path.basename(command), 60)
        step = f"Run `{writer.repair}`, or use a {name} in a folder of your own or the system's"
        raise UnsafeProgram(command, f"is not safe to start: {writer.reason}", step)
    return found


def program_problem(command: str, *, folder: Path | None = None) -> UnusableProgram | None:
    """Why a program cannot be started. None: nothing is in the way.

    Args:
        command: A name, or a path.
        folder: Where a relative path begins. None: nowhere.
    """
    try:
        find_program(command, folder=folder)
    except UnusableProgram as exc:
        return exc
    return None


def search_folders(path: str | None = None) -> list[Path]:
    """The folders in which names are looked for; what is relative in a PATH is none.

    Args:
        path: As PATH says it. None: the PATH of this process.
    """
    said = os.environ.get("PATH", os.defpath) if path is None else path
    return [Path(part) for part in said.split(os.pathsep) if os.path.isabs(part)]


def _candidates(command: str, path: str | None, folder: Path | None) -> Iterator[Path]:
    if not command or "\0" in command:
        return
    if os.path.dirname(command):
        place = Path(command)
        if not place.is_absolute():
            if folder is None or not folder.is_absolute():
                raise UnsafeProgram(
                    command, "is named by a relative path", f"Write the whole path of {place.name}, or its name alone"
                )
            place = folder / place
        yield from processes.with_suffixes(place)
        return
    for place in search_folders(path):
        yield from processes.with_suffixes(place / command)


def _is_program(place: Path) -> bool:
    try:
        return stat.S_ISREG(place.stat().st_mode) and os.access(place, os.X_OK)
    except (OSError, ValueError):
        return False
