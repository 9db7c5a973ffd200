"""How values are written: quoted in many ways, in braces, or bare."""

import re

__all__ = ["VALUE", "mask_value"]

from klepaas.output.vault import MARK

VALUE = re.compile(
    r"\"\"\"(?:[^\"]|\"(?!\"\"))*+(?:\"\"\")?|'''(?:[^']|'(?!''))*+(?:''')?"
    r"|\"(?:[^\"\\\n]|\\.)*+\"?"
    r"|'(?:[^'\n\\]|\\.|'')*+'?"
    r"|`[^`\n]*+`?"
    r"|(?P<quote>\\{1,8}+[\"'])(?:(?!(?<!\\)(?P=quote))[^\n])*+(?:(?P=quote))?"
    r"|[|>][-+0-9]{0,2}(?=[ \t\r]{0,8}(?:\n|$))"
    r"|\{[^{}\n\"':]{1,200}\}(?=[;\"'\s]|$)"
    r"|\$?\{\{[^{}\n]{0,200}\}\}|\$[({][^(){}\n]{0,200}[)}]"
    # What follows the bracket without a gap belongs to the value, as it does after the mark.
    r"|<[^<>\n]{1,80}>(?:[^\s,;&\"'<>]*[^\s,;&\"'<>)}\]])?"
    r"|[^\s,;&\"'<>{}\[\]()][^\s,;&\"'<>]*+"
)

_QUOTE = re.compile(r"\\{0,64}(?:\"\"\"|\'\'\'|[\"'`])")


def mask_value(value: str, quote_bare: str = "") -> str:
    """The mark in the value's own quotes, so that JSON and YAML stay what they are; line ends inside of them stay.

    Args:
        value: The value as it is written.
        quote_bare: The quote for a value without one: a number of JSON becomes a text.
    """
    if value[0] not in "\\\"'`":
        return f"{quote_bare}{MARK}{quote_bare}"
    opening = _QUOTE.match(value)
    quote = "" if opening is None else opening.group()
    closed = bool(quote) and value.endswith(quote) and len(value) > len(quote)
    inner = value[len(quote) : len(value) - len(quote)] if closed else value[len(quote) :]
    lead = "\n" if inner.startswith("\n") else ""
    tail = "\n" if closed and inner.endswith("\n") and len(inner) > 1 else ""
    return f"{quote}{lead}{MARK}{tail}{quote if closed else ''}"
