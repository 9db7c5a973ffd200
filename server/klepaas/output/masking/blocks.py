"""Values that stand on other lines than their names: block texts, lists, sections, Secrets of Kubernetes."""

import re
from collections.abc import Iterator

from klepaas.output.masking.values import is_harmless_value, is_reference
from klepaas.output.vault import MARK

__all__ = ["block_after", "items_after", "redact_sections"]

_LINE = re.compile(
    r"(?P<indent>[ \t]{0,200})(?P<dash>-[ \t]{1,40})?(?P<key>[\w./-]{1,200}|\"[^\"\n]{1,200}\"|'[^'\n]{1,200}')?"
    r"(?P<sign>[ \t]{0,40}[:=](?=[ \t\r]|$)[ \t]{0,40})?(?P<value>[^\n]*+)"
)
_ITEM = re.compile(r"[ \t]{0,200}-[ \t]{1,40}(?P<value>[^\n]*+)")
_PAIR = re.compile(r"[\"']?[\w./-]{1,100}[\"']?:(?:[ \t]|$)")
_BLOCK_SIGN = re.compile(r"[|>][-+0-9]{0,2}(?:[ \t]{1,8}#.*+)?")
# A mapping in braces, as YAML and templates write it, of a text that holds a Secret.
_FLOW_DATA = re.compile(
    r"(?P<before>\b(?:data|stringData)\\{0,4}[\"']?[ \t\n]{0,8}:[ \t\n]{0,8}\{)"
    r"(?P<values>(?:[^{}\"']|\"(?:[^\"\\]|\\(?:[\s\S]|\Z))*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+)"
)
_FLOW_VALUE = re.compile(
    r"(?P<before>:[ \t\n]{0,8}\\{0,4})(?P<value>\"(?:[^\"\\]|\\.)*+\"?|'[^']*+'?|[^\s,\"'{}][^,{}]*+)"
)
_COMMENT = re.compile(r"(?:^|[ \t])#.*+")
# Sections all of whose values are secrets.
_SECTIONS = frozenset(
    {"secrets", "passwords", "stringdata", "apikeys", "api_keys", "secretdata", "secret_env", "secretenv"}
)
_INI_SECTION = re.compile(r"\[(?:secrets|passwords|api_?keys)\]")
_KIND = re.compile(r"\\{0,8}[\"']?kind\\{0,8}[\"']?[ \t]{0,8}:[ \t]{0,8}\\{0,8}[\"']?Secret\b(?![\w.-])")
_JSON_DATA = re.compile(
    r"\\{0,8}\"(?P<key>data|stringData)\\{0,8}\"[ \t\n]{0,40}:[ \t\n]{0,40}\{(?P<fields>[^{}]{0,200000})\}"
)
_JSON_FIELD = re.compile(
    r"(?P<before>\\{0,8}\"[ \t\n]{0,40}:[ \t\n]{0,40}\\{0,8}\")"
    r"(?P<secret>(?:[^\"\\]|\\(?!\\{0,8}\").|\\[nrt/])*+)"
)


def block_after(text: str, line_start: int, end: int) -> tuple[int, int] | None:
    """Where the indented lines below a line stand.

    Args:
        text: The whole text.
        line_start: Where the line with the name begins; lines that are indented more than it belong to the block.
        end: Where that line ends.
    """
    below = _indent(text, line_start)
    start = last = None
    position = end + 1
    while position <= len(text):
        line_end = text.find("\n", position)
        line_end = len(text) if line_end < 0 else line_end
        blank = not text[position:line_end].strip()
        indent = _indent(text, position)
        if not blank and indent <= below:
            break
        if not blank:
            start = position + indent if start is None else start
            last = line_end
        position = line_end + 1
    return None if start is None or last is None else (start, last)


