"""An object as the API server decodes it: of the right types, without unknown fields, or refused in Go's words."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from klepaas_plugins.kubernetes.sandbox.bodies import json_type
from klepaas_plugins.kubernetes.sandbox.model import Json

from .schemas import Node

QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_QUANTITY_SAYS = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_NAMED = {
    "imagePullPolicy": "v1.PullPolicy", "restartPolicy": "v1.RestartPolicy", "dnsPolicy": "v1.DNSPolicy",
    "protocol": "v1.Protocol", "uid": "types.UID", "terminationMessagePolicy": "v1.TerminationMessagePolicy",
}  # fmt: skip
_BITS = {"int32": 31, "int64": 63}
_DEFAULT_BITS = 63


class Mismatch(ValueError):
    """A value is of the wrong type; the text is Go's."""


def _embedded(struct: str, name: str) -> str:
    """The Go struct that holds a field in place of the one the JSON shows, for paths in errors."""
    if struct == "Volume":
        return "" if name == "name" else "VolumeSource."
    if struct == "Probe" and name in ("exec", "grpc", "httpGet", "tcpSocket"):
        return "ProbeHandler."
    referring = ("KeySelector", "EnvSource", "Projection", "ConfigMapVolumeSource")
    return "LocalObjectReference." if name == "name" and struct.endswith(referring) else ""


def go_type(node: Node, name: str = "") -> str:
    """The Go type of a node, as errors write it."""
    if node.struct in ("Quantity", "Time", "MicroTime"):
        return "string"
    if node.struct == "IntOrString":
        return "int32"
    if node.type == "array":
        return f"[]{go_type(node.items)}"
    values = node.raw.get("additionalProperties")
    if values is not None:
        inner = node.child("")
        if inner is not None and inner.struct == "Quantity":
            return "v1.ResourceList"
        return f"map[string]{go_type(inner) if inner else 'interface {}'}"
    if node.type == "object":
        return f"{node.reference.split('.')[-2]}.{node.struct}" if node.reference else "map[string]interface {}"
    if node.type == "integer":
        return str(node.raw.get("format", "int64"))
    if node.raw.get("format") == "byte":
        return "[]uint8"
    return {"boolean": "bool", "number": "float64"}.get(node.type, _NAMED.get(name, "string"))


class Decoder:
    """Decodes one object; afterwards `unknown` holds the paths nobody knows and `duplicates` those given twice."""

    def __init__(self, duplicates: Mapping[int, Sequence[str]] | None = None) -> None:
        self.unknown: list[str] = []
        self.duplicates: list[str] = []
        self._twice = duplicates or {}

    def decode(self, value: Json, node: Node) -> Json:
        """The object without unknown fields.

        Raises:
            Mismatch: the first value of a wrong type.
        """
        return self._struct(value, node, "", "", node.struct)

    def _struct(self, value: Json, node: Node, go: str, at: str, owner: str) -> Json:
        kept = {}
        values = "properties" not in node.raw
        for name, item in value.items():
            where = f"{at}.{name}" if at else name
            child = node.child(name)
            if child is None:
                self.unknown.append(where)
                continue
            if values:
                kept[name] = self._value(_zero(child) if item is None else item, child, go, where, owner, "")
                continue
            path = f"{go}.{_embedded(node.struct, name)}{name}" if go else name
            kept[name] = self._value(item, child, path, where, node.struct or owner, name)
        for name in self._twice.get(id(value), ()):
            self.duplicates.append(f"{at}.{name}" if at else name)
        return kept

    def _value(self, value: Any, node: Node, go: str, at: str, owner: str, name: str) -> Any:
        if value is None:
            return None
        if node.type == "array":
            if not isinstance(value, list):
                raise self._mismatch(value, node, go, owner, name)
            return [
                self._value(_zero(node.items) if item is None else item, node.items, go, f"{at}[{index}]", owner, name)
                for index, item in enumerate(value)
            ]
        if node.type == "object":
            if not isinstance(value, dict):
                raise self._mismatch(value, node, go, owner, name)
            return value if node.open else self._struct(value, node, go, at, owner)
        return self._scalar(value, node, go, owner, name)

    def _scalar(self, value: Any, node: Node, go: str, owner: str, name: str) -> Any:
        if node.struct == "Quantity":
            return _quantity(value)
        if node.struct == "IntOrString" and isinstance(value, str):
            return value
        if node.type == "integer" or node.struct == "IntOrString":
            bits = _BITS.get(str(node.raw.get("format", "int32")), _DEFAULT_BITS)
            if node.struct == "IntOrString":
                bits = _BITS["int32"]
            if isinstance(value, bool) or not isinstance(value, int) or not -(2**bits) <= value < 2**bits:
                raise self._mismatch(value, node, go, owner, name, show=True)
            return value
        wanted: dict[str, type | tuple[type, ...]] = {"string": str, "boolean": bool, "number": (int, float)}
        if node.type in wanted and (
            not isinstance(value, wanted[node.type]) or (node.type == "number" and isinstance(value, bool))
        ):
            raise self._mismatch(value, node, go, owner, name)
        _check_format(value, node)
        return value

    def _mismatch(self, value: Any, node: Node, go: str, owner: str, name: str, *, show: bool = False) -> Mismatch:
        what = json_type(value)
        if show and what == "number":
            what = f"number {value:g}" if isinstance(value, float) else f"number {value}"
        into = f"{owner}.{go} of type {go_type(node, name)}"
        return Mismatch(f"json: cannot unmarshal {what} into Go struct field {into}")


def _zero(node: Node) -> Any:
    """What Go makes of a null in a list or a map."""
    if node.type == "object":
        return {} if node.reference else None
    return "" if node.type == "string" else 0 if node.type == "integer" else None


def _quantity(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not QUANTITY.fullmatch(str(value)):
        raise Mismatch(_QUANTITY_SAYS)
    return str(value)


def _check_format(value: Any, node: Node) -> None:
    form = node.raw.get("format")
    if form == "date-time" and isinstance(value, str):
        try:
            if "T" not in value or datetime.fromisoformat(value).tzinfo is None:
                raise ValueError
        except ValueError:
            layout = "2006-01-02T15:04:05.000000Z07:00" if node.struct == "MicroTime" else "2006-01-02T15:04:05Z07:00"
            said = f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"'
            raise Mismatch(said) from None
    elif form == "byte" and isinstance(value, str):
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            bad = re.search(r"[^A-Za-z0-9+/]", value)
            raise Mismatch(f"illegal base64 data at input byte {bad.start() if bad else len(value) // 4 * 4}") from None
