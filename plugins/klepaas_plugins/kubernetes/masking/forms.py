"""What the form of a single value says: a mark, a pointer to another value, evidently harmless, or made by chance."""

import re

from klepaas.output.redaction import MARK, is_said_elsewhere

__all__ = [
    "is_harmless",
    "is_masked",
    "is_place",
    "is_pointer",
    "is_switch",
    "looks_random",
    "mask_address",
    "mask_userinfo",
    "masked",
]

_MASKED = re.compile(rf"{MARK}( \(\d+ bytes(?:, hidden, not compared)?\))?")
# A value that only points to another one. A default inside (${X:-y}) would be a value. Linear: no blank or name is
# matched by two parts that follow each other.
_POINTER = re.compile(
    r"[\"']?(?:\$\([A-Za-z0-9_.-]{1,253}\)|\$\{[A-Za-z0-9_.-]{1,253}\}|\$(?:[A-Z_][A-Z0-9_]{0,253}|[a-z_]{1,63})"
    r"|\$[A-Za-z_]{1,63}(?:[.:-][A-Za-z_]{1,63}){1,8}|\$\(cat [\w./-]{1,253}\)"
    r"|\{\{-?[ \t]*+[$A-Za-z0-9_.][$A-Za-z0-9_. \t|()]{0,253}+-?\}\})[\"']?,?"
)
_SWITCH = re.compile(r"(?:true|false|yes|no|on|off|none|null|nil|enabled?|disabled?|required|optional)?", re.IGNORECASE)
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
_LOCAL = re.compile(
    r"(?:https?://)?(?:localhost|127\.0\.0\.1|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,3}\.svc(?:\.cluster\.local)?)"
    r"(?::\d{1,5})?(?:/[a-z0-9_.-]{0,40}){0,6}",
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
# Where secrets are mounted; a file's path under a secret's name is none.
_FILE = re.compile(
    r"(?:/(?:etc|run|var|opt|tmp|mnt|home|usr|srv|app|data|config|secrets?|vault|certs?)|\.{1,2})(?:/[\w.-]{1,100}){1,12}/?"
)
_ADDRESS = re.compile(r"(?P<before>^[\w+.:-]{1,40}://[^\s/:@]{0,128}:)(?P<secret>[^\s@]{1,256})@(?!sha\d{1,3}:)")
_PORT = re.compile(r"\d{1,5}/")
# password: must be at least 8 characters; password: 8자 이상, 영문과 숫자를 포함; password:  16 bytes
_SENTENCE = re.compile(
    r"(?:must|is|are|was|has|required|missing|invalid|unknown|not|cannot|should|expired|denied|same-site|may)[ ]"
    r"[a-z][a-z ,'/.-]{0,100}|[^ ]{0,20}[가-힣] [^\n]{0,200}[가-힣]|\d{1,6} bytes$|<(?:set to the key|none)\b"
)
# token = get_token(); password: z.string().min(8)
_CODE = re.compile(r"[A-Za-z_][\w.]{0,60}\([^\"'()]{0,60}\)(?:\.[\w.]{1,60}\([^\"'()]{0,60}\)){0,5};?")
# user:password@host of an image or of an address without a scheme; a digest (name:tag@sha256:...) is none.
_USERINFO = re.compile(r"(?P<before>^[^\s/@:]{1,128}:)(?P<secret>[^\s/@]{1,256})@(?!sha\d{1,3}:)")


def is_harmless(value: str) -> bool:
    """Whether a value is evidently no secret: a switch, a short number, a log level, a service's address."""
    return len(value) <= 200 and _HARMLESS.fullmatch(value) is not None


def is_switch(value: str) -> bool:
    """Whether a value only turns something on or off, so that it is no secret even under a secret's name."""
    value = value.strip("\"'")
    return len(value) <= 8 and _SWITCH.fullmatch(value) is not None


def is_local(value: str) -> bool:
    """Whether a value is an address inside the cluster or the pod, with a path of words and nothing else."""
    return len(value) <= 300 and _LOCAL.fullmatch(value) is not None


def is_place(value: str) -> bool:
    """Whether a value is no secret even under a secret's name: it turns something on, or says where the secret is."""
    # A default that is masked already: ${NAME:‹redacted›}.
    value = value.replace(MARK, "default") if value != MARK else value
    return (
        is_switch(value)
        or is_pointer(value)
        or is_local(value)
        or _is_file(value)
        or is_said_elsewhere(value)
        or _says_something(value)
    )


def _says_something(value: str) -> bool:
    """Whether what stands after a secret's name is a sentence about it, code that gets it, or its size."""
    return len(value) <= 300 and (_SENTENCE.match(value) is not None or _CODE.fullmatch(value) is not None)


def _is_file(value: str) -> bool:
    return len(value) <= 600 and _FILE.fullmatch(value) is not None


def is_masked(value: str) -> bool:
    """Whether a value is nothing but a mark."""
    return _MASKED.fullmatch(value) is not None


def is_pointer(value: str) -> bool:
    """Whether a value only names another one: `$(NAME)`, `${NAME}`, `{{ .Values.name }}`."""
    return len(value) <= 300 and _POINTER.fullmatch(value) is not None


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
    if found is None or is_place(found["secret"]) or _PORT.match(found["secret"]):
        return value
    return f"{found['before']}{MARK}{value[found.end('secret') :]}"
