"""Why a program is not found: where it was looked for, and why that may be another place than a terminal's.

A graphical client starts klepaas with the short PATH of the desktop, not with the one of the user's shell.
"""

import os

__all__ = ["MissingProgram"]

_PATH_MAX_CHARS = 400


class MissingProgram:
    """A program that is not there.

    Args:
        command: As it was to be started: a name, or a path.

    Attributes:
        name: Its name.
        reason: To go after its name: "is not found on the PATH of the klepaas server (/usr/bin:/bin)".
        next_step: What to do; the name of what to correct is to be added by whoever knows it.
    """

    def __init__(self, command: str) -> None:
        self.name = os.path.basename(command)[:60] or "(nameless)"
        if os.path.dirname(command):
            self.reason = f"is not at {command[:_PATH_MAX_CHARS]}, or is not executable"
            self.next_step = f"Install {self.name} there, or correct its path"
            return
        path = os.environ.get("PATH", "")
        shown = path if len(path) <= _PATH_MAX_CHARS else f"{path[:_PATH_MAX_CHARS]}..."
        self.reason = f"is not found on the PATH of the klepaas server ({shown or 'empty'})"
        self.next_step = (
            f"Install {self.name}. If it runs in your terminal, the client has started klepaas with a shorter PATH, as "
            f"graphical clients do: give the whole path that `which {self.name}` prints, or set PATH in the env of "
            "klepaas' entry in the client's configuration"
        )
