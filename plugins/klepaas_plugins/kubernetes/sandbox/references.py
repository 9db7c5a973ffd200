"""What a pod's containers take from ConfigMaps and Secrets: what of it is missing, and the variables that it gives.

Pure: who calls says how an object is found. Of volumes only that the whole object is there is looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

from .model import Json

__all__ = ["Find", "environments", "missing", "referred"]

# Finds an object by its kind ("ConfigMap" or "Secret") and name.
Find = Callable[[str, str], Json | None]
_SOURCES = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
_WHOLE = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
_VOLUMES = (("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret"))


def referred(spec: Json) -> set[tuple[str, str]]:
    """Kind and name of every object that the pod takes something from."""
    found = {(kind, name) for _, kind, name, _ in _volumes(spec)}
    for container in _containers(spec):
        found |= {(kind, reference.get("name", "")) for _, kind, reference in _references(container)}
    return found


def missing(namespace: str, spec: Json, find: Find) -> dict[str, tuple[str, str]]:
    """What keeps containers from being created: reason and message by the container's name; `""` is the whole pod."""
    for volume, kind, name, optional in _volumes(spec):
        if not optional and find(kind, name) is None:
            what = f'{kind.lower()} "{name}" not found'
            return {"": ("FailedMount", f'MountVolume.SetUp failed for volume "{volume}" : {what}')}
    said = {container["name"]: _missing_reference(namespace, container, find) for container in _containers(spec)}
    return {name: ("CreateContainerConfigError", text) for name, text in said.items() if text}


def environments(spec: Json, find: Find) -> dict[str, dict[str, str]]:
    """The variables of each container, by its name."""
    return {container["name"]: dict(_variables(container, find)) for container in _containers(spec)}


def _containers(spec: Json) -> list[Json]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _volumes(spec: Json) -> Iterator[tuple[str, str, str, bool]]:
    for volume in spec.get("volumes") or ():
        for source, field, kind in _VOLUMES:
            held = volume.get(source)
            if held:
                yield volume["name"], kind, held.get(field, ""), bool(held.get("optional"))


def _references(container: Json) -> Iterator[tuple[str, str, Json]]:
    """Each reference: the variable that it is for (empty for all of an object), the kind, and the reference."""
    for source in container.get("envFrom") or ():
        yield from (("", kind, source[field]) for field, kind in _WHOLE if source.get(field))
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield from ((variable["name"], kind, source[field]) for field, kind in _SOURCES if source.get(field))


def _missing_reference(namespace: str, container: Json, find: Find) -> str:
    for _, kind, reference in _references(container):
        if reference.get("optional"):
            continue
        held = find(kind, reference.get("name", ""))
        if held is None:
            return f'{kind.lower()} "{reference.get("name", "")}" not found'
        if "key" in reference and reference["key"] not in (held.get("data") or {}):
            return f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}"
    return ""


def _variables(container: Json, find: Find) -> Iterator[tuple[str, str]]:
    for name, kind, reference in _references(container):
        data = (find(kind, reference.get("name", "")) or {}).get("data") or {}
        for key, value in data.items():
            if not name or key == reference.get("key"):
                yield name or key, _plain(kind, value)
    for variable in container.get("env") or ():
        if "value" in variable:
            yield variable["name"], variable["value"]


def _plain(kind: str, value: str) -> str:
    return base64.b64decode(value).decode(errors="replace") if kind == "Secret" else value
