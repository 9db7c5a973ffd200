"""Names of the processes that hold operations, and whether such a process has died.

A lease protects against a holder that nobody can ask. A process on this very machine can be asked: when it is gone,
what it held is free at once. Elsewhere, and where this cannot be told, the lease counts.
"""

import hashlib
import os
import re
import secrets
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["is_gone", "new_holder"]

_HOLDER = re.compile(r"[^/]*/m([0-9a-f]{16})/(\d{1,10})/[0-9a-f]{8}")
_WINDOWS = sys.platform == "win32"


def new_holder() -> str:
    """A name for this process, which no other one has or will have."""
    return f"{socket.gethostname()[:60]}/m{_machine()}/{os.getpid()}/{secrets.token_hex(4)}"


def is_gone(holder: str) -> bool:
    """Whether a process has surely died.

    Args:
        holder: As `new_holder` named it.

    Returns:
        False also where nobody can tell: it ran on another machine, in another container, or before a restart.
    """
    found = _HOLDER.fullmatch(holder)
    # On Windows, asking by a signal would end the process.
    if found is None or _WINDOWS or not _can_tell() or found[1] != _machine():
        return False
    return not _is_alive(int(found[2]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    with suppress(OSError, IndexError):  # dead, and its parent has not looked yet
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    return True


def _can_tell() -> bool:
    return bool(_boot())


@cache
def _machine() -> str:
    """What processes share whose numbers can be compared: the machine, its start, and the container."""
    return hashlib.sha256(f"{socket.gethostname()} {_boot()}".encode()).hexdigest()[:16]


@cache
def _boot() -> str:
    """The machine's start and the namespace of process numbers. "": not known, so no number means anything."""
    if sys.platform == "darwin":
        return "darwin"  # it has one namespace
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot_id} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
