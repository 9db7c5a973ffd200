"""Files that only their owner may use: how they are opened, written as a whole, and judged.

Windows has no permission bits that Python could set or read: there a file has the rights of its folder, and the folders
of a user's profile are the user's own. What POSIX would judge by bits is taken to be private there.
"""

import contextlib
import errno
import logging
import os
import secrets
import stat
import time
from pathlib import Path

__all__ = [
    "belongs_to_another",
    "has_room_for_files",
    "make_private",
    "make_private_folder",
    "objection_to_folder",
    "open_file",
    "permissions",
    "replace",
    "write_private",
]

log = logging.getLogger(__name__)

_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700
_REPLACE_ATTEMPTS = 50
_REPLACE_INTERVAL_S = 0.02


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))


def open_file(path: Path, flags: int, *, follow: bool = False, wait: bool = False) -> int:
    """Open a file that no child process inherits, as bytes.

    Args:
        path: The file.
        flags: As of `os.open`; a file that is made is its owner's alone.
        follow: Whether a symbolic link is followed; otherwise it is refused.
        wait: Whether opening a pipe waits for its other end.

    Returns:
        The descriptor.

    Raises:
        OSError: It cannot be opened, or is a link and links are not followed.
    """
    flags |= _flag("O_CLOEXEC") | _flag("O_NOINHERIT") | _flag("O_BINARY")
    if not wait:
        flags |= _flag("O_NONBLOCK")
    if not follow:
        if not _flag("O_NOFOLLOW") and path.is_symlink():
            raise OSError(f"{path} is a symbolic link")
        flags |= _flag("O_NOFOLLOW")
    return os.open(path, flags, _PRIVATE)


def make_private(descriptor: int) -> None:
    """Let nobody but its owner use an open file, as far as the system knows such rights.

    Args:
        descriptor: The file.

    Raises:
        OSError: It belongs to another user.
    """
    if hasattr(os, "fchmod") and hasattr(os, "geteuid"):  # Python 3.13 has fchmod on Windows too, to no avail
        os.fchmod(descriptor, _PRIVATE)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and what is missing above it, for its owner alone; one that is there is closed to others.

    Every file of the state folder is written behind this, so it does not matter which is the first, nor what the
    umask is. A folder of another user (one that a container mounts) is taken as it is while not everybody may write
    to it.

    Args:
        folder: The folder.

    Raises:
        OSError: It cannot be made or closed, or everybody may write to it and it is another user's.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        with contextlib.suppress(FileExistsError):
            place.mkdir(_PRIVATE_FOLDER)
            place.chmod(_PRIVATE_FOLDER)  # a umask may have taken the owner's own rights
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder", str(folder))
    if objection := objection_to_folder(folder, found):
        raise PermissionError(errno.EACCES, objection, str(folder))
    if permissions(found) & 0o077 and not belongs_to_another(found):
        _close_to_others(folder, found)


def objection_to_folder(folder: Path, found: os.stat_result) -> str | None:
    """Why nothing private may be put into a folder, which cannot be closed either. None: it may.

    Args:
        folder: The folder.
        found: Its state.
    """
    if belongs_to_another(found) and permissions(found) & stat.S_IWOTH:
        return f"everybody may write to {folder}, and it belongs to another user; name a new folder inside it"
    return None


def _close_to_others(folder: Path, found: os.stat_result) -> None:
    try:
        folder.chmod(_PRIVATE_FOLDER)
    except OSError as exc:
        if exc.errno != errno.EROFS:
            raise
        return  # nobody writes to it there
    mode = stat.S_IMODE(found.st_mode)
    log.warning("the folder %s was open to others (mode %04o) and is closed to them now (0700)", folder, mode)


def permissions(found: os.stat_result) -> int:
    """The permission bits of a file; those of a private one where the system has none.

    Args:
        found: Its state.
    """
    return stat.S_IMODE(found.st_mode) if hasattr(os, "geteuid") else _PRIVATE


def belongs_to_another(found: os.stat_result, *, trusted: tuple[int, ...] = ()) -> bool:
    """Whether a file is another user's; never where the system does not tell.

    Args:
        found: Its state.
        trusted: Further users whose files are as good as our own.
    """
    return hasattr(os, "geteuid") and found.st_uid not in (os.geteuid(), *trusted)


def has_room_for_files(folder: Path) -> bool:
    """Whether the file system can take one more file, as far as it counts them.

    Args:
        folder: A folder of it.
    """
    if not hasattr(os, "statvfs"):
        return True
    found = os.statvfs(folder)
    return not found.f_files or bool(found.f_favail)  # one that does not count says 0 of 0


def replace(draft: Path, path: Path) -> None:
    """Put a file in the place of another at once.

    Windows refuses it while somebody has the other one open, so it is tried for a second.

    Args:
        draft: What takes the place.
        path: The place.

    Raises:
        OSError: It cannot be done.
    """
    for attempt in range(1, _REPLACE_ATTEMPTS + 1):
        try:
            os.replace(draft, path)
        except PermissionError:
            if hasattr(os, "geteuid") or attempt == _REPLACE_ATTEMPTS:
                raise
            time.sleep(_REPLACE_INTERVAL_S)
        else:
            return


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone, in a folder of the same kind. It blocks.

    Args:
        path: The file.
        text: What it is to hold.

    Raises:
        OSError: It cannot be written; the file is as before.
    """
    make_private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
