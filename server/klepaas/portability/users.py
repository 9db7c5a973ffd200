"""The user that the process runs as."""

import getpass
import importlib
import os

__all__ = ["current_user"]


def current_user() -> tuple[str, int | None]:
    """The name and the number of the user, from the system and never from the environment, which anybody can set.

    Returns:
        The name, and the number; None where the system has none, as Windows.
    """
    if hasattr(os, "getuid"):
        uid = os.getuid()
        return _name_of(uid) or f"uid {uid}", uid
    try:
        return os.getlogin(), None  # on Windows it asks the system for the user of this process
    except OSError:
        return getpass.getuser(), None


def _name_of(uid: int) -> str | None:
    try:
        pwd = importlib.import_module("pwd")
    except ImportError:
        return None
    try:
        return str(pwd.getpwuid(uid).pw_name)
    except KeyError:  # a container whose user has no entry
        return None
