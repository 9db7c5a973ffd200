"""Pairs of a name and a value, under any two words: {name: DB_PASSWORD, value: x}, <entry key="password">x</entry>."""

import re
from collections.abc import Iterator

from klepaas.output.masking.field_names import is_identifier, is_value_word
from klepaas.output.masking.lexing import VALUE

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
    r"|</[\w:-]{1,40}>[ \t\n]{0,40}(?:<[\w:-]{1,40}/>[ \t\n]{0,40})?<[\w:-]{1,40}(?:[ \t\n][^<>]{0,120})?>"
    rf"{_RAW}(?P<other>[^<>]{{1,2000}})(?=</|\]\]>)"
)
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
        return None
    tag = _TAG_VALUE.match(text, end)
    if tag is not None and tag.group().strip():
        group = "value" if tag["value"] else "other"
        return tag.span(group) if tag[group].strip() else None
    return _after(text, end, block=before["block"] is not None) or _before(text, start, done)


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
    keys = list(_value_keys(text, begin + cut, start))
    return VALUE.match(text, keys[-1].end()) if keys else None


def _value_keys(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the keys of values in a part of the text."""
    return (key for key in _VALUE_KEY.finditer(text, start, end) if is_value_word(key["key"]))
