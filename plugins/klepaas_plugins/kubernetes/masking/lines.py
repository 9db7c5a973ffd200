"""Secrets in configuration that is read line by line: properties, INI, TOML, YAML with templates in it.

It is known that the text is configuration, and that decides more than `klepaas.output.redaction` may decide in prose
and logs: what stands after a secret's name is masked to the end of its line and on the lines that belong to it
(continued by a backslash, inside of quotes or brackets, indented), all values of a section that is named after secrets
(`[app.credentials]`) are masked, and a name on one line is that of the value on the next (`env.0.name=`,
`env.0.value=`). Masking twice is the same as masking once.
"""

import re
from collections.abc import Iterator, Sequence

from klepaas.output.masking.field_names import is_identifier, is_value_word
from klepaas.output.masking.names import Secrecy, is_secret_name, secrecy
from klepaas.output.masking.values import is_hidden_value, is_reference
from klepaas_plugins.kubernetes.masking.forms import is_masked, masked

__all__ = ["mask_lines"]

_LINE = re.compile(
    r"(?P<lead>\s*+(?:[-*]\s++)?+(?:(?:export|set|env|arg)\s++)?[\"']?)(?P<name>[\w.\-\[\]/]{1,200})"
    r"(?P<between>[\"']?\s*+(?:=>|:=|[:=])\s*+|\s++(?=\S++\s*+$))(?P<value>.*+)",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}\s*(#.*)?")
_ITEM = re.compile(r"(?P<lead>\s*-\s+)(?P<value>\S.*)")
# A section of TOML or INI whose name says that all its values are secrets.
_SECTION = re.compile(r"\s*\[\[?(?P<name>[\w.\-\" ]{1,200})\]\]?\s*(?:#.*)?")
# A line of a template that only steers it.
_CONTROL = re.compile(r"\s*+\{\{-?[ \t]*+(?:if|else|end|range|with|include|define|template|/\*)\b[^\"]*+\}\}\s*+$")
_HANGUL = re.compile("[가-힣]")
_LONG_STRING = ('"""', "'''")


def mask_lines(text: str) -> str:
    """A configuration text with the values of its secret names masked, line by line."""
    return "\n".join(_Lines().mask(text.split("\n")))


class _Lines:
    """Where a reader of lines stands.

    Attributes:
        below: The indentation of a secret's name whose value stands on the lines below it. None: there is none.
        whole: Whether these lines are one block of text, whatever they look like.
        until: What ends a value of several lines: quotes, or a bracket. None: no such value is open.
        pair: How surely the line before named a secret, whose value stands on this line.
        section: Whether the section is one of secrets.
    """

    def __init__(self) -> None:
        self.below: int | None = None
        self.whole = False
        self.until: str | None = None
        self.pair = Secrecy.PLAIN
        self.section = False

    def mask(self, lines: Sequence[str]) -> Iterator[str]:
        """The lines, masked."""
        for line in lines:
            if self.until is not None:
                yield self._open_value(line)
            elif self.below is not None and line.strip() and self._belongs(line):
                yield _continued(line, self.whole)
            else:
                self.below = self.below if not line.strip() else None
                yield self._line(line)

    def _belongs(self, line: str) -> bool:
        assert self.below is not None  # noqa: S101
        indent = _indent(line)
        return indent > self.below or (indent == self.below and not self.whole and line.lstrip().startswith("- "))

    def _line(self, line: str) -> str:
        section = _SECTION.fullmatch(line)
        if section is not None:
            self.section = is_secret_name(section["name"].strip('" '))
            return line
        found = _LINE.fullmatch(line)
        if found is None:
            self.pair = Secrecy.PLAIN
            return line
        value = found["value"].strip()
        assigned = "=" in found["between"]
        if _HANGUL.search(found["name"]) and not re.search("[:=]", found["between"]):
            return line  # a sentence
        judged = max(secrecy(found["name"]), self.pair if is_value_word(found["name"]) else Secrecy.PLAIN)
        if judged < Secrecy.SOFT and not (self.section and assigned):
            self.pair = secrecy(value.strip("\"',")) if is_identifier(found["name"]) else Secrecy.PLAIN
            return _named(found, value, judged) if judged is Secrecy.UNCERTAIN and value else line
        return self._secret(line, found, value)

    def _secret(self, line: str, found: re.Match[str], value: str) -> str:
        if not value or _BLOCK.fullmatch(value):
            self.below, self.whole = _indent(line), bool(value)
            return line
        opened = next((quote for quote in _LONG_STRING if value.startswith(quote) and value.count(quote) == 1), None)
        if opened is None and value in ("[", "(") and "=" in found["between"]:
            opened = "]" if value == "[" else ")"
        if opened is None and value[0] in "\"'" and value.count(value[0]) == 1:
            opened = value[0]
        if opened is not None:
            self.until = opened
            kept = opened if value.startswith(opened) else value
            rest = masked(value[len(kept) :]) if value[len(kept) :] else ""
            return f"{found['lead']}{found['name']}{found['between']}{kept}{rest}"
        if value.endswith("\\"):
            self.below, self.whole = _indent(line) - 1, True
        return _named(found, value)

    def _open_value(self, line: str) -> str:
        """A line of a value that goes on until its end."""
        until = self.until or ""
        before, end, after = line.partition(until)
        if end:
            self.until = None
            return (masked(before.strip()) if before.strip(" ,\"'") else before) + end + after
        lead = line[: _indent(line)]
        comma = "," if line.rstrip().endswith(",") else ""
        return f"{lead}{masked(line.strip().removesuffix(','))}{comma}" if line.strip() else line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _continued(line: str, whole_block: bool) -> str:
    """A line under a secret's name: all of a block, the items of a list; fields are judged by their own names."""
    if _CONTROL.match(line):
        return line
    if whole_block:
        return line[: _indent(line)] + masked(line.strip())
    field = _LINE.fullmatch(line)
    if field is not None and re.search(r"[:=]", field["between"]):
        return (
            _named(field, field["value"].strip()) if is_secret_name(field["name"]) and field["value"].strip() else line
        )
    item = _ITEM.fullmatch(line)
    if item is not None:
        return item["lead"] + masked(item["value"].strip())
    return line[: _indent(line)] + masked(line.strip())


def _named(found: re.Match[str], value: str, judged: Secrecy = Secrecy.SECRET) -> str:
    """A secret's line with its value masked in its own quotes, so that the text keeps its form."""
    end = "," if value.endswith(",") else ""
    bare = value.removesuffix(",")
    if value.startswith("$") and is_reference(value.partition(" ")[0]):
        return found.group()  # NAME=$OTHER command
    quote = bare[0] if bare[:1] in "\"'" and len(bare) > 1 and bare.endswith(bare[0]) else ""
    inner = bare[1:-1] if quote else bare
    if (
        is_masked(inner)
        or bare in ("{", "[", "{}", "[]", "(")
        or not is_hidden_value(judged, inner, in_configuration=True)
    ):
        return found.group()
    return f"{found['lead']}{found['name']}{found['between']}{quote}{masked(inner)}{quote}{end}"
