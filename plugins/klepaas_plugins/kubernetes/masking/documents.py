"""YAML and JSON inside texts: masked as the objects they hold, in place, so that comments and layout stay.

A document is read as a stream of events and built without recursion: no text can make the parser's own recursion fail.
What changes is written over the span of its scalar; what cannot be read as a document is left to others.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from klepaas.foreign_json import parse_json
from klepaas.output.redaction import MARK

__all__ = ["mask_documents"]

# Larger texts, deeper and longer documents are masked line by line.
MAX_CHARS = 1024 * 1024
YAML_MAX_CHARS = 256 * 1024
MAX_DEPTH = 60
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR = re.compile(r"^(---(?:[ \t][^\n]*)?\n)", re.MULTILINE)
_LOOKS_LIKE_YAML = re.compile(r"^[ \t]*(?:- |[\"']?[^\s:#\"']{1,100}[\"']?:(?:\s|$))", re.MULTILINE)
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
_PLAIN = re.compile(r"[\w.@:/+%=‹› -]+")


class _Unreadable(Exception):
    """A text is no document, or one that is not taken apart."""


class _Scalar(str):
    """A text that knows where it was written."""

    __slots__ = ("end", "start", "style")
    start: int
    end: int
    style: str | None


def mask_documents(text: str, mask_data: Callable[[Any], Any]) -> str | None:
    """A text with the secrets of its documents masked; None where it is no document.

    Args:
        text: YAML, of one or several documents, or JSON.
        mask_data: Masks the data of one document and keeps its form, except that it may leave fields out.
    """
    first = text.lstrip()[:1]
    if first in ("{", "[") and len(text) <= MAX_CHARS:
        found = _json(text, mask_data)
        if found is not None:
            return found
    if len(text) > YAML_MAX_CHARS or _LOOKS_LIKE_YAML.search(text) is None:
        return None
    parts = _SEPARATOR.split(text)
    try:
        return "".join(part if at % 2 else _mask_yaml(part, mask_data) for at, part in enumerate(parts))
    except (_Unreadable, yaml.YAMLError, ValueError):
        return None


def _json(text: str, mask_data: Callable[[Any], Any]) -> str | None:
    try:
        document = parse_json(text, pairs_hook=_once)
        clean = mask_data(document)
    except (ValueError, RecursionError):
        return None
    if clean == document:
        return text
    indent = 2 if "\n" in text.strip() else None
    return json.dumps(clean, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two fields with one name Python would keep the second alone."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _mask_yaml(text: str, mask_data: Callable[[Any], Any]) -> str:
    if not text.strip():
        return text
    document = _build(yaml.parse(text, Loader=_LOADER))
    if not isinstance(document, dict | list):
        raise _Unreadable
    changes = sorted(_changes(document, mask_data(document)), key=lambda change: change[0].start)
    pieces, done = [], 0
    for scalar, new in changes:
        if scalar.start >= done:
            pieces += [text[done : scalar.start], _written(scalar, new, text)]
            done = scalar.end
    return "".join(pieces) + text[done:]


def _build(events: Iterator[Any]) -> Any:
    """The one document in a stream of events; texts know their places, aliases stand for nothing."""
    root: list[Any] = []
    stack: list[Any] = [root]
    keys: list[Any] = [None]
    anchors: dict[str, Any] = {}
    for event in events:
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            anchors[event.anchor or ""] = value
        elif isinstance(event, yaml.AliasEvent):
            value = anchors.get(event.anchor or "")
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        else:
            if isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
                keys.pop()
            continue
        _add(stack[-1], keys, value)
        if isinstance(value, dict | list):
            stack.append(value)
            keys.append(None)
            if len(stack) > MAX_DEPTH:
                raise _Unreadable
    if len(root) != 1:
        raise _Unreadable
    return root[0]


def _add(parent: Any, keys: list[Any], value: Any) -> None:
    """Put a value into the collection that is open; in a mapping every second one is a key."""
    if isinstance(parent, list):
        parent.append(value)
    elif keys[-1] is None:
        if isinstance(value, dict | list):
            raise _Unreadable
        key = str(value)
        if key in parent:
            raise _Unreadable
        keys[-1] = key
    else:
        parent[keys[-1]] = value
        keys[-1] = None


def _scalar(event: yaml.ScalarEvent) -> Any:
    if event.style is None and event.value.lower() in _CONSTANTS:
        return _CONSTANTS[event.value.lower()]
    if event.start_mark is None or event.end_mark is None:
        raise _Unreadable
    scalar = _Scalar(event.value)
    scalar.start, scalar.end, scalar.style = event.start_mark.index, event.end_mark.index, event.style
    return scalar


def _changes(before: Any, after: Any) -> Iterator[tuple[_Scalar, str]]:
    """The texts that masking changed; a field that it left out is masked whole."""
    waiting = [(before, after)]
    while waiting:
        old, new = waiting.pop()
        if isinstance(old, dict):
            inner = new if isinstance(new, Mapping) else {}
            waiting += [(value, inner.get(key, MARK)) for key, value in old.items()]
        elif isinstance(old, list):
            same = isinstance(new, list) and len(new) == len(old)
            waiting += list(zip(old, new, strict=True)) if same else [(item, MARK) for item in old]
        elif isinstance(old, _Scalar) and old != new:
            yield old, str(new)


def _written(scalar: _Scalar, new: str, text: str) -> str:
    """The new value in the form of the old one."""
    if scalar.style == '"':
        return json.dumps(new, ensure_ascii=False)
    if scalar.style == "'":
        doubled = new.replace("'", "''")
        return f"'{doubled}'" if "\n" not in new else json.dumps(new, ensure_ascii=False)
    if scalar.style in ("|", ">"):
        return _block(scalar, new, text)
    is_plain = _PLAIN.fullmatch(new) is not None and ": " not in new and not new.endswith(":")
    return new if is_plain else json.dumps(new, ensure_ascii=False)


def _block(scalar: _Scalar, new: str, text: str) -> str:
    """A block keeps its indicator and its indentation; one that was folded keeps no lines of its own."""
    written = text[scalar.start : scalar.end]
    head, _, body = written.partition("\n")
    if not body:
        return written
    indent = max(0, _lead(body) - _lead(scalar))
    ending = "\n" if written.endswith("\n") else ""
    inner = "\n".join(" " * indent + line if line else "" for line in new.rstrip("\n").split("\n"))
    return f"{head}\n{inner}{ending}"


def _lead(text: str) -> int:
    """How far the first line that is not blank is indented."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    return len(line) - len(line.lstrip(" "))
