"""Reads the audit's files back: changes with their outcomes, and whether the files are whole.

Whole means that klepaas' own writing left no gap in them: every line is a record, in order, and every outcome has its
intent. The file carries no proof that nobody has edited it, and none is claimed here.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from klepaas.audit import AuditEvent
from klepaas.audit_file import FILE_NAME, KEPT_FILES, lock_of
from klepaas.errors import Unavailable
from klepaas.portability import files, locks

__all__ = ["Change", "Damage", "Line", "Weight", "changes_of", "damages_of", "damages_of_files", "lines_of"]

_LOCK_LIMIT_S = 10.0
_NEEDED = ("version", "time", "event", "change", "principal", "tool", "effect")
_VERSION = 1
# Several servers write to one file; each takes the time before it waits for its turn.
_OUT_OF_ORDER = timedelta(seconds=60)
# An intent may wait for its outcome as long as the longest change runs.
_STILL_RUNNING = timedelta(hours=2)


@dataclass(frozen=True)
class Line:
    """One line of a file.

    Attributes:
        file: The file's name.
        number: The line's number in it, from 1.
        record: What it says. None: it is damaged.
        trouble: Why it is damaged. None: it is not.
    """

    file: str
    number: int
    record: dict[str, Any] | None
    trouble: str | None = None

    @property
    def time(self) -> datetime:
        """When it was written; only of a record."""
        return datetime.fromisoformat((self.record or {})["time"])

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"{self.file}, line {self.number}"


@dataclass
class Change:
    """A change, of its records.

    Attributes:
        first: Its first record.
        outcome: How it ended: "ok", "error", "cancelled", why it was refused, or "unfinished".
        code: The error's code. None: there was none, or it is not known.
        ended: When. None: it has not, or it is not known.
        confirmed: How it was let through. None: it was not.
        confirmation: What that word does not say. None: nothing.
        note: What the outcome's word does not say. None: nothing.
    """

    first: dict[str, Any]
    outcome: str = "unfinished"
    code: str | None = None
    ended: str | None = None
    confirmed: str | None = None
    confirmation: str | None = None
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The change as JSON data."""
        kept = ("time", "change", "correlation_id", "principal", "tool", "effect", "targets", "arguments")
        fields = {name: self.first[name] for name in kept if name in self.first}
        words = {"confirmed": self.confirmed, "confirmation": self.confirmation, "outcome": self.outcome}
        ending = {**words, "note": self.note, "code": self.code, "ended": self.ended}
        return fields | {name: value for name, value in ending.items() if value is not None}


class Weight(StrEnum):
    """How much a damage matters."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Damage:
    """Something about the files that is not as klepaas leaves it.

    Attributes:
        weight: How much it matters.
        text: One sentence.
        repair: What to do about it. None: nothing can be done.
    """

    weight: Weight
    text: str
    repair: str | None = None


@contextmanager
def _opened(folder: Path) -> Iterator[list[tuple[Path, IO[bytes]]]]:
    """The files, oldest first, opened while nobody can set one aside."""
    names = [f"{FILE_NAME}.{number}" for number in range(KEPT_FILES, 0, -1)] + [FILE_NAME]
    with ExitStack() as stack:
        with _in_peace(folder):
            opened = [(folder / name, _open(folder / name)) for name in names]
        yield [(path, stack.enter_context(file)) for path, file in opened if file is not None]


@contextmanager
def _in_peace(folder: Path) -> Iterator[None]:
    """Hold the writers' lock; without it where there is none, or where we may not write."""
    lock = lock_of(folder)
    with ExitStack() as stack:
        if lock.exists():
            try:
                stack.enter_context(locks.hold(lock, _LOCK_LIMIT_S))
            except TimeoutError as exc:
                raise Unavailable("The audit is being written all the time", next_step="Try again") from exc
            except OSError:
                pass
        yield


