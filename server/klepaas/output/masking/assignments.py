"""Values that stand after a secret's name: name=value, "name": "value", --name value, <name>value</name>.

A text is searched for the words that secret names are made of; only there the whole name is read and judged, then what
stands between name and value, then the value. In prose a sentence may go on after the colon: that is no value.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from klepaas.output.masking.names import STEMS, Secrecy, secrecy
from klepaas.output.masking.values import is_harmless_value, is_said_elsewhere
from klepaas.output.vault import MARK

__all__ = ["Name", "mask_value", "redact_assignments", "secret_names"]

_STEM = re.compile(STEMS)
_NAME_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_REST = re.compile(r"[A-Za-z0-9_.가-힣-]{0,100}+")
_LONGEST_CHARS = 100
_HANGUL = re.compile(r"[가-힣]")
# Particles that follow a Korean name; what stands in brackets only explains it.
_KOREAN_AFTER = re.compile(r"(?:\([^()\n]{1,40}\))?(?:는|은|가|이|를|을)?(?P<colon> {0,4}(?:[:=：]|->|→) {0,4}| {1,4})")
_KOREAN_VALUE = re.compile(r"[\"'`]?(?P<value>[!-&(-+./0-~-]{4,128})")
_KOREAN_TERM = re.compile(
    r"(?:aes|rsa|sha|md5|bcrypt|base64|bearer|jwt|utf|http|tls|ssl|oauth|api|url|argon)[\w-]{0,12}", re.IGNORECASE
)
_SCHEME = r"(?:(?i:bearer|basic|digest|negotiate|token|apikey|bot)(?:[ \t]++|%20|\+))?+"
# What stands between a name and its value. A Python annotation and a type in TypeScript, Go or Rust may come first.
_BETWEEN = re.compile(
    r"\\{0,8}+[\"'`]?+\]?[ \t]{0,16}+"
    r"(?:(?::[ \t]{0,4}|[ \t])(?:[sS]tr(?:ing)?|bytes|SecretStr|&'?\w{0,8} ?str|char ?\*|Optional\[str\])"
    r"[ \t]{0,4}(?==))?+"
    rf"(?:=>|:=|->|\?=|\+=|[=:]=?+|%3[dDaA]|(?<=[\"']),)[ \t]{{0,16}}+(?:!!?[a-z]{{1,12}}[ \t])?+(?:%22)?+{_SCHEME}"
)
_TAG = re.compile(r"(?:[ \t][^<>\n]{0,120})?>(?:<!\[CDATA\[)?")
_TAG_VALUE = re.compile(r"[^<>\[\]]{1,2000}")
_FLAG_BETWEEN = re.compile(
    r"(?:[\"']?[ \t]{0,4},[ \t\n]{0,16}[\"']?|[ \t]{1,16}|[\"']?[ \t]{0,4}\n[ \t]{0,40}- [\"']?)(?!-)"
)
_VALUE = re.compile(
    r"\"\"\"(?:[^\"]|\"(?!\"\"))*+(?:\"\"\")?|'''(?:[^']|'(?!''))*+(?:''')?"
    r"|\"(?:[^\"\\\n]|\\.)*+\"?"
    r"|'(?:[^'\n\\]|\\.|'')*+'?"
    r"|`[^`\n]*+`?"
    r"|(?P<quote>\\{1,8}+[\"'])(?:(?!(?<!\\)(?P=quote))[^\n])*+(?:(?P=quote))?"
    r"|\{[^{}\n\"':]{1,200}\}(?=[;\"'\s]|$)"
    r"|\$?\{\{[^{}\n]{0,200}\}\}|\$[({][^(){}\n]{0,200}[)}]|<[^<>\n]{1,80}>"
    r"|[^\s,;&\"'<>{}\[\]()][^\s,;&\"'<>]*+"
)
_ELEMENT = r"(?:[\"'][^\"'\n]{0,400}[\"']|[^\s\"'\[\]{},]{1,200})"
_COMMA = r"[ \t\n]{0,40},[ \t\n]{0,40}"
_ARRAY = re.compile(rf"\[(?P<items>[ \t\n]{{0,40}}{_ELEMENT}(?:{_COMMA}{_ELEMENT})*+)[ \t\n,]{{0,40}}\]")
_ITEM = re.compile(r"[^\s\"',]+")
_URL_ENCODED_END = re.compile(r"%(?:26|22|0[aAdD])")
_LINE_START = re.compile(r"(?:^|\n)[ \t]*(?:-[ \t]+)?[\"']?\Z")
_WORD_BEFORE = re.compile(r"[A-Za-z]{2}[ \t]\Z")
_REASON = re.compile(r"(?:[A-Z][a-z]+){3,}")
_PROSE_AFTER = re.compile(r"[A-Za-z]{2,40} [a-z]{2,40}\b")


class Name(NamedTuple):
    """A secret's name in a text."""

    text: str
    start: int
    end: int
    secrecy: Secrecy


def redact_assignments(text: str) -> str:
    """The text with the value after each secret's name masked, in its own quotes."""
    pieces: list[str] = []
    done = 0
    for name in secret_names(text):
        if name.start < done:
            continue
        for start, end in _values(text, name):
            pieces += [text[done:start], mask_value(text[start:end])]
            done = end
    return "".join(pieces) + text[done:]


