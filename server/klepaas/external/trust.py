"""What is known of a server between starts: its last good list, and which definitions are trusted. Two files each.

    <state>/external/<name>.catalogue.json   the last list, written by whichever klepaas listed last
    <state>/external/<name>.trust.json       the trusted definitions, changed under a lock, also by the command line

Both are readable by their owner alone and replaced as a whole. A file of trust that cannot be read trusts nothing, and
nothing is trusted at first sight then: a person has to. Every function here blocks; callers use a thread.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from klepaas.external.definitions import Definition
from klepaas.foreign_json import RECORD_LEVELS_MAX, parse_json
from klepaas.portability import files, locks

__all__ = ["Listing", "Standing", "Trust", "TrustStore"]

LOCK_LIMIT_S = 5.0
FILE_MAX_BYTES = 32 * 1024 * 1024
_VERSION = 1


class Standing(StrEnum):
    """How a tool stands."""

    TRUSTED = "trusted"
    CHANGED = "changed"
    """It was trusted, and is defined otherwise now."""
    NEW = "new"
    """It was never trusted."""


@dataclass(frozen=True)
class Listing:
    """What a server listed at some time.

    Attributes:
        definitions: Its tools by name.
        listed_at: When, in seconds since 1970.
        server: What the server calls itself, with its version; empty where it does not say.
        notes: What was left out of the list, and why.
    """

    definitions: Mapping[str, Definition]
    listed_at: float
    server: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trust:
    """Which definitions are trusted.

    Attributes:
        definitions: The trusted ones by name.
        readable: Whether the file could be read, or there is none yet.
    """

    definitions: Mapping[str, Definition] = field(default_factory=dict)
    readable: bool = True

    @property
    def is_new(self) -> bool:
        """Whether nothing of the server was ever trusted."""
        return self.readable and not self.definitions

    def standing(self, definition: Definition) -> Standing:
        """How a tool stands.

        Args:
            definition: As it is now.
        """
        trusted = self.definitions.get(definition.name)
        if trusted is None:
            return Standing.NEW
        return Standing.TRUSTED if trusted.digest == definition.digest else Standing.CHANGED


class TrustStore:
    """The two files of one server.

    Args:
        folder: Where they are.
        key: The server's name, as a file's name may hold it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._listing = folder / f"{key}.catalogue.json"
        self._trust = folder / f"{key}.trust.json"
        self._lock = folder / f"{key}.lock"

    @property
    def stamp(self) -> tuple[int, int]:
        """What is another as soon as the trust was changed, by whomever."""
        try:
            state = self._trust.stat()
        except OSError:
            return (0, 0)
        return (state.st_mtime_ns, state.st_ino)

    def listing(self) -> Listing | None:
        """The last good list; None where there is none, or none that can be read."""
        document = _read(self._listing)
        if document is None or not isinstance(document.get("tools"), list):
            return None
        listed_at = document.get("listed_at")
        return Listing(
            {definition.name: definition for definition in _definitions(document["tools"])},
            float(listed_at) if isinstance(listed_at, int | float) else 0.0,
            str(document.get("server", "")),
            _notes(document.get("notes")),
        )

    def keep(self, listing: Listing) -> None:
        """Remember a list.

        Args:
            listing: It.

        Raises:
            OSError: It cannot be written.
        """
        document = {
            "version": _VERSION,
            "listed_at": listing.listed_at,
            "notes": list(listing.notes),
            "server": listing.server,
            "tools": [definition.parts for definition in listing.definitions.values()],
        }
        self._replace(self._listing, document)

    def trust(self) -> Trust:
        """What is trusted."""
        if not self._trust.exists():
            return Trust()
        document = _read(self._trust)
        if document is None or not isinstance(document.get("tools"), list):
            return Trust(readable=False)
        return Trust({definition.name: definition for definition in _definitions(document["tools"])})

    def add(self, definitions: Iterable[Definition], *, by_person: bool = False) -> Trust:
        """Trust these definitions from now on, each instead of the one of its name.

        Args:
            definitions: What is trusted.
            by_person: Whether a person says so; otherwise nothing that is trusted already is replaced.

        Raises:
            OSError: It cannot be written, or somebody else holds the lock.
        """
        with self._locked():
            known = self.trust()
            if not known.readable and not by_person:
                return known
            merged = dict(known.definitions)
            for definition in definitions:
                if by_person or definition.name not in merged:
                    merged[definition.name] = definition
            if merged != known.definitions or not known.readable:
                self._replace(self._trust, {"version": _VERSION, "tools": [item.parts for item in merged.values()]})
            return Trust(merged)

    def forget(self, names: Iterable[str] | None = None) -> list[str]:
        """Trust these tools no more, and without names forget the server: its list too.

        Args:
            names: The server's own names of the tools. None: all there is.

        Returns:
            What was trusted until now.
        """
        with self._locked():
            known = self.trust()
            if names is None:
                for file in (self._trust, self._listing):
                    file.unlink(missing_ok=True)
                return sorted(known.definitions)
            gone = [name for name in names if name in known.definitions]
            left = [item.parts for name, item in known.definitions.items() if name not in gone]
            self._replace(self._trust, {"version": _VERSION, "tools": left})
            return gone

    def _replace(self, path: Path, document: Mapping[str, Any]) -> None:
        files.write_private(path, json.dumps(document, ensure_ascii=True, separators=(",", ":")))

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locks.hold(self._lock, LOCK_LIMIT_S)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            document = parse_json(file.read(FILE_MAX_BYTES), levels_max=RECORD_LEVELS_MAX)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("version") == _VERSION else None


def _notes(value: object) -> tuple[str, ...]:
    """The notes as they were kept; a file of an older klepaas has none."""
    return tuple(note for note in value if isinstance(note, str)) if isinstance(value, list) else ()


def _definitions(said: Iterable[Any]) -> Iterator[Definition]:
    for item in said:
        definition = Definition.of(item) if isinstance(item, dict) else None
        if definition is not None:
            yield definition
