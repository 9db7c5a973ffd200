"""The audit as a file of JSON lines in the state folder, which several servers of one user may share.

The file is made with the first record, readable by its owner only. An intent is on the disk before its change begins.
A file that has grown to its limit is set aside; the oldest one that is set aside goes. It does not prove that nobody
has edited it.
"""

import fcntl
import itertools
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread

from klepaas.audit import AuditEvent, AuditRecord, AuditSink

__all__ = ["FILE_NAME", "KEPT_FILES", "AuditFile"]

FILE_NAME = "audit.jsonl"
KEPT_FILES = 9
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Another server may set the file aside between our opening and our locking it; not so often.
_ATTEMPTS = 20


class AuditFile:
    """Writes records to a file.

    Args:
        folder: Where the file is; made when it is needed.
        max_bytes: Size at which it is set aside, in bytes.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.path = folder / FILE_NAME
        self._max_bytes = max_bytes

    def sink(self) -> AuditSink:
        """The file as a sink."""
        return AuditSink("file", self.write)

    def objection(self) -> str | None:
        """Why a record could not be written, as far as can be seen without writing one. None: nothing is in the way."""
        nearest = next(place for place in (self.path, *self.path.parents) if place.exists() or place.is_symlink())
        fits = stat.S_ISREG(nearest.lstat().st_mode) if nearest == self.path else nearest.is_dir()
        return None if fits and os.access(nearest, os.W_OK) else f"{nearest} cannot be written to"

    async def write(self, record: AuditRecord) -> None:
        """Append a record.

        Args:
            record: What to write.

        Raises:
            OSError: It cannot be written whole; the file is as before.
        """
        line = json.dumps(record.as_json(), ensure_ascii=False, default=str).encode(errors="replace") + b"\n"
        durable = record.event is AuditEvent.INTENT
        await anyio.to_thread.run_sync(self._append, line, durable, abandon_on_cancel=True)

    def _append(self, line: bytes, durable: bool) -> None:
        with self._locked() as file:
            size_bytes = os.fstat(file).st_size
            if size_bytes == 0 or size_bytes + len(line) <= self._max_bytes:
                _append_whole(file, line, size_bytes, durable)
                return
            self._set_aside()
            # Nobody else has the new file yet: who waits for the old one sees that it is another now.
            with self._locked() as fresh:
                _append_whole(fresh, line, os.fstat(fresh).st_size, durable)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and ours alone until we are done."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._open_and_lock()
        try:
            yield file
        finally:
            os.close(file)

    def _open_and_lock(self) -> int:
        for _ in range(_ATTEMPTS):
            file = os.open(self.path, _FLAGS, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(f"{self.path} is not a file")
                if found.st_mode & 0o077:
                    os.fchmod(file, 0o600)
                if self._is_still(found):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)
        raise OSError(f"{self.path} is set aside all the time")

    def _is_still(self, found: Any) -> bool:
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), found)
        except FileNotFoundError:
            return False

    def _set_aside(self) -> None:
        names = [self.path, *(self.path.with_name(f"{FILE_NAME}.{number}") for number in range(1, KEPT_FILES + 1))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            if newer.exists():
                newer.replace(older)


def _append_whole(file: int, line: bytes, size_bytes: int, durable: bool) -> None:
    """Append a line whole or not at all: half a line would spoil the next one too."""
    try:
        written = os.write(file, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes could be written")
        if durable:
            os.fsync(file)
    except OSError:
        os.ftruncate(file, size_bytes)
        raise