def _open(path: Path) -> IO[bytes] | None:
    try:
        file = files.open_file(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise Unavailable(f"{path} cannot be read: {exc.strerror}", next_step="Look at its permissions") from exc
    stream = os.fdopen(file, "rb")
    if not stat.S_ISREG(os.fstat(file).st_mode):
        stream.close()
        raise Unavailable(f"{path} is not a file", next_step="Remove it, or set KLEPAAS_STATE_DIR to another folder")
    return stream


def lines_of(folder: Path) -> Iterator[Line]:
    """Every line of the audit, oldest first.

    Args:
        folder: The state folder.

    Raises:
        Unavailable: A file cannot be read.
    """
    with _opened(folder) as files:
        for path, stream in files:
            for number, data in enumerate(stream, 1):
                yield _line(path.name, number, data)


def _line(file: str, number: int, data: bytes) -> Line:
    if not data.endswith(b"\n"):
        return Line(file, number, None, "it is cut off")
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return Line(file, number, None, "it is not JSON")
    trouble = _trouble_of(record)
    return Line(file, number, None if trouble else record, trouble)


def _trouble_of(record: Any) -> str | None:
    if not isinstance(record, dict):
        return "it is not a record"
    missing = [name for name in _NEEDED if name not in record]
    if missing:
        return f"it has no {missing[0]}"
    if record["version"] != _VERSION:
        return "another version of klepaas wrote it"
    if record["event"] not in list(AuditEvent) or not isinstance(record["principal"], dict):
        return "it is not a record"
    try:
        known_zone = datetime.fromisoformat(record["time"]).tzinfo is not None
    except (ValueError, TypeError):
        known_zone = False
    return None if known_zone else "its time is none"


def changes_of(lines: Iterable[Line]) -> list[Change]:
    """The changes, each of its intent and outcome or of its refusal, oldest first.

    Args:
        lines: The audit's lines; damaged ones are passed over.
    """
    changes: dict[str, Change] = {}
    for line in lines:
        if line.record is not None:
            record = line.record
            change = changes.setdefault(str(record["change"]), Change(record))
            change.confirmed = change.confirmed or record.get("confirmed")
            if record["event"] == AuditEvent.INTENT:
                change.confirmation = record.get("note")
            else:
                refused = record["event"] == AuditEvent.REFUSED
                change.outcome = f"refused: {record.get('outcome')}" if refused else str(record.get("outcome"))
                change.code, change.ended, change.note = record.get("code"), record["time"], record.get("note")
    return list(changes.values())


@dataclass
class _Books:
    """What is open while the lines are gone through."""

    intents: dict[str, Line] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    latest: datetime | None = None
    seen: int = 0


def damages_of(folder: Path, now: datetime | None = None) -> list[Damage]:
    """What is not as klepaas leaves it.

    Args:
        folder: The state folder.
        now: What counts as now. None: the clock's.

    Raises:
        Unavailable: A file cannot be read.
    """
    found = list(damages_of_files(folder))
    books, oldest_gone = _Books(), (folder / f"{FILE_NAME}.{KEPT_FILES}").exists()
    for line in lines_of(folder):
        found += _of_a_line(line, books, oldest_gone)
    for line in books.intents.values():
        if (now or datetime.now(UTC)) - line.time > _STILL_RUNNING:
            text = f"{line.place}: a change by {_tool(line)} has no outcome; the server ended in the middle of it"
            found.append(Damage(Weight.WARNING, text, "See what became of its target"))
    return found


def damages_of_files(folder: Path) -> Iterator[Damage]:
    """What is not as klepaas leaves it, as far as the files show it from outside.

    Args:
        folder: The state folder.
    """
    there = [number for number in range(1, KEPT_FILES + 1) if (folder / f"{FILE_NAME}.{number}").exists()]
    for number in range(1, max(there, default=0)):
        if number not in there:
            yield Damage(Weight.ERROR, f"{FILE_NAME}.{number} is missing, and older ones are there")
    for path in (folder / FILE_NAME, *(folder / f"{FILE_NAME}.{number}" for number in there)):
        if path.exists():
            mode = files.permissions(path.stat())
            if mode & 0o077:
                yield Damage(Weight.ERROR, f"other users can open {path.name} ({mode:04o})", f"chmod 600 {path}")
            if files.belongs_to_another(path.stat()):
                yield Damage(Weight.WARNING, f"{path.name} belongs to another user")


def _of_a_line(line: Line, books: _Books, oldest_gone: bool) -> Iterator[Damage]:
    if line.record is None:
        yield Damage(Weight.ERROR, f"{line.place}: {line.trouble}")
        return
    if books.latest is not None and line.time < books.latest - _OUT_OF_ORDER:
        yield Damage(Weight.WARNING, f"{line.place}: it is older than what stands before it")
    books.latest = max(books.latest or line.time, line.time)
    change, event = str(line.record["change"]), line.record["event"]
    if change in books.closed or (event == AuditEvent.INTENT and change in books.intents):
        yield Damage(Weight.ERROR, f"{line.place}: the {event} of a change that has one already")
    elif event == AuditEvent.INTENT:
        books.intents[change] = line
    else:
        if event == AuditEvent.OUTCOME and change not in books.intents and not oldest_gone:
            yield Damage(Weight.ERROR, f"{line.place}: the outcome of a change whose intent is missing")
        books.intents.pop(change, None)
        books.closed.add(change)


def _tool(line: Line) -> str:
    return str((line.record or {}).get("tool"))
