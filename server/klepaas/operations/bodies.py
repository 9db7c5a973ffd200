"""What an operation is asked to do, and what its steps gave, as the store keeps it: encrypted, a masked form beside.

    {"sealed": TOKEN, "key": ID, "shown": {...}}

Inside the token stand the operation's id, what it is and its digest, so that no token counts in another's place. The
key lies outside of the store (`klepaas.store.keys`); the first of a list encrypts, and its id stands beside the token.
When the operation ends, the token goes and the masked form and the digest stay. The cipher is imported with the first
operation. Everything here may read a file, so it is called in a thread.
"""

import hmac
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from klepaas.foreign_json import RECORD_LEVELS_MAX, parse_json
from klepaas.observability import one_line, safe_text
from klepaas.operations.kinds import PLANNED
from klepaas.output.redaction import MARK, is_secret_field
from klepaas.store.keys import Key, Keys

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

__all__ = ["Bodies", "BodyUnreadable", "mask", "shown_part", "without_sealed"]

_SEALED, _KEY, _SHOWN = "sealed", "key", "shown"
_REQUEST = "request"
_TEXT_MAX_CHARS = 253
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=.")
# Whatever stands below these is a value of an application's own, or a whole document.
_VALUES = frozenset({"env", "env_vars", "variables", "data", "stringData", "binaryData", "manifests"})


class BodyUnreadable(Exception):
    """It was encrypted with a key that is not here, or was altered in the store; the text says which."""


