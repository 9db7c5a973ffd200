"""YAML and JSON that a caller sends, as plain data: bounded before anything is expanded, nothing constructed but data.

A bomb of nested aliases is refused by counting, on the stream of events, what it would become. Values are read as
Kubernetes reads them (`yaml_scalars`); what differs is refused, never read otherwise: a key that stands twice, and
`!!binary` that is no text.

Source: YAML 1.1; Kubernetes, sigs.k8s.io/yaml and k8s.io/apimachinery, `util/yaml/decoder.go`.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from klepaas.errors import BadRequest
from klepaas.foreign_json import parse_json
from klepaas.output.audience import is_at_terminal
from klepaas.output.verdict import NOT_SENT, nothing_changed
from klepaas_plugins.kubernetes.yaml_scalars import NotPlain, is_known_tag, key_text, read_scalar

__all__ = ["TERMINAL_LIMITS", "TOOL_LIMITS", "Limits", "check_nesting", "documents"]

TEXT_MAX_CHARS = 500_000
DEPTH_MAX = 60
_NEXT = f"Correct that and call again; {nothing_changed(NOT_SENT)}"
_IN_PARTS = "Apply it in several parts"
_AT_TERMINAL = "A person applies large files with `klepaas apply FILE` in a terminal; or send it in several calls"
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = "plain"
_MERGE = "<<"
_BYTE_ORDER_MARK = "\ufeff"
# What may stand between two JSON documents: nothing, or a line of dashes as YAML has it.
_BETWEEN = re.compile(r"\s*(?:---[ \t]*(?=\n|$)\s*)*")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is read at once.

    Attributes:
        text_max_chars: Longest text.
        values_max: Most values, once aliases stand for themselves.
        expanded_max_chars: Most characters in them.
        documents_max: Most documents.
    """

    text_max_chars: int
    values_max: int
    expanded_max_chars: int
    documents_max: int


TOOL_LIMITS = Limits(text_max_chars=TEXT_MAX_CHARS, values_max=100_000, expanded_max_chars=2_000_000, documents_max=200)

TERMINAL_LIMITS = Limits(
    text_max_chars=20_000_000, values_max=2_000_000, expanded_max_chars=40_000_000, documents_max=5_000
)


