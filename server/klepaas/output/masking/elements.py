"""Secrets in elements of XML: their text, their attribute `value`, the elements inside of them."""

import re
from collections.abc import Iterator

from klepaas.output.masking.field_names import is_identity, is_reference
from klepaas.output.masking.finding import Name
from klepaas.output.masking.names import Secrecy

__all__ = ["element_values"]

_Span = tuple[int, int]

_START = re.compile(r"<(?P<space>(?:[\w.-]{1,30}:)?)\Z")
_TAG = re.compile(r"(?:[ \t\n][^<>]{0,400})?>(?P<raw>[ \t\n]{0,40}<!\[CDATA\[)?")
_TEXT = re.compile(r"[^<>]++(?=</)")
_RAW_TEXT = re.compile(r"(?:[^\]<]|\](?!\]>)|<(?!!\[CDATA\[)){1,2000}+(?=\]\]>)")
_ATTRIBUTE = re.compile(
    r"[ \t\n](?:[\w.-]{1,30}:)?(?:value|val|content|text|plain|secret)[ \t]{0,4}=[ \t]{0,4}"
    r"(?P<value>\"[^\"<>]{1,400}\"|'[^'<>]{1,400}')"
)
_CHILD = re.compile(
    r"<(?:[\w.-]{1,30}:)?(?P<tag>[\w.-]{1,60})(?:[ \t\n][^<>]{0,120})?>(?:[ \t\n]{0,40}<!\[CDATA\[)?(?P<value>[^<>]++)"
)
_LONGEST_CHILDREN_CHARS = 1000


def element_values(text: str, name: Name) -> list[_Span] | None:
    """Where the values of an element with a secret's name stand; None where the name is not that of an element."""
    start = _START.search(text[max(0, name.start - 32) : name.start])
    tag = None if start is None else _TAG.match(text, name.end)
    if start is None or tag is None:
        return None
    attribute = _ATTRIBUTE.search(text, name.end, tag.end())
    if attribute is not None:
        return [attribute.span("value")]
    found = _RAW_TEXT.match(text, tag.end()) if tag["raw"] else _TEXT.match(text, tag.end())
    if found is not None and found.group().strip():
        return [found.span()]
    return list(_children(text, f"</{start['space']}{name.text}", tag.end())) if name.secrecy is Secrecy.SECRET else []


def _children(text: str, closing: str, start: int) -> Iterator[_Span]:
    """Yield where the texts of the elements inside stand that are not known to be no secret by their names."""
    end = text.find(closing, start, start + _LONGEST_CHILDREN_CHARS)
    if end < 0 or text[start:end].lstrip()[:1] != "<":
        return
    for child in _CHILD.finditer(text, start, end):
        value = child["value"]
        if value.strip() and not is_identity(child["tag"]) and not is_reference(child["tag"]):
            begin = child.start("value") + len(value) - len(value.lstrip())
            stop = begin + len(value.strip())
            yield begin, stop - 2 if text[stop - 2 : stop + 1] == "]]>" else stop
