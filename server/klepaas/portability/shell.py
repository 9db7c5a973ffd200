"""Commands as a person types them."""

import shlex
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["command_line"]

_WINDOWS = sys.platform == "win32"


def command_line(words: Sequence[str]) -> str:
    """One line that means these words in the shell of this system.

    Args:
        words: The program and its arguments.
    """
    return subprocess.list2cmdline(words) if _WINDOWS else shlex.join(words)
