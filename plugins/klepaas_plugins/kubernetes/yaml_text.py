"""YAML and JSON that a caller sends, as plain data: bounded before anything is expanded, nothing constructed but data.

A bomb of nested aliases is refused by counting, on the stream of events, what it would become. Differences to PyYAML's
own safe loader follow Kubernetes' reader: keys are not repeated, `1:30` and dates are text, `1e3` is a number.

Source: YAML 1.1; Kubernetes, sigs.k8s.io/yaml.
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from klepaas.errors import BadRequest
from klepaas.foreign_json import parse_json
from klepaas.output.verdict import NOT_SENT, nothing_changed

__all__ = ["check_nesting", "documents"]

TEXT_MAX_CHARS = 500_000
DEPTH_MAX = 60
VALUES_MAX = 100_000
EXPANDED_MAX_CHARS = 2_000_000
DOCUMENTS_MAX = 200
_NEXT = f"Correct that and call again; {nothing_changed(NOT_SENT)}"
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """Builds data only, and refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "a key stands here twice", key.start_mark)
                seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _resolvers() -> dict[Any, list[tuple[str, re.Pattern[str]]]]:
    left_out = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float", "value")}
    known = _BASE.yaml_implicit_resolvers.items()
    return {first: [(tag, form) for tag, form in forms if tag not in left_out] for first, forms in known}


_Loader.yaml_implicit_resolvers = _resolvers()
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[01]+|0o[0-7]+|0[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def documents(text: str) -> list[Any]:
    """The documents in a text, as JSON data; empty ones are left out.

    Args:
        text: YAML, of one or several documents, or JSON.

    Raises:
        BadRequest: It is not valid, with line and column, or larger, deeper or more repetitive than any manifest.
    """
    if len(text) > TEXT_MAX_CHARS:
        raise _refused(f"the text has {len(text)} characters; at most {TEXT_MAX_CHARS} are read")
    found = _json(text) if text.lstrip()[:1] == "{" else None
    if found is None:
        found = _yaml(text)
    if len(found) > DOCUMENTS_MAX:
        raise _refused(f"there are {len(found)} documents; at most {DOCUMENTS_MAX} are read at once")
    return [_data(document, 0) for document in found if document is not None]


def check_nesting(text: str | bytes) -> None:
    """Check how deeply YAML is nested before it is built: each level takes stack of C, and can end the process.

    Args:
        text: YAML that need not be valid.

    Raises:
        ValueError: It is nested deeper than `DEPTH_MAX`.
        yaml.YAMLError: It is not YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_BASE):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise ValueError


def _json(text: str) -> list[Any] | None:
    """The one JSON document; None where it is not JSON, which may still be YAML."""
    try:
        return [parse_json(text, pairs_hook=_once)]
    except (ValueError, RecursionError):  # also a number of more digits than Python reads
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refused("a key stands twice in the same JSON object")
    return found


def _yaml(text: str) -> list[Any]:
    try:
        _measure(yaml.parse(text, Loader=_Loader))
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _refused(f"it is not valid YAML{place}: {exc.problem or exc.context or 'unreadable'}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise _refused("it is not valid YAML") from exc


@dataclass
class _Size:
    """What a node becomes once its aliases stand for themselves."""

    values: int = 1
    chars: int = 0
    depth: int = 1


def _measure(events: Iterator[yaml.Event]) -> None:
    """Refuse what would become too large, before anything is built."""
    anchors: dict[str, _Size] = {}
    open_nodes: list[tuple[str | None, _Size]] = []
    total = _Size(0)
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, _Size()))
            # An alias inside its own anchor has no end.
            anchors.pop(event.anchor or "", None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            _add(open_nodes, anchors, total, anchor, size)
        elif isinstance(event, yaml.ScalarEvent):
            _add(open_nodes, anchors, total, event.anchor, _Size(chars=len(event.value)))
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise _refused(f"the alias at line {line} stands for nothing before it")
            _add(open_nodes, anchors, total, None, anchors[event.anchor])
        if len(open_nodes) > DEPTH_MAX:
            raise _refused(f"it is nested deeper than {DEPTH_MAX} levels")


def _add(
    open_nodes: list[tuple[str | None, _Size]], anchors: dict[str, _Size], total: _Size, anchor: str | None, size: _Size
) -> None:
    if anchor:
        anchors[anchor] = size
    parent = open_nodes[-1][1] if open_nodes else total
    parent.values += size.values
    parent.chars += size.chars
    parent.depth = max(parent.depth, size.depth + 1)
    if parent.depth + len(open_nodes) > 2 * DEPTH_MAX:
        raise _refused(f"it is nested deeper than {DEPTH_MAX} levels")
    if parent.values > VALUES_MAX or parent.chars > EXPANDED_MAX_CHARS:
        raise _refused("it grows too large when its aliases are expanded")


def _data(value: Any, depth: int) -> Any:
    """The value as JSON can hold it; keys become text, as Kubernetes reads them."""
    if depth > DEPTH_MAX:
        raise _refused(f"it is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        return {_key(key): _data(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_data(inner, depth + 1) for inner in value]
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        raise _refused("it holds a number that JSON has not")
    if isinstance(value, int) and abs(value) >= 2**64:
        raise _refused("it holds a whole number of more than 64 bits")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise _refused(f"it holds a {type(value).__name__}, which JSON has not")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | float):
        return str(key)
    raise _refused("a key in it is no text")


def _refused(why: str) -> BadRequest:
    return BadRequest(f"The manifests cannot be read: {why}", next_step=_NEXT)
