"""Values as JSON and UTF-8 can carry them, whatever a tool or another server hands out.

Python knows texts and numbers that neither can: half a surrogate pair (JSON's own escapes bring it in), NaN and
infinity, integers beyond what other languages read or Python itself prints, bytes, keys that are no texts. One of them
in a result would end the whole answer, or the connection, when it is written. They are replaced before the protocol's
library sees them: what can be read stays readable.
"""

import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

__all__ = ["valid_json", "valid_text"]

# Beyond 64 bits other languages read another number than was sent.
_INTEGER_MAX = 2**64
# Python prints no longer integers, and nobody reads them.
_PRINTED_BITS = 4096
_LEVELS_MAX = 100
_TOO_DEEP = "..."


def valid_text(text: str) -> str:
    """The text with U+FFFD in place of each half of a surrogate pair; a pair becomes its character.

    Args:
        text: Any text.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def valid_json(value: Any) -> Any:
    """The value as JSON can carry it: objects, lists, texts, numbers, true, false and null.

    NaN, infinity and integers of more than 64 bits become texts, bytes the text that they hold, a key what JSON would
    make of it; what JSON does not know becomes its text. Below 100 levels there are dots.

    Args:
        value: Any value.
    """
    return _valid(value, _LEVELS_MAX)


def _valid(value: Any, levels: int) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return valid_text(str(value))
    if isinstance(value, int):
        return int(value) if abs(value) < _INTEGER_MAX else _digits(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _not_a_number(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return _valid_container(value, levels)


def _valid_container(value: Any, levels: int) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _valid(item, levels - 1) for key, item in value.items()} if levels else _TOO_DEEP
    if isinstance(value, list | tuple | Set):
        return [_valid(item, levels - 1) for item in value] if levels else _TOO_DEEP
    return valid_text(str(value))


def _key(key: Any) -> str:
    """A key as JSON writes it: true, null and 1 as texts."""
    plain = _valid(key, 0)
    words = {True: "true", False: "false"} if isinstance(plain, bool) else {None: "null"}
    return plain if isinstance(plain, str) else words.get(plain, str(plain))


def _digits(number: int) -> str:
    return str(number) if number.bit_length() <= _PRINTED_BITS else f"an integer of {number.bit_length()} bits"


def _not_a_number(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
