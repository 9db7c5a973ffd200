"""The audit as a file of JSON lines in the state folder, which several servers of one user may share.

The file is made with the first record, readable by its owner only. An intent is on the disk before its change begins.
A file that has grown to its limit is set aside; the oldest one that is set aside goes. It does not prove that nobody
has edited it.
"""

import itertools
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread

from klepaas.audit import AuditEvent, AuditRecord, AuditSink
from klepaas.output.quoting import json_text
from klepaas.portability import files, locks
from klepaas.state_folder import objection_to

__all__ = ["FILE_NAME", "KEPT_FILES", "AuditFile", "lock_of"]

FILE_NAME = "audit.jsonl"
KEPT_FILES = 9
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
_LOCK_NAME = "audit.lock"
_LOCK_LIMIT_S = 30.0
# Threads of this process take turns here: waiting for a lock between processes is done by asking again and again.
_turn = threading.Lock()


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
        return objection_to(self.path)

    async def write(self, record: AuditRecord) -> None:
        """Append a record.

        Args:
            record: What to write.

        Raises:
            OSError: It cannot be written whole; the file is as before.
        """
        line = json_text(record.as_json()).encode() + b"\n"
        durable = record.event is AuditEvent.INTENT
        await anyio.to_thread.run_sync(self._append, line, durable, abandon_on_cancel=True)

    def _append(self, line: bytes, durable: bool) -> None:
        with _turn, locks.hold(lock_of(self.path.parent), _LOCK_LIMIT_S):
            with self._opened() as file:
                size_bytes = os.fstat(file).st_size
                fits = size_bytes == 0 or size_bytes + len(line) <= self._max_bytes
                if fits:
                    _append_whole(file, line, size_bytes, durable)
            if not fits:
                self._set_aside()
                with self._opened() as file:
                    _append_whole(file, line, os.fstat(file).st_size, durable)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        file = files.open_file(self.path, _FLAGS)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(f"{self.path} is not a file")
            if files.permissions(found) & 0o077:
                files.make_private(file)
            yield file
        finally:
            os.close(file)

    def _set_aside(self) -> None:
        """Give each file the next number. Where a reader has one open, which Windows minds, all stay as they are."""
        names = [self.path, *(self.path.with_name(f"{FILE_NAME}.{number}") for number in range(1, KEPT_FILES + 1))]
        done: list[tuple[Path, Path]] = []
        try:
            for newer, older in reversed(list(itertools.pairwise(names))):
                if newer.exists():
                    files.replace(newer, older)
                    done.append((newer, older))
        except PermissionError:
            for newer, older in reversed(done):
                files.replace(older, newer)


def lock_of(folder: Path) -> Path:
    """The lock that whoever writes holds, and whoever opens several of the files.

    Args:
        folder: The state folder.
    """
    return folder / _LOCK_NAME


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
