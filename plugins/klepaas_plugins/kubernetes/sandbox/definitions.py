"""CustomResourceDefinitions: what the API server refuses of one.

The checks a hand-written definition most often fails; of a schema that it is structural as far as its types are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .model import Json
from .status import Cause

_SCOPES = ("Cluster", "Namespaced")
_TYPELESS = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
Causes = Iterator[Cause]


def _invalid(field: str, value: Any, says: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value)}: {says}", field)


def _required(field: str, says: str = "") -> Cause:
    return Cause("FieldValueRequired", "Required value" + (f": {says}" if says else ""), field)


def check_definition(definition: Json) -> Causes:
    """What is wrong with a definition."""
    spec, name = definition.get("spec") or {}, definition["metadata"].get("name", "")
    names, group = spec.get("names") or {}, spec.get("group") or ""
    if name != f"{names.get('plural', '')}.{group}":
        yield _invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield _required("spec.group")
    elif "." not in group:
        yield _invalid("spec.group", group, "should be a domain with at least one dot")
    scope = spec.get("scope") or ""
    if not scope:
        yield _required("spec.scope")
    elif scope not in _SCOPES:
        supported = ", ".join(f'"{one}"' for one in _SCOPES)
        says = f"Unsupported value: {json.dumps(scope)}: supported values: {supported}"
        yield Cause("FieldValueNotSupported", says, "spec.scope")
    versions = spec.get("versions") or []
    yield from _versions(versions)
    for field in ("plural", "kind"):
        if not names.get(field):
            yield _required(f"spec.names.{field}")


def _versions(versions: list[Json]) -> Causes:
    stored = [version for version in versions if version.get("storage")]
    if len(stored) != 1:
        shown = [version.get("name", "") for version in versions]
        yield _invalid("spec.versions", shown, "must have exactly one version marked as storage version")
        yield _invalid("status.storedVersions", None, "must have at least one stored version")
    for index, version in enumerate(versions):
        where = f"spec.versions[{index}]"
        if not version.get("name"):
            yield _required(f"{where}.name")
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield _required(f"{where}.schema.openAPIV3Schema")
            continue
        yield from _structural(schema, f"{where}.schema.openAPIV3Schema")
        if not schema.get("type"):
            yield _required(f"{where}.schema.openAPIV3Schema.type", "must not be empty at the root")


def _structural(schema: Json, where: str) -> Causes:
    for name, below in (schema.get("properties") or {}).items():
        at = f"{where}.properties[{name}]"
        if not below.get("type") and not any(below.get(word) for word in _TYPELESS):
            yield _required(f"{at}.type", "must not be empty for specified object fields")
        yield from _structural(below, at)
    for word in ("items", "additionalProperties"):
        below = schema.get(word)
        if isinstance(below, dict):
            if not below.get("type") and not any(below.get(one) for one in _TYPELESS):
                kind = "array items" if word == "items" else "specified object fields"
                yield _required(f"{where}.{word}.type", f"must not be empty for {kind}")
            yield from _structural(below, f"{where}.{word}")
