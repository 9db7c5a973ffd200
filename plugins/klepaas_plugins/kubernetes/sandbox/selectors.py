"""Label and field selectors, with the API server's errors.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api and .../field-selectors/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .model import Json
from .resources import EVENTS, NAMESPACES, NODES, PODS, SECRETS, Resource
from .status import bad_request

Labels = Mapping[str, str]
Match = Callable[[Json], bool]

_TOKEN = re.compile(r"!=|==|=|!|\(|\)|,|[^\s!=(),]+")
_INVOLVED = tuple(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath"))
_FIELDS: dict[Resource, tuple[str, ...]] = {
    PODS: ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
           "status.podIP", "status.nominatedNodeName"),
    EVENTS: (*_INVOLVED, "reason", "reportingComponent", "source", "type"),
    NAMESPACES: ("status.phase",),
    NODES: ("spec.unschedulable",),
    SECRETS: ("type",),
}  # fmt: skip


_VALUE_CHARS = 63


class _Words:
    """A label selector, word by word."""

    def __init__(self, text: str) -> None:
        self._words = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self) -> str:
        word = self.peek()
        self._at += 1
        return word

    def identifier(self, expected: str = "identifier") -> str:
        word = self.take()
        if not word or word in "!===(),":
            raise bad_request(f"unable to parse requirement: found '{word}', expected: {expected}")
        return word

    def value(self, key: str) -> str:
        """A label's value, as long as one may be."""
        word = self.identifier()
        if len(word) > _VALUE_CHARS:
            said = f'values[0][{key}]: Invalid value: "{word}": must be no more than {_VALUE_CHARS} bytes'
            raise bad_request(f"unable to parse requirement: {said}")
        return word

    def values(self, key: str) -> set[str]:
        if self.take() != "(":
            raise bad_request(f"unable to parse requirement: found '{self._words[self._at - 1]}', expected: '('")
        values = {self.value(key)}
        while (word := self.take()) == ",":
            values.add(self.value(key))
        if word != ")":
            raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or ')'")
        return values


def _requirement(words: _Words) -> Callable[[Labels], bool]:
    if words.peek() == "!":
        words.take()
        absent = words.identifier()
        return lambda labels: absent not in labels
    key = words.identifier("!, identifier, or 'end of string'")
    operator = words.peek()
    if operator in ("", ","):
        return lambda labels: key in labels
    words.take()
    if operator in ("=", "==", "!="):
        value = "" if words.peek() in ("", ",") else words.value(key)
        return (
            (lambda labels: labels.get(key) != value) if operator == "!=" else (lambda labels: labels.get(key) == value)
        )
    if operator not in ("in", "notin"):
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    values = words.values(key)
    if operator == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def label_match(text: str) -> Match | None:
    """A function that says whether an object carries the labels; None when every object does.

    Raises:
        ApiError: 400 for a selector that cannot be parsed.
    """
    if not text.strip():
        return None
    words, requirements = _Words(text), []
    while True:
        requirements.append(_requirement(words))
        word = words.take()
        if not word:
            break
        if word != ",":
            raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or 'end of string'")

    def match(obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(requirement(labels) for requirement in requirements)

    return match


def _value(obj: Json, path: str) -> str:
    if path == "source":
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    value: Any = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def field_match(text: str, resource: Resource) -> Match | None:
    """A function that says whether an object's fields hold the values; None when there is nothing to hold.

    Raises:
        ApiError: 400 for a field this resource cannot be selected by.
    """
    if not text.strip():
        return None
    place = ("metadata.namespace",) if resource.namespaced else ()
    known = {"metadata.name", *place, *_FIELDS.get(resource, ()), *resource.selectable}
    terms: list[tuple[str, bool, str]] = []
    for term in text.split(","):
        found = re.fullmatch(r"([^=!\s]+)\s*(!=|==|=)(.*)", term.strip())
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        if found[1] not in known:
            raise bad_request(f"field label not supported: {found[1]}")
        terms.append((found[1], found[2] != "!=", found[3].strip()))
    return lambda obj: all((_value(obj, path) == value) is same for path, same, value in terms)


def selector_match(selector: Json | None) -> Callable[[Labels], bool]:
    """A LabelSelector of an object (matchLabels, matchExpressions), or a Service's plain map wrapped in matchLabels."""
    labels = (selector or {}).get("matchLabels") or {}
    expressions = (selector or {}).get("matchExpressions") or []

    def match(found: Labels) -> bool:
        return all(found.get(key) == value for key, value in labels.items()) and all(
            _expression(expression, found) for expression in expressions
        )

    return match


def _expression(expression: Json, labels: Labels) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return (labels.get(key) in values) is (operator == "In")


def selector_text(selector: Json | None) -> str:
    """A LabelSelector as kubectl writes it."""
    labels = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    words = {"In": "{k} in ({v})", "NotIn": "{k} notin ({v})", "Exists": "{k}", "DoesNotExist": "!{k}"}
    for expression in (selector or {}).get("matchExpressions") or []:
        values = ",".join(expression.get("values") or [])
        labels.append(words[expression["operator"]].format(k=expression["key"], v=values))
    return ",".join(labels)
