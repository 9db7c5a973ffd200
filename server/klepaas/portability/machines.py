"""What tells this machine from every other one, also after a restart and under another host name.

The system's own identifier is digested with a word of ours, as its documentation asks for: it is not for others to see.
A container has its image's identifier, or none, so its host name counts too.

Source: machine-id(5), "This ID uniquely identifies the host. It should be considered confidential".
"""

import hashlib
import importlib
import os
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["machine_id"]

_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_OF_CONTAINERS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
_REGISTRY_KEY = r"SOFTWARE\Microsoft\Cryptography"
_CHARS = 16


@cache
def machine_id() -> str:
    """A digest of what identifies this machine, the same in every process on it."""
    found = _system_id()
    parts = [found] if found and not _is_container() else [found, socket.gethostname()]
    return hashlib.sha256(f"klepaas machine {' '.join(parts)}".encode()).hexdigest()[:_CHARS]


def _system_id() -> str:
    """What the system is known by. "": it has no such name."""
    try:
        return {"win32": _of_windows, "darwin": _of_mac}.get(sys.platform, _of_files)()
    except (OSError, ImportError, AttributeError):
        return ""


def _of_files() -> str:
    for path in _FILES:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text and text != "uninitialized":
            return text
    return ""


def _of_mac() -> str:
    """Source: gethostuuid(2)."""
    ctypes: Any = importlib.import_module("ctypes")
    found, wait = (ctypes.c_ubyte * 16)(), (ctypes.c_long * 2)(1, 0)
    return "" if ctypes.CDLL(None).gethostuuid(found, wait) else bytes(found).hex()


def _of_windows() -> str:
    winreg: Any = importlib.import_module("winreg")
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _REGISTRY_KEY) as key:
        return str(winreg.QueryValueEx(key, "MachineGuid")[0])


def _is_container() -> bool:
    return any(os.path.exists(path) for path in _OF_CONTAINERS)
