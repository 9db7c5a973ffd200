"""Whether the state folder can be written, as far as can be seen without writing to it.

A change that cannot be put on record is not made, so a server that makes changes says at its start that none can be.
"""

import os
import stat
from pathlib import Path

from klepaas.portability import files
from klepaas.settings import Mode, Settings

__all__ = ["REPAIR", "objection_to", "objection_to_changes"]

REPAIR = "Make it writable for the user that runs klepaas, or set KLEPAAS_STATE_DIR to a folder that is"


def objection_to(path: Path) -> str | None:
    """Why a file could not be made or written. None: nothing is in the way.

    Args:
        path: The file.
    """
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())
        folder = next(place for place in path.parents if place.exists())
        if folder == path.parent and (objection := files.objection_to_folder(folder, folder.stat())):
            return objection
        fits = stat.S_ISREG(nearest.lstat().st_mode) if nearest == path else nearest.is_dir()
    except OSError as exc:
        return f"{path} cannot be reached ({exc.strerror})"
    return None if fits and os.access(nearest, os.W_OK) else f"{nearest} cannot be written to"


def objection_to_changes(settings: Settings) -> str | None:
    """The line about a state folder in which no change can be put on record. None: nothing is in the way.

    Args:
        settings: The server's.
    """
    if settings.mode is not Mode.WRITES:
        return None
    from klepaas.audit_file import FILE_NAME

    objection = objection_to(settings.state_dir / FILE_NAME)
    return objection and f"No change can be put on record, so none is made: {objection}. {REPAIR}."
