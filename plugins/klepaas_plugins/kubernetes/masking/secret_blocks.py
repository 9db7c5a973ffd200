"""Manifests of Secrets in texts that no parser reads: templates, scripts with manifests in them, broken YAML."""

import re
from collections.abc import Iterator

from klepaas_plugins.kubernetes.masking.forms import is_masked, is_pointer, masked

__all__ = ["mask_secret_blocks"]

_KIND = re.compile(r"(?P<lead>[ \t]*(?:-[ \t]+)?)[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?Secret[\"']?,?[ \t\r]*(?:#.*)?")
_KEY = re.compile(r"(?P<lead>[ \t]*(?:-[ \t]+)?)[\"']?(?P<key>[\w.-]{1,253})[\"']?[ \t]*:(?:[ \t].*|\s*)?")
_ENTRY = re.compile(r"(?P<before>[ \t]*[\"']?[\w.-]{1,253}[\"']?[ \t]*:[ \t]+)(?P<value>\S.*)")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}\s*(#.*)?")
_FLOW_KIND = re.compile(r"\\{0,4}[\"']?kind\\{0,4}[\"']?[ \t]{0,8}:[ \t]{0,8}\\{0,4}[\"']?Secret\b")
_FLOW = re.compile(
    r"(?P<before>\b(?:data|stringData)\\{0,4}[\"']?\s{0,8}:\s{0,8}\{)(?P<values>(?:[^{}\"']|\"(?:[^\"\\]|\\(?:[\s\S]|\Z))*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+)"
)
_FLOW_VALUE = re.compile(r"(?P<before>:\s{0,8}\\{0,4})(?P<value>\"(?:[^\"\\]|\\.)*+\"?|'[^']*+'?|[^\s,\"'{}][^,{}]*+)")
_SECTIONS = ("data", "stringData")


def mask_secret_blocks(text: str) -> str:
    """A text with `data` and `stringData` of every manifest of a Secret in it masked."""
    if "Secret" not in text or _FLOW_KIND.search(text) is None:
        return text
    text = "\n".join(_blocks(text.split("\n")))
    return _FLOW.sub(lambda match: match["before"] + _FLOW_VALUE.sub(_flow_value, match["values"]), text)


def _flow_value(match: re.Match[str]) -> str:
    value = match["value"]
    quote = value[0] if value[0] in "\"'" else ""
    inner = value.strip(quote) if quote else value.strip()
    return match.group() if is_masked(inner) else f"{match['before']}{quote}{masked(inner)}{quote}"


def _mappings(lines: list[str]) -> list[tuple[int, int]]:
    """For each line the mapping that its key stands in, by the mapping's first line, and the key's column."""
    found: list[tuple[int, int]] = []
    open_mappings: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        key = _KEY.fullmatch(line)
        if key is None or line.startswith("---"):
            if line.startswith("---"):
                open_mappings.clear()
            found.append((-1, -1))
            continue
        column = len(key["lead"])
        while open_mappings and open_mappings[-1][1] > column:
            open_mappings.pop()
        starts_item = "-" in key["lead"]
        if open_mappings and open_mappings[-1][1] == column and starts_item:
            open_mappings.pop()
        if not open_mappings or open_mappings[-1][1] < column:
            open_mappings.append((number, column))
        found.append(open_mappings[-1])
    return found


def _blocks(lines: list[str]) -> Iterator[str]:
    mappings = _mappings(lines)
    secrets = {mappings[number] for number, line in enumerate(lines) if _KIND.fullmatch(line)}
    below: int | None = None
    block: int | None = None
    for line, mapping in zip(lines, mappings, strict=True):
        indent = len(line) - len(line.lstrip())
        if below is not None and line.strip() and indent <= below:
            below = None
        if below is None:
            key = _KEY.fullmatch(line)
            if key is not None and key["key"] in _SECTIONS and mapping in secrets:
                below, block = len(key["lead"]), None
            yield line
            continue
        entry = _ENTRY.fullmatch(line)
        block = None if block is not None and line.strip() and indent <= block else block
        if block is not None or entry is None:
            yield line[:indent] + _hidden(line.strip()) if block is not None and line.strip() else line
        elif _BLOCK.fullmatch(entry["value"].strip()):
            block = indent
            yield line
        else:
            yield entry["before"] + _hidden(entry["value"].rstrip())


def _hidden(value: str) -> str:
    quote = value[0] if value[:1] in ("'", '"') and len(value) > 1 and value.endswith(value[0]) else ""
    inner = value[1:-1] if quote else value
    return value if is_pointer(inner) or not inner else f"{quote}{masked(inner)}{quote}"
