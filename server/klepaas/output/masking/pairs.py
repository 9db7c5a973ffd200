"""Pairs of a name and a value, under any two words: {name: DB_PASSWORD, value: x}, <entry key="password">x</entry>."""

import re
from collections.abc import Iterator

from klepaas.output.masking.field_names import is_identifier, is_value_word
from klepaas.output.masking.lexing import VALUE
from klepaas.output.masking.values import is_harmless_value

__all__ = ["pair_value"]

# The key before a name that is itself a value, as name: or "key":, or an attribute of XML.
_NAME_KEY = re.compile(
    r"(?:(?P<key>[A-Za-z][\w-]{0,30})\\{0,8}[\"']?[ \t]{0,8}[:=][ \t]{0,8}\\{0,8}[\"']?|<[\w:-]{0,30}(?P<tag>name|key)>"
    r"|\b(?P<block>variable|secret|parameter|output)[ \t]{1,4}[\"'])\Z",
    re.IGNORECASE,
)
_VALUE_KEY = re.compile(r"(?<![\w.-])(?P<key>[A-Za-z][\w-]{0,40}+)\\{0,8}[\"']?[ \t]{0,8}[:=][ \t]{0,8}")
_RAW = r"(?:[ \t\n]{0,40}<!\[CDATA\[)?"
_TAG_VALUE = re.compile(
    rf"[\"']?[^<>\n]{{0,200}}>(?:[ \t\n]{{0,40}}</?[\w:-]{{1,40}}>){{0,2}}{_RAW}(?P<value>[^<>]{{1,2000}})(?=</|\]\]>)"
    r"|</[\w:-]{1,40}>[ \t\n]{0,40}(?:<[\w:-]{1,40}/>[ \t\n]{0,40})?"
    r"<(?!(?:namespace|type|kind|description)\b)[\w:-]{1,40}(?:[ \t\n][^<>]{0,120})?>"
    rf"{_RAW}(?P<other>[^<>]{{1,2000}})(?=</|\]\]>)"
)
# A name that only a variable or a property has: it is one under any word, and what stands beside it is its value.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]{0,40}(?:_[A-Z0-9]{1,40}){1,8}|[a-z]{1,40}(?:\.[a-z]{1,40}){1,8}")
_QUOTE = r"\\{0,8}[\"']?"
_KEY = rf"{_QUOTE}[A-Za-z][\w-]{{0,30}}{_QUOTE}[ \t]{{0,8}}[:=][ \t]{{0,8}}"
_ANY_KEY = re.compile(rf"(?:(?:^|[\n{{<,]|- )[ \t]{{0,40}}(?:[\w:-]{{1,30}}[ \t])?{_KEY}{_QUOTE}|<[\w:-]{{1,30}}>)\Z")
_BESIDE = re.compile(
    rf"{_QUOTE}(?:[ \t]{{0,4}},[ \t\n]{{0,40}}|[ \t]{{0,4}}\n[ \t]{{0,40}}|[ \t]{{1,4}}){_KEY}(?=[^\s{{\[])"
)
_PAIR_END = re.compile(r"[ \t]{0,8}/?(?:\}|>|\n[ \t]{0,40}-[ \t]|\n\[|\n\n|\n?\Z)")
_ITEM = re.compile(r"\n[ \t]{0,100}-[ \t]")
_WINDOW_CHARS = 400


def pair_value(text: str, start: int, end: int, done: int) -> re.Match[str] | tuple[int, int] | None:
    """The value that belongs to a name which is itself a value, or none.

    Args:
        text: The whole text.
        start: Where the name begins.
        end: Where it ends.
        done: Up to where the text has been handled; a value before that is none.
    """
    before = _NAME_KEY.search(text[max(0, start - 60) : start])
    if before is None or (before["key"] and not is_identifier(before["key"])):
        return _beside(text, start, end) if _VARIABLE.fullmatch(text, start, end) is not None else None
    tag = _TAG_VALUE.match(text, end)
    if tag is not None and tag.group().strip():
        group = "value" if tag["value"] else "other"
        return tag.span(group) if tag[group].strip() else None
    return _after(text, end, block=before["block"] is not None) or _before(text, start, done)


def _beside(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The value in a pair of two fields of any words, of which the first holds the name of a variable."""
    if _ANY_KEY.search(text[max(0, start - 80) : start]) is None:
        return None
    tag = _TAG_VALUE.match(text, end)
    if tag is not None and tag["other"]:
        return None if is_harmless_value(tag["other"].strip()) else tag.span("other")
    key = _BESIDE.match(text, end)
    value = None if key is None else VALUE.match(text, key.end())
    if value is None:
        return None
    stop = value.end() if value.group()[0] in "\"'\\" else value.start() + len(value.group().rstrip("}>/"))
    alone = _PAIR_END.match(text, stop) is not None and not is_harmless_value(text[value.start() : stop].strip("\"'\\"))
    return (value.start(), stop) if alone else None


def _after(text: str, end: int, *, block: bool) -> re.Match[str] | None:
    window = text[end : end + _WINDOW_CHARS]
    item = _ITEM.search(window)
    closing = window.find("}")
    opening = window.find("{", window.find("{") + 1 if block else 0)
    cut = min((at for at in (item.start() if item else -1, closing, opening) if at >= 0), default=len(window))
    key = next(_value_keys(text, end, end + cut), None)
    return None if key is None else VALUE.match(text, key.end())


def _before(text: str, start: int, done: int) -> re.Match[str] | None:
    begin = max(done, start - _WINDOW_CHARS)
    window = text[begin:start]
    cut = max(window.rfind("{"), window.rfind("}"), window.rfind("\n- "), window.rfind(" - "), 0)
    keys = [key for key in _value_keys(text, begin + cut, start) if text[key.end() : start].strip("\"'\\")]
    return VALUE.match(text, keys[-1].end()) if keys else None


def _value_keys(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the keys of values in a part of the text."""
    return (key for key in _VALUE_KEY.finditer(text, start, end) if is_value_word(key["key"]))
