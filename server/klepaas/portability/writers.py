"""Who else may write to a file: its owner, its mode, each folder and link on the way to it.

What decides which programs klepaas starts must be as safe as klepaas itself. Another user's, one that everybody may
write to, and one of a group with other members is not; nor is one in a folder where another user could put something
else in its place. root may do everything anyway, and so may its group. Access control lists are not looked at.

Windows has no such bits; there nothing is looked at, and everything is taken to be the user's own.
"""

import errno
import importlib
import os
import shlex
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OtherWriter", "find_other_writer"]

_LINKS_MAX = 40
# root's own group; on macOS the administrators', who may become root.
_TRUSTED_GROUPS = frozenset({0, 80} if sys.platform == "darwin" else {0})


@dataclass(frozen=True)
class OtherWriter:
    """Who else may change a file.

    Attributes:
        reason: To go after the file's name: "everybody may write to /opt/tools".
        repair: The command that ends it.
    """

    reason: str
    repair: str


def find_other_writer(path: Path, *, given: Sequence[Path] = ()) -> OtherWriter | None:
    """Who else may change a file, or put another one in its place. None: nobody.

    Args:
        path: The file or folder, which is there.
        given: Files that are trusted whoever may change them: what lies on the way to one of them is not judged.

    Raises:
        OSError: It is not there or cannot be reached.
    """
    if not hasattr(os, "geteuid"):
        return None
    user = os.geteuid()
    known = {place for file in given for place, _ in _places_of(file.absolute())}
    judged = (_judge(place, found, user) for place, found in _places_of(path.absolute()) if place not in known)
    return next(filter(None, judged), None)


def _places_of(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Each folder and link on the way to a file, from the root, and at last the file itself."""
    place, waiting, links = Path(path.anchor), list(reversed(path.parts[1:])), 0
    yield place, place.lstat()
    while waiting:
        part = waiting.pop()
        if part == os.pardir:
            place = place.parent
            continue
        found = (place / part).lstat()
        yield place / part, found
        if not stat.S_ISLNK(found.st_mode):
            place = place / part
            continue
        links += 1
        if links > _LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = Path(os.readlink(place / part))
        place = Path(target.anchor) if target.is_absolute() else place
        waiting += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _judge(place: Path, found: os.stat_result, user: int) -> OtherWriter | None:
    shown, mode = shlex.quote(str(place)), found.st_mode
    if found.st_uid not in (0, user):
        return OtherWriter(f"{place} belongs to another user", f"sudo chown -h {user} {shown}")
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return None  # a link has no rights of its own; in /tmp nobody moves what is another's
    if mode & stat.S_IWOTH:
        return OtherWriter(f"everybody may write to {place}", f"chmod o-w {shown}")
    if mode & stat.S_IWGRP and (others := _others_of(found.st_gid, user)):
        return OtherWriter(f"{others} may write to {place}", f"chmod g-w {shown}")
    return None


def _others_of(gid: int, user: int) -> str | None:
    """A group's members beside root and us, in words. None: it has none."""
    if gid in _TRUSTED_GROUPS:
        return None
    grp, pwd = importlib.import_module("grp"), importlib.import_module("pwd")
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return f"the group {gid}, whose members are not known,"
    trusted = {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid in {0, user}}
    primary = {entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == gid}
    others = ({*group.gr_mem} | primary) - trusted
    return f"the group {group.gr_name}, which has other members," if others else None
