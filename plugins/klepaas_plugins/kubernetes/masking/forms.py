"""What the form of a single value says: a mark, a pointer to another value, evidently harmless, or made by chance."""

import re

from klepaas.output.masking.values import is_said_elsewhere
from klepaas.output.redaction import MARK

__all__ = [
    "is_harmless",
    "is_masked",
    "looks_random",
    "mask_address",
    "mask_userinfo",
    "masked",
]

_MASKED = re.compile(rf"{MARK}( \(\d+ bytes(?:, hidden, not compared)?\))?")
_HARMLESS = re.compile(
    r"true|false|yes|no|on|off|none|null|auto|default|enabled|disabled|all|any|always|never"
    r"|trace|debug|info|notice|warn|warning|error|fatal|critical"
    r"|prod|production|stage|staging|dev|devel|development|test|testing|qa|local|demo|sandbox"
    r"|json|text|plain|yaml|logfmt|utf-?8|utc|asia/seoul|c\.utf-8|[a-z]{2}_[a-z]{2}(?:\.utf-8)?"
    r"|-?\d{1,6}(?:\.\d{1,4})?(?:ms|s|m|h|d|k|g|t|ki|mi|gi|ti|%)?"
    r"|localhost(?::\d{1,5})?|(?:127|0|10)\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?"
    r"|(?:https?://)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})?\.svc(?:\.cluster\.local)?(?::\d{1,5})?/?"
    r"|\$\([A-Za-z0-9_.-]+\)|",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z0-9+/=_.~-]{12,4096}")
# What a person would read as one piece: Word, WORD, word, 123. A value made by chance has short ones.
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_PATH = re.compile(r"/?(?:[A-Za-z0-9_.-]{1,64}/)*[A-Za-z0-9_.-]{0,64}")
_DIGESTS = ("sha1-", "sha256-", "sha384-", "sha512-")
_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]")
# In a long word `/` and `+` belong to base64.
_SEPARATOR = re.compile(r"[_.~-]")
_LONG_CHARS = 32
_SEGMENT_CHARS, _MEAN_CHARS = 8, 2.6
_LONG_SEGMENT_CHARS, _LONG_MEAN_CHARS = 12, 3.2
_ADDRESS = re.compile(r"(?P<before>^[\w+.:-]{1,40}://[^\s/:@]{0,128}:)(?P<secret>[^\s@]{1,256})@(?!sha\d{1,3}:)")
_PORT = re.compile(r"\d{1,5}/")
# user:password@host of an image or of an address without a scheme; a digest (name:tag@sha256:...) is none.
_USERINFO = re.compile(r"(?P<before>^[^\s/@:]{1,128}:)(?P<secret>[^\s/@]{1,256})@(?!sha\d{1,3}:)")


def is_harmless(value: str) -> bool:
    """Whether a value is evidently no secret: a switch, a short number, a log level, a service's address."""
    return len(value) <= 200 and _HARMLESS.fullmatch(value) is not None


def is_masked(value: str) -> bool:
    """Whether a value is nothing but a mark."""
    return _MASKED.fullmatch(value) is not None


def looks_random(value: str) -> bool:
    """Whether a value is one word of mixed letters and digits that nobody would write: a key, a token.

    Names, uids, digests and versions have no upper case or no digits, or their pieces are words.
    """
    if (
        _WORD.fullmatch(value) is None
        or value.startswith(_DIGESTS)
        or (value.startswith("/") and _PATH.fullmatch(value) is not None)
    ):
        return False
    if len(value) >= _LONG_CHARS:
        segments = _SEPARATOR.split(value)
        return any(len(one) >= _LONG_SEGMENT_CHARS and _is_random(one, _LONG_MEAN_CHARS) for one in segments)
    segments = _NOT_ALPHANUMERIC.split(value)
    return any(len(one) >= _SEGMENT_CHARS and _is_random(one, _MEAN_CHARS) for one in segments)


def _is_random(segment: str, mean_chars: float) -> bool:
    pieces = _PIECE.findall(segment)
    has_digit = any(piece[0].isdigit() for piece in pieces)
    has_lower, has_upper = any(map(str.islower, segment)), any(map(str.isupper, segment))
    return has_digit and has_lower and has_upper and len(segment) <= mean_chars * len(pieces)


def masked(value: str, size_bytes: int | None = None) -> str:
    """The mark for a value, with the value's size where that may be told."""
    if is_masked(value.rstrip("\n")):
        return value
    return MARK if size_bytes is None else f"{MARK} ({size_bytes} bytes)"


def mask_userinfo(value: str) -> str:
    """A name of an image or a host without the password before its `@`."""
    return _USERINFO.sub(rf"\g<before>{MARK}@", value) if "@" in value else value


def mask_address(value: str) -> str:
    """A value that is one address without its password, whatever characters that has."""
    if value.count("://") != 1:
        return value
    found = _ADDRESS.match(value)
    if found is None or is_said_elsewhere(found["secret"]) or _PORT.match(found["secret"]):
        return value
    return f"{found['before']}{MARK}{value[found.end('secret') :]}"