class _Loader(_BASE):  # type: ignore[misc]
    """Composes nodes; what a scalar means is not its affair."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else "tag:yaml.org,2002:str"
        return "tag:yaml.org,2002:seq" if kind is yaml.SequenceNode else "tag:yaml.org,2002:map"


def documents(text: str, limits: Limits | None = None) -> list[Any]:
    """The documents in a text, as JSON data; empty ones are left out.

    Args:
        text: YAML or JSON, of one or several documents.
        limits: How much is read. None: as much as whoever sent it may send.

    Raises:
        BadRequest: It is not valid, with line and column, or larger, deeper or more repetitive than any manifest.
    """
    limits = limits or current_limits()
    if len(text) > limits.text_max_chars:
        raise _too_long(f"the text has {len(text)} characters; at most {limits.text_max_chars} are read")
    text = text.removeprefix(_BYTE_ORDER_MARK)
    found, rest = _json(text) if text.lstrip()[:1] == "{" else ([], text)
    if rest.strip():
        found += _yaml(rest, limits)
    if len(found) > limits.documents_max:
        raise _too_long(f"there are {len(found)} documents; at most {limits.documents_max} are read at once")
    return [_data(document, 0) for document in found if document is not None]


def current_limits() -> Limits:
    """How much is read of what a call sends: more at a terminal, where no model has to write it."""
    return TERMINAL_LIMITS if is_at_terminal() else TOOL_LIMITS


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


def _json(text: str) -> tuple[list[Any], str]:
    """The JSON documents that a text begins with, and what follows them, which may be YAML."""
    found: list[Any] = []
    start = _space_end(text, 0)
    while start < len(text):
        end = _end_of_json(text, start)
        if end is None:
            break
        try:
            found.append(parse_json(text[start:end], pairs_hook=_once))
        except (ValueError, RecursionError):  # also a number of more digits than Python reads
            break
        start = _space_end(text, end)
    return found, text[start:]


def _space_end(text: str, start: int) -> int:
    between = _BETWEEN.match(text, start)
    return between.end() if between else start


def _end_of_json(text: str, start: int) -> int | None:
    """Where the JSON object ends that begins there. None: none does."""
    try:
        return (
            json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text, start)[1] if text[start] == "{" else None
        )
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refused("a key stands twice in the same JSON object")
    return found


def _yaml(text: str, limits: Limits) -> list[Any]:
    try:
        _measure(yaml.parse(text, Loader=_Loader), limits)
        return [_build(node) for node in yaml.compose_all(text, Loader=_Loader)]
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _refused(f"it is not valid YAML{place}: {exc.problem or exc.context or 'unreadable'}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise _refused("it is not valid YAML") from exc


def _build(node: Any) -> Any:
    """The data of a node. An alias is built where it stands, so that no two places share one value."""
    if node.tag != _PLAIN and not is_known_tag(node.tag):
        raise yaml.MarkedYAMLError(None, None, "no data has this tag", node.start_mark)
    if isinstance(node, yaml.ScalarNode):
        try:
            return read_scalar(node.value, None if node.tag == _PLAIN else node.tag)
        except NotPlain as exc:
            raise yaml.MarkedYAMLError(None, None, str(exc), node.start_mark) from exc
    if isinstance(node, yaml.SequenceNode):
        return [_build(item) for item in node.value]
    return _build_mapping(node)


def _build_mapping(node: Any) -> dict[str, Any]:
    """A mapping; what is merged into it counts from where it stands, as go-yaml 2 does it."""
    found: dict[str, Any] = {}
    own: set[str] = set()
    for key_node, value_node in node.value:
        if _is_merge(key_node):
            found.update(_merged(value_node))
            continue
        key = _key(key_node)
        if key in own:
            raise yaml.MarkedYAMLError(None, None, "a key stands here twice", key_node.start_mark)
        own.add(key)
        found[key] = _build(value_node)
    return found


def _is_merge(node: Any) -> bool:
    is_tagged = node.tag == "tag:yaml.org,2002:merge"
    return isinstance(node, yaml.ScalarNode) and node.value == _MERGE and (node.tag == _PLAIN or is_tagged)


def _merged(node: Any) -> dict[str, Any]:
    """What a merge key brings; of a list of mappings the first counts most."""
    sources: Sequence[Any] = node.value[::-1] if isinstance(node, yaml.SequenceNode) else [node]
    if any(not isinstance(source, yaml.MappingNode) for source in sources):
        raise yaml.MarkedYAMLError(None, None, "a merge takes a mapping or a list of mappings", node.start_mark)
    found: dict[str, Any] = {}
    for source in sources:
        found.update(_build_mapping(source))
    return found


def _key(node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(None, None, "a key is no text", node.start_mark)
    try:
        return key_text(_build(node))
    except NotPlain as exc:
        raise yaml.MarkedYAMLError(None, None, str(exc), node.start_mark) from exc


@dataclass
class _Size:
    """What a node becomes once its aliases stand for themselves."""

    values: int = 1
    chars: int = 0
    depth: int = 1


def _measure(events: Iterator[yaml.Event], limits: Limits) -> None:
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
            _add((open_nodes, anchors, total), anchor, size, limits)
        elif isinstance(event, yaml.ScalarEvent):
            _add((open_nodes, anchors, total), event.anchor, _Size(chars=len(event.value)), limits)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise _refused(f"the alias at line {line} stands for nothing before it")
            _add((open_nodes, anchors, total), None, anchors[event.anchor], limits)
        if len(open_nodes) > DEPTH_MAX:
            raise _refused(f"it is nested deeper than {DEPTH_MAX} levels")


def _add(
    places: tuple[list[tuple[str | None, _Size]], dict[str, _Size], _Size],
    anchor: str | None,
    size: _Size,
    limits: Limits,
) -> None:
    open_nodes, anchors, total = places
    if anchor:
        anchors[anchor] = size
    parent = open_nodes[-1][1] if open_nodes else total
    parent.values += size.values
    parent.chars += size.chars
    parent.depth = max(parent.depth, size.depth + 1)
    if parent.depth + len(open_nodes) > 2 * DEPTH_MAX:
        raise _refused(f"it is nested deeper than {DEPTH_MAX} levels")
    if parent.values > limits.values_max or parent.chars > limits.expanded_max_chars:
        raise _refused("it is too large, or grows too large when its aliases are expanded")


def _data(value: Any, depth: int) -> Any:
    """The value as JSON can hold it."""
    if depth > DEPTH_MAX:
        raise _refused(f"it is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        return {key: _data(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_data(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused("it holds a number that JSON has not")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return _as_float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


def _as_float(value: int) -> float:
    """A whole number that 64 bits do not hold, as the API server reads it."""
    try:
        return float(value)
    except OverflowError:
        raise _refused("it holds a number that JSON has not") from None


def _too_long(why: str) -> BadRequest:
    next_step = f"{_IN_PARTS if is_at_terminal() else _AT_TERMINAL}; {nothing_changed(NOT_SENT)}"
    return BadRequest(f"The manifests cannot be read: {why}", next_step=next_step)


def _refused(why: str) -> BadRequest:
    return BadRequest(f"The manifests cannot be read: {why}", next_step=_NEXT)