def secret_names(text: str) -> Iterator[Name]:
    """Yield the names in a text that hold secrets, surely or perhaps, from left to right."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters have a longer small form
        lowered = "".join(char.lower() if char.isascii() else char for char in text)
    position = 0
    while (hit := _STEM.search(lowered, position)) is not None:
        window = text[max(position, hit.start() - _LONGEST_CHARS) : hit.start()]
        start = hit.start() - (len(window) - len(window.rstrip(_NAME_CHARS)))
        rest = _REST.match(text, hit.end())
        end = hit.end() if rest is None else rest.end()
        found = _name(text, start, end)
        if found is not None:
            yield found
        position = max(end, hit.end())


def _name(text: str, start: int, end: int) -> Name | None:
    name = text[start:end]
    if not name.isascii():
        korean = re.match(
            r"(.*?(?:비밀번호|인증키|패스워드|시크릿키|시크릿|개인키|보안키|비밀키|액세스키|접근키|암호|비번|토큰))",
            name,
        )
        if korean is None:
            return None
        name, end = korean.group(), start + korean.end()
    name = name.rstrip(".-")
    judged = secrecy(name.strip("-."))
    return None if judged is Secrecy.PLAIN else Name(name, start, start + len(name), judged)


def _values(text: str, name: Name) -> list[tuple[int, int]]:
    """Where the values of a name stand: none, one, or the items of a list."""
    if not name.text.isascii() and (spans := _korean(text, name)):
        return spans
    if text[name.start - 1 : name.start] == "<" and (tag := _TAG.match(text, name.end)) is not None:
        return _tag_value(text, name, tag.end())
    between = _BETWEEN.match(text, name.end)
    if between is None:
        return _flag(text, name)
    if between.group().endswith(","):
        return []
    if text[between.end() : between.end() + 1] == "[" and name.secrecy is Secrecy.SECRET:
        return _items(text, between.end())
    found = _VALUE.match(text, between.end())
    if found is None or _is_prose(text, name, between, found) or _tells_nothing(name, found.group()):
        return []
    return [_extent(text, name, between, found)]


def _tells_nothing(name: Name, value: str) -> bool:
    bare = value.strip("\"'`\\").rstrip(")]},.") if value[:1] not in "$<{" else value.strip("\"'`\\")
    return is_said_elsewhere(bare) or (name.secrecy is Secrecy.SOFT and is_harmless_value(bare))


def _flag(text: str, name: Name) -> list[tuple[int, int]]:
    """The value of --name value; the flag may be an item of a list."""
    dashes = len(name.text) - len(name.text.lstrip("-"))
    before = text[name.start - 1 : name.start]
    if dashes not in (1, 2) or (before and before not in " \t\n\"'[(,`"):
        return []
    between = _FLAG_BETWEEN.match(text, name.end)
    found = None if between is None else _VALUE.match(text, between.end())
    if found is None or _tells_nothing(name, found.group()):
        return []
    return [found.span()]


def _tag_value(text: str, name: Name, start: int) -> list[tuple[int, int]]:
    found = _TAG_VALUE.match(text, start)
    if found is None or not found.group().strip() or _tells_nothing(name, found.group().strip()):
        return []
    return [found.span()]


def _items(text: str, start: int) -> list[tuple[int, int]]:
    array = _ARRAY.match(text, start)
    if array is None:
        return []
    items = _ITEM.finditer(text, array.start("items"), array.end("items"))
    return [item.span() for item in items if not is_harmless_value(item.group())]


def _korean(text: str, name: Name) -> list[tuple[int, int]]:
    """After a Korean name: a colon, or a particle and a word that no Korean text is."""
    between = _KOREAN_AFTER.match(text, name.end)
    found = None if between is None else _KOREAN_VALUE.match(text, between.end())
    if between is None or found is None:
        return []
    value = found["value"]
    after = text[found.end() : found.end() + 1]
    if is_said_elsewhere(value) or (value.isdigit() and _HANGUL.match(after)):
        return []
    if not between["colon"].strip() and (_KOREAN_TERM.fullmatch(value) or value.isalpha()):
        return []
    return [found.span("value")]


def _is_prose(text: str, name: Name, between: re.Match[str], found: re.Match[str]) -> bool:
    """Whether a sentence goes on after the colon: 'failed to refresh token: connection refused'."""
    sign, value = between.group(), found.group()
    if sign[:1] in ("'", '"') and sign[1:2].isspace() and value[0] not in "\"'\\":
        return True  # volume "db-password" : secret "db-password" not found
    if name.text == "PASS" and sign[:2] == ": ":
        return True  # a test's result
    if not sign.startswith(":") or _PROSE_AFTER.match(text, found.start()) is None:
        return False
    before = text[max(0, name.start - 40) : name.start]
    return _WORD_BEFORE.search(before) is not None or _REASON.fullmatch(name.text) is not None


def _extent(text: str, name: Name, between: re.Match[str], found: re.Match[str]) -> tuple[int, int]:
    """Where the value begins and ends: without quotes, that of a line's own key goes on to the line's end."""
    start, end = found.span()
    if text[start] in "\"'`" or found["quote"]:
        return start, end
    if "%" in between.group() and (encoded := _URL_ENCODED_END.search(text, start, end)) is not None:
        return start, encoded.start()
    if between.group().startswith(": ") and _LINE_START.search(text[max(0, name.start - 200) : name.start]):
        line_end = text.find("\n", end)
        end = len(text) if line_end < 0 else line_end
        return start, start + len(text[start:end].rstrip())
    return start, start + max(1, len(found.group().rstrip(")]}")))


def mask_value(value: str) -> str:
    """The mark in the value's own quotes, so that JSON and YAML stay what they are."""
    quote = value[: len(value) - len(value.lstrip("\\\"'`"))] if value[0] in "\\\"'`" else ""
    return f"{quote}{MARK}{quote if quote and value.endswith(quote) and len(value) > len(quote) else ''}"