def items_after(text: str, line_start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the scalar items of the list below a line stand; items that are mappings name their own secrets."""
    below = _indent(text, line_start)
    position = end + 1
    while (item := _ITEM.match(text, position)) is not None and _indent(text, position) >= below:
        value = item["value"].strip()
        if _PAIR.match(value) is not None:
            return
        if value and not is_reference(value.strip("\"'")):
            start = item.start("value")
            yield start, start + len(item["value"].rstrip())
        position = item.end() + 1


def redact_sections(text: str) -> str:
    """The text with the values of secret sections and of Kubernetes' Secrets masked."""
    lowered = text.lower()
    has_kind = "kind" in text and _KIND.search(text) is not None
    if not has_kind and not any(
        word in lowered for word in ("secrets", "passwords", "stringdata", "api_keys", "apikeys")
    ):
        return text
    if '"data' in text or '"stringData' in text or "\\" in text:
        text = _JSON_DATA.sub(lambda match: _redact_fields(match, has_kind), text)
    if has_kind and "{" in text:
        text = _FLOW_DATA.sub(lambda match: match["before"] + _FLOW_VALUE.sub(_mask_flow, match["values"]), text)
    if "\n" not in text:
        return text
    return "\n".join(_Sections(text.split("\n")).redact())


def _redact_fields(match: re.Match[str], has_kind: bool) -> str:
    if match["key"] == "data" and not has_kind:
        return match.group()
    fields = _JSON_FIELD.sub(lambda field: field["before"] + (field["secret"] and MARK), match["fields"])
    return match.group()[: match.start("fields") - match.start()] + fields + "}"


def _mask_flow(match: re.Match[str]) -> str:
    value = match["value"]
    quote = value[0] if value[0] in "\"'" else ""
    bare = value.strip(quote) if quote else value.strip()
    if not bare or bare == MARK or is_reference(bare):
        return match.group()
    return f"{match['before']}{quote}{MARK}{quote}"


def _uncommented(value: str) -> str:
    """What a line holds before its comment."""
    return _COMMENT.sub("", value, count=1)


def _indent(text: str, position: int) -> int:
    end = position
    while end < len(text) and text[end] in " \t":
        end += 1
    return end - position


class _Sections:
    """Masks the lines of secret sections; a mapping is a Secret where one of its keys says so."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = [(_LINE.match(line), line) for line in lines]
        self._mappings = list(self._number_mappings())
        self._secret = {
            number
            for (line, _), number in zip(self._lines, self._mappings, strict=True)
            if line is not None and line["key"] == "kind" and _uncommented(line["value"]).strip("\"' \r,") == "Secret"
        }

    def redact(self) -> Iterator[str]:
        """Yield the lines."""
        below: int | None = None
        careful = in_ini = False
        for (found, line), mapping in zip(self._lines, self._mappings, strict=True):
            if found is None or not line.strip():
                yield line
                continue
            indent = len(found["indent"])
            if below is not None and indent <= below and not (found["dash"] and indent == below and not careful):
                below = None
            if line.startswith("["):
                in_ini = _INI_SECTION.match(line) is not None
            if below is None and not in_ini:
                yield line
            else:
                yield _redact_line(found, line, careful or in_ini)
            if below is None and found["sign"] and not _uncommented(found["value"]).strip():
                below, careful = self._opens(found, mapping)

    def _opens(self, found: re.Match[str], mapping: int) -> tuple[int | None, bool]:
        key = (found["key"] or "").strip("\"'")
        indent = len(found["indent"]) + len(found["dash"] or "")
        if key == "stringData" or (key == "data" and mapping in self._secret):
            return indent, False
        return (indent, True) if key.lower() in _SECTIONS else (None, False)

    def _number_mappings(self) -> Iterator[int]:
        """A number for each line: that of the mapping which its key belongs to."""
        stack: list[tuple[int, int]] = []
        number = 0
        for found, line in self._lines:
            if found is None or line.startswith("---"):
                stack.clear()
            elif line.strip():
                indent = len(found["indent"]) + len(found["dash"] or "")
                while stack and (stack[-1][0] > indent or (found["dash"] and stack[-1][0] >= indent)):
                    stack.pop()
                if not stack or stack[-1][0] < indent:
                    number += 1
                    stack.append((indent, number))
            yield stack[-1][1] if stack else 0


def _redact_line(found: re.Match[str], line: str, careful: bool) -> str:
    """A line of a section; where its name is only a hint, harmless values stay."""
    value = found["value"].rstrip(" \r,") if found["sign"] else line.strip()
    if not value or _BLOCK_SIGN.fullmatch(value) or value in ("{", "}", "[", "]", "{}", '""', "''"):
        return line
    in_json = (found["key"] or "").startswith('"') and value[0] != '"'
    if in_json or (found["sign"] is None and careful):
        return line
    bare = value.strip("\"'")
    if is_reference(bare) or bare == MARK or (careful and is_harmless_value(bare)):
        return line
    start = line.index(value, found.start("value") if found["sign"] else 0)
    quote = value[0] if value[0] in "\"'" and value.endswith(value[0]) and len(value) > 1 else ""
    return f"{line[:start]}{quote}{MARK}{quote}{line[start + len(value) :]}"
