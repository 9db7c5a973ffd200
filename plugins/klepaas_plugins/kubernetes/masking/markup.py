"""Secrets in XML: elements and attributes with a secret's name, and pairs of a name and a value in elements."""

import re

from klepaas_plugins.kubernetes.masking.forms import is_pointer, is_switch, masked
from klepaas_plugins.kubernetes.masking.names import is_secret
from klepaas_plugins.kubernetes.masking.pairs import is_identifier, is_value_word

__all__ = ["mask_markup"]

_ATTRIBUTE = re.compile(
    r"(?<![\w.:-])(?P<name>[\w.:-]++)[ \t\r\n]{0,8}+=[ \t\r\n]{0,8}+"
    r"(?:\"(?P<double>[^\"<]*+)\"|'(?P<single>[^'<]*+)')"
)
# One piece of markup: a section of raw text, a tag, or what stands between tags.
_PIECE = re.compile(r"<!\[CDATA\[(?:(?!\]\]>)[\s\S])*+(?:\]\]>)?|<[^<>]*+>?|[^<]++")
_NAME = re.compile(r"<(?P<close>/?)(?P<name>[\w.:-]{1,100})")


def mask_markup(text: str) -> str:
    """A text with the secrets of its elements masked; one without elements stays as it is.

    Args:
        text: XML, or a text with XML in it.
    """
    if "</" not in text and "/>" not in text:
        return text
    reader = _Reader()
    return "".join(reader.piece(match.group()) for match in _PIECE.finditer(text))


class _Reader:
    """Where a reader of markup stands.

    Attributes:
        hides: Whether the text after this tag is a secret.
        names: Whether the text after this tag is the name of what the next value holds.
        pair: Whether a name before was that of a secret, so that the next value is one.
    """

    def __init__(self) -> None:
        self.hides = False
        self.names = False
        self.pair = False

    def piece(self, piece: str) -> str:
        """One tag, or the text between two."""
        if piece.startswith("<![CDATA["):
            end = "]]>" if piece.endswith("]]>") else ""
            return f"<![CDATA[{self._text(piece[9 : len(piece) - len(end)])}{end}"
        if piece.startswith("<"):
            return self._tag(piece)
        return self._text(piece)

    def _tag(self, tag: str) -> str:
        found = _NAME.match(tag)
        if found is None:
            return tag
        local = found["name"].rsplit(":", 1)[-1]
        if found["close"]:
            if not (is_identifier(local) or is_value_word(local)):
                self.pair = False
            self.hides = self.names = False
            return tag
        attributes = [(match["name"], _value(match)) for match in _ATTRIBUTE.finditer(tag)]
        named = any(is_identifier(name.rsplit(":", 1)[-1]) and is_secret(value) for name, value in attributes)
        opens = not tag.endswith("/>")
        self.pair = self.pair or named
        self.hides = opens and (is_secret(local) or named or (self.pair and is_value_word(local)))
        self.names = opens and is_identifier(local)
        return _ATTRIBUTE.sub(lambda match: _attribute(match, named=named), tag)

    def _text(self, text: str) -> str:
        inner = text.strip()
        if not inner:
            return text
        if self.names:
            self.pair, self.names = is_secret(inner), False
        if not self.hides or is_pointer(inner) or is_switch(inner):
            return text
        return text.replace(inner, masked(inner))


def _value(match: re.Match[str]) -> str:
    return str(match["double"] if match["double"] is not None else match["single"])


def _attribute(match: re.Match[str], *, named: bool) -> str:
    name, value = match["name"].rsplit(":", 1)[-1], _value(match)
    if not value or is_pointer(value) or is_switch(value) or not (is_secret(name) or (named and is_value_word(name))):
        return match.group()
    start = match.start("double" if match["double"] is not None else "single") - match.start()
    written = match.group()
    return written[:start] + masked(value) + written[start + len(value) :]
