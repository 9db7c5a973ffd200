"""The one optional settings file: where it is, whether it can be trusted, and what it says.

It is read once and again when it has changed. Who can write to it decides what klepaas may change and which programs it
starts, so a file that another user may write to, or put in its place, is refused. What the keys mean is not known here.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_settings.exceptions import SettingsError

from klepaas.portability import files
from klepaas.portability.writers import find_other_writer

__all__ = ["VARIABLE", "ConfigurationError", "Document", "default_path", "read", "read_bounded"]

VARIABLE = "KLEPAAS_CONFIG"
_MAX_BYTES = 1024 * 1024


class ConfigurationError(SettingsError):
    """A setting or the file cannot be used; the text says which and why, never with a value."""


@dataclass(frozen=True)
class Document:
    """What the file says.

    Attributes:
        path: Where it is. None: there is none.
        values: Its content.
        mode: Its permission bits.
    """

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    mode: int = 0o600

    @property
    def is_private(self) -> bool:
        """Whether nobody but its owner can read it."""
        return self.mode & 0o077 == 0


_NONE = Document()
_last: dict[tuple[Path, int, int, int], Document] = {}


def default_path() -> Path:
    """Where the file is looked for when `KLEPAAS_CONFIG` names none."""
    from platformdirs import user_config_path

    return user_config_path("klepaas", appauthor=False) / "config.toml"


def read() -> Document:
    """The file that `KLEPAAS_CONFIG` names, else the one in the user's folder, else an empty one.

    Raises:
        ConfigurationError: It is named and not there, cannot be read, can be written to by others, or is not TOML.
    """
    named = os.environ.get(VARIABLE)
    path = Path(named).expanduser() if named else default_path()
    if str(path) == os.devnull:
        return _NONE
    try:
        found = path.stat()
    except OSError as exc:
        if named:
            text = f"{path}: the settings file that {VARIABLE} or --config names cannot be read: {exc.strerror}"
            raise ConfigurationError(text) from exc
        return _NONE
    writer = find_other_writer(path)
    if writer is not None:
        raise ConfigurationError(f"{path}: {writer.reason}, so it is not used; run {writer.repair}")
    key = (path, found.st_mtime_ns, found.st_size, found.st_mode)
    if key not in _last:
        document = _parse(path)
        _last.clear()
        _last[key] = document
    return _last[key]


def _parse(path: Path) -> Document:
    import tomllib

    data, mode = read_bounded(path, _MAX_BYTES)
    try:
        values = tomllib.loads(data.decode())
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{path}: is not UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"{path}: is not TOML: {exc}") from exc
    except RecursionError as exc:
        raise ConfigurationError(f"{path}: is not TOML that can be read: levels too deep") from exc
    return Document(path, values, mode)


def read_bounded(path: Path, max_bytes: int) -> tuple[bytes, int]:
    """What an ordinary file holds, and its permission bits with those of its owner's right to say so.

    Args:
        path: The file; a link to one will do, as clusters mount them.
        max_bytes: Longest content, in bytes.

    Raises:
        ConfigurationError: It is not there, not a file, too long, or belongs to another user.
    """
    try:
        file = files.open_file(path, os.O_RDONLY, follow=True)
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    with os.fdopen(file, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"{path}: is not a file")
        if files.belongs_to_another(found, trusted=(0,)):
            raise ConfigurationError(f"{path}: belongs to another user, so it is not used")
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ConfigurationError(f"{path}: is longer than {max_bytes} bytes")
    return data, files.permissions(found)