class Bodies:
    """Seals and opens bodies.

    Args:
        keys: The store's keys.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def digest(self, operation_id: str, request: Mapping[str, Any]) -> str:
        """What is the same for the same request of the same operation, and tells nothing about it without the key.

        What was planned is no part of it: the same call finds something else while its operation is under way.

        Args:
            operation_id: The operation.
            request: What is asked for.

        Raises:
            KeysUnavailable: The key cannot be read or made.
        """
        return _digest(self._keys.current(), operation_id, request)

    def is_equal(self, digest: str, operation_id: str, request: Mapping[str, Any]) -> bool:
        """Whether a digest is a request's; not where its key is not here any more.

        Args:
            digest: As `digest` gave it.
            operation_id: The operation that it was made for.
            request: What is asked for now.

        Raises:
            KeysUnavailable: The keys cannot be read.
        """
        key = self._keys.find(digest.partition(":")[0])
        return key is not None and hmac.compare_digest(digest, _digest(key, operation_id, request))

    def seal_request(self, operation_id: str, request: Mapping[str, Any], digest: str) -> dict[str, Any]:
        """A request as the store keeps it.

        Args:
            operation_id: The operation.
            request: What is asked for.
            digest: Its digest.

        Raises:
            KeysUnavailable: The key cannot be read or made.
        """
        asked = {name: value for name, value in request.items() if name != PLANNED}
        return {**self._seal(operation_id, _REQUEST, request, digest), _SHOWN: mask(asked)}

    def open_request(self, operation_id: str, kept: Mapping[str, Any], digest: str) -> Mapping[str, Any]:
        """A request as it was asked for.

        Args:
            operation_id: The operation.
            kept: What the store keeps.
            digest: The request's digest.

        Raises:
            BodyUnreadable: It cannot be read any more.
            KeysUnavailable: The keys cannot be read.
        """
        return self._open(operation_id, _REQUEST, kept, digest)

    def seal_result(self, operation_id: str, step: str, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """What a step gave, as the store keeps it. None: it gave nothing.

        Args:
            operation_id: The operation.
            step: The step.
            result: What it gave.

        Raises:
            KeysUnavailable: The key cannot be read or made.
        """
        return None if result is None else self._seal(operation_id, f"step {step}", result, "")

    def open_result(self, operation_id: str, step: str, kept: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What a step gave.

        Args:
            operation_id: The operation.
            step: The step.
            kept: What the store keeps. None: nothing.

        Raises:
            BodyUnreadable: It cannot be read any more.
            KeysUnavailable: The keys cannot be read.
        """
        return None if kept is None else self._open(operation_id, f"step {step}", kept, "")

    def seal_note(self, operation_id: str, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """A document of a note, as the store keeps it.

        Args:
            operation_id: The operation.
            name: What the document is, one within the operation.
            value: The document.

        Raises:
            KeysUnavailable: The key cannot be read or made.
        """
        return self._seal(operation_id, f"note {name}", value, "")

    def open_note(self, operation_id: str, name: str, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """A document of a note.

        Args:
            operation_id: The operation.
            name: What the document is.
            kept: What the store keeps.

        Raises:
            BodyUnreadable: It cannot be read any more.
            KeysUnavailable: The keys cannot be read.
        """
        return self._open(operation_id, f"note {name}", kept, "")

    def _seal(self, operation_id: str, what: str, value: Mapping[str, Any], digest: str) -> dict[str, Any]:
        content = json.dumps({"operation": operation_id, "what": what, "digest": digest, "value": value})
        return {_SEALED: self._cipher().encrypt(content.encode()).decode(), _KEY: self._keys.current().id}

    def _open(self, operation_id: str, what: str, kept: Mapping[str, Any], digest: str) -> Mapping[str, Any]:
        if _SEALED not in kept:  # an earlier version wrote it, or the operation has ended
            return kept
        if self._keys.find(str(kept.get(_KEY))) is None:
            raise BodyUnreadable("it was made with another key")
        from cryptography.fernet import InvalidToken

        try:
            content = parse_json(self._cipher().decrypt(str(kept[_SEALED]).encode()), levels_max=RECORD_LEVELS_MAX)
        except (InvalidToken, ValueError) as exc:
            raise BodyUnreadable("it was altered in the store") from exc
        if (content["operation"], content["what"], content["digest"]) != (operation_id, what, digest):
            raise BodyUnreadable("it was put there from elsewhere in the store")
        value: Mapping[str, Any] = content["value"]
        return value

    def _cipher(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet

        first = self._keys.current()
        others = [key for key in self._keys.every() if key.id != first.id]
        return MultiFernet([Fernet(key.derive_fernet_key("operations")) for key in (first, *others)])


def shown_part(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """What may be shown of a request.

    Args:
        kept: What the store keeps of it.
    """
    if _SEALED not in kept:
        return kept
    shown: Mapping[str, Any] = kept.get(_SHOWN, {})
    return shown


def without_sealed(value: Any) -> Any:
    """Notes without the documents that they hold encrypted: what only an operation under way needs.

    Args:
        value: The notes.
    """
    if isinstance(value, Mapping):
        return {} if _SEALED in value else {key: without_sealed(item) for key, item in value.items()}
    return [without_sealed(item) for item in value] if isinstance(value, list | tuple) else value


def mask(value: Any, name: str = "") -> Any:
    """JSON data without secrets: names, numbers and short texts stay; values of applications and documents do not.

    Args:
        value: The data.
        name: The name that it stands under.
    """
    if isinstance(value, Mapping):
        hides = name in _VALUES
        return {one_line(str(key), 253): MARK if hides else mask(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item, name) for item in value]
    if isinstance(value, str):
        return _mask_text(value, name)
    return value if value is None or isinstance(value, bool | int | float) else one_line(str(value))


def _mask_text(text: str, name: str) -> str:
    assignment = _ASSIGNMENT.match(text)
    if assignment is not None:
        return f"{one_line(assignment[1], 253)}={MARK}"
    if len(text) > _TEXT_MAX_CHARS or "\n" in text:
        return f"[{len(text)} characters]"
    return MARK if text and (name in _VALUES or is_secret_field(name, text)) else safe_text(text)


def _digest(key: Key, operation_id: str, request: Mapping[str, Any]) -> str:
    asked = {name: value for name, value in request.items() if name != PLANNED}
    return f"{key.id}:{key.digest('operation request', [operation_id, asked])}"
