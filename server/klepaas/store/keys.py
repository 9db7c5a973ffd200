"""The keys of the store: what seals and encrypts what it holds, and lies outside of it.

    KLEPAAS_STORE_KEYS   a list of keys, the first of which encrypts; the others still read what they wrote
    store.key            otherwise: one key in the state folder, made with its first use, its owner's alone

From each key others are derived, one for each use, so that a digest tells nothing about what is encrypted. Whatever is
written carries the id of its key: with another key it cannot be read, and whoever reads it says so.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klepaas.errors import Unavailable
from klepaas.host import Host
from klepaas.portability import files, locks

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["FILE_NAME", "Key", "Keys", "KeysUnavailable", "parse_keys"]

FILE_NAME = "store.key"
_KEY_BYTES = 32
_KEY_MAX_CHARS = 200
_LOCK_LIMIT_S = 10.0
_ID_CHARS = 12


class KeysUnavailable(Unavailable):
    """The keys of the store cannot be read or made."""

    retryable = False


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        material: Its 32 bytes.
    """

    material: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """What names it beside what it wrote; tells nothing about it."""
        return self.derive("id").hex()[:_ID_CHARS]

    def digest(self, purpose: str, value: Any) -> str:
        """What is the same for the same JSON data, and tells nothing about it to whoever lacks the key.

        Args:
            purpose: What it is for: equal data for two purposes have different digests.
            value: JSON data.
        """
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
        return hmac.new(self.derive(f"digest of {purpose}"), text.encode(), hashlib.sha256).hexdigest()

    def derive_fernet_key(self, purpose: str) -> bytes:
        """The key that `cryptography.fernet` encrypts with.

        Args:
            purpose: What is encrypted.
        """
        return base64.urlsafe_b64encode(self.derive(f"encryption of {purpose}"))

    def derive(self, purpose: str) -> bytes:
        """A key of its own for one use; from it nobody gets back to this one.

        Args:
            purpose: The use.
        """
        return hmac.new(self.material, f"klepaas: {purpose}".encode(), hashlib.sha256).digest()


class Keys:
    """The keys of one server's store. Everything here may read a file, so it is called in a thread.

    Args:
        folder: The state folder, where the key is where none is set.
        chosen: The keys that are set, separated by commas or blanks. None: none are.
    """

    def __init__(self, folder: Path, chosen: "SecretStr | None" = None) -> None:
        self._path = folder / FILE_NAME
        self._chosen = tuple(parse_keys(chosen.get_secret_value())) if chosen else ()

    @classmethod
    def of(cls, host: Host) -> "Keys":
        """The host's own."""
        return host.service(cls, lambda host: cls(host.settings.state_dir, host.settings.store_keys))

    def current(self) -> Key:
        """The key that writes; the one of the state folder is made where there is none.

        Raises:
            KeysUnavailable: It cannot be read or made.
        """
        return self._chosen[0] if self._chosen else self._read_or_make()

    def find(self, key_id: str) -> Key | None:
        """The key of that id. None: it is not here.

        Args:
            key_id: As it stands beside what it wrote.

        Raises:
            KeysUnavailable: The keys cannot be read.
        """
        return next((key for key in self.every() if hmac.compare_digest(key.id.encode(), key_id.encode())), None)

    @property
    def is_local(self) -> bool:
        """Whether the key lies in the state folder, so that no other server has another one for the same folder."""
        return not self._chosen

    def every(self) -> Sequence[Key]:
        """The keys there are, the one that writes first; none is made.

        Raises:
            KeysUnavailable: They cannot be read.
        """
        if self._chosen:
            return self._chosen
        found = self._read()
        return () if found is None else (found,)

    def _read_or_make(self) -> Key:
        found = self._read()
        if found is not None:
            return found
        try:
            with locks.hold(self._path.with_suffix(".lock"), _LOCK_LIMIT_S):
                found = self._read()  # another process may have been faster
                if found is None:
                    found = Key(secrets.token_bytes(_KEY_BYTES))
                    files.write_private(self._path, base64.urlsafe_b64encode(found.material).decode() + "\n")
                return found
        except (OSError, TimeoutError) as exc:
            raise _unusable(self._path, f"cannot be made ({_reason(exc)})") from exc

    def _read(self) -> Key | None:
        """The key of the state folder. None: there is none."""
        try:
            descriptor = files.open_file(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _unusable(self._path, f"cannot be read ({_reason(exc)})") from exc
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if files.permissions(found) & 0o077:
                raise _unusable(self._path, "can be read by other users", f"Run `chmod 600 {self._path}`")
            text = file.read(_KEY_MAX_CHARS).decode("ascii", "replace")
        try:
            (key,) = parse_keys(text)
        except ValueError as exc:
            raise _unusable(self._path, "is not a key") from exc
        return key


def parse_keys(text: str) -> list[Key]:
    """Keys as a person writes them: 32 bytes each in URL-safe base64, as `Fernet.generate_key()` makes them.

    Args:
        text: The keys, separated by commas or blanks.

    Raises:
        ValueError: One is no key, or there is none.
    """
    found = []
    for number, word in enumerate(text.replace(",", " ").split(), 1):
        try:
            material = base64.b64decode(word, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            material = b""
        if len(material) != _KEY_BYTES:
            raise ValueError(f"number {number} is not a key: {_KEY_BYTES} bytes in URL-safe base64")
        found.append(Key(material))
    if not found:
        raise ValueError("there is no key in it")
    return found


def _unusable(path: Path, trouble: str, repair: str | None = None) -> KeysUnavailable:
    advice = repair or "Restore it from a backup, or remove it: then what it encrypted cannot be read any more"
    return KeysUnavailable(f"The key of klepaas' store ({path}) {trouble}", next_step=advice)


def _reason(exc: BaseException) -> str:
    return exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
