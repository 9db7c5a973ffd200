"""Scalars of YAML as Kubernetes reads them: YAML 1.1 as go-yaml 2 understands it, then JSON.

`yes` and `y` are true, `010` is 8, `8_080` is 8080; `1:30`, dates and numbers too large for a float are text. A plain
scalar resolves by its first character and its whole text; a quoted one is text whatever it holds.

Source: sigs.k8s.io/yaml v1.6 and go.yaml.in/yaml v2.4, `resolve.go` and `decode.go`.
"""

import base64
import binascii
import math
import re
import struct
from typing import Any

__all__ = ["NotPlain", "is_known_tag", "key_text", "read_scalar"]

CORE = "tag:yaml.org,2002:"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_LONGEST_WORD = max(map(len, _WORDS))
_INTEGER = re.compile(r"[-+]?(?:0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# A number that begins with a point takes underscores between digits alone.
_POINT = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_DIGITS_MAX = 400  # No float and no integer of 64 bits needs more; Python refuses texts of thousands of digits.
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1
_LEAST_WITH_EXPONENT = 1e21


class NotPlain(ValueError):
    """A scalar that its tag does not fit, or that JSON cannot hold."""


def is_known_tag(tag: str) -> bool:
    """Whether a tag is somebody's own, or one of those that YAML defines; a program's own types are neither.

    Args:
        tag: The tag in full.
    """
    return not tag.startswith(CORE) or tag in _TYPES or tag.removeprefix(CORE) in _OTHERS


def read_scalar(text: str, tag: str | None) -> Any:
    """The value of a scalar.

    Args:
        text: What is written, without quotes and escapes.
        tag: Its tag in full. None: it is plain, so its text decides.

    Raises:
        NotPlain: The tag is known and the text is no such value.
    """
    if tag is None:
        return _resolve(text)
    if tag == f"{CORE}binary":
        return _decode_binary(text)
    wanted = _TYPES.get(tag)
    if wanted is None or wanted is str:
        # A tag of somebody's own makes nothing else of a scalar.
        return text
    value = _resolve(text)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise NotPlain(f"a value is no !!{tag.removeprefix(CORE)}")
    return value


def key_text(key: Any) -> str:
    """A key as JSON can hold it.

    Args:
        key: A scalar.

    Raises:
        NotPlain: It is null.
    """
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        return _float_text(key)
    if key is None:
        raise NotPlain("a key in it is null")
    return str(key)


def _resolve(text: str) -> Any:
    """The value of a plain scalar."""
    if len(text) <= _LONGEST_WORD and text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _float(text.replace("_", "")) if len(text) <= _DIGITS_MAX and _POINT.fullmatch(text) else text
    if first not in "+-0123456789" or len(text) > _DIGITS_MAX:
        return text
    digits = text.replace("_", "")
    whole = _integer(digits)
    if whole is not None or not _FLOAT.fullmatch(digits):
        return text if whole is None else whole
    value = _float(digits)
    return text if isinstance(value, str) else value


def _integer(digits: str) -> int | None:
    """A whole number of 64 bits. None: it is none."""
    if not _INTEGER.fullmatch(digits):
        return None
    sign = -1 if digits[0] == "-" else 1
    bare = digits.lstrip("+-").lower()
    if bare != "0" and bare.startswith("0") and bare[1] not in "box":
        bare = f"0o{bare[1:]}"
    value = sign * int(bare, 0)
    # Numbers of more than 63 bits take no sign.
    is_known = _INTEGER_MIN <= value <= _INTEGER_MAX and (value < 2**63 or digits[0] != "+")
    return value if is_known else None


def _float(text: str) -> float | str:
    value = float(text)
    return text if math.isinf(value) else value


def _decode_binary(text: str) -> str:
    """Base64, as text; Kubernetes would replace what is none and store something else than was sent."""
    try:
        data = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
        return data.decode("utf-8")
    except binascii.Error:
        raise NotPlain("a !!binary value is no base64") from None
    except UnicodeDecodeError:
        raise NotPlain("a !!binary value is no UTF-8 text; write it as base64 text under binaryData or data") from None


def _float_text(value: float) -> str:
    """A number as a key: the shortest text that is the same number of 32 bits."""
    if math.isnan(value) or math.isinf(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if value.is_integer() and abs(value) < _LEAST_WITH_EXPONENT:
        return str(int(value))
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((text for text in texts if _single(float(text)) == _single(value)), repr(value))


def _single(value: float) -> bytes:
    try:
        return struct.pack(">f", value)
    except OverflowError:
        return b"inf"


_TYPES: dict[str, type] = {
    f"{CORE}bool": bool,
    f"{CORE}int": int,
    f"{CORE}float": float,
    f"{CORE}null": type(None),
    f"{CORE}timestamp": str,
    f"{CORE}str": str,
}
_OTHERS = frozenset({"binary", "map", "merge", "omap", "pairs", "seq", "set"})
