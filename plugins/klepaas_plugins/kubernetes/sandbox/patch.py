"""JSON patch, JSON merge patch and strategic merge patch.

Source: RFC 6902, RFC 7386, and
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

import copy
from typing import Any

from .model import Json
from .status import ApiError, bad_request

_MERGE_KEYS = {
    "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "env": "name", "volumes": "name",
    "volumeMounts": "mountPath", "volumeDevices": "devicePath", "conditions": "type", "imagePullSecrets": "name",
    "hostAliases": "ip", "ownerReferences": "uid", "secrets": "name", "podIPs": "ip",
    "topologySpreadConstraints": "topologyKey",
}  # fmt: skip


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_patch(target: Any, patch: Json) -> Json:
    """A mapping merged with a strategic merge patch; lists that have a merge key are merged item by item."""
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith("$"):
            _directive(merged, name, value)
        elif value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            if value.get("$patch") == "delete":
                merged.pop(name, None)
            else:
                merged[name] = strategic_patch(merged.get(name), value)
        elif isinstance(value, list):
            merged[name] = _merge_list(name, merged.get(name) or [], value)
        else:
            merged[name] = value
    return merged


def _directive(merged: Json, name: str, value: Any) -> None:
    if name.startswith("$deleteFromPrimitiveList/"):
        field = name.split("/", 1)[1]
        merged[field] = [item for item in merged.get(field, []) if item not in value]
    elif name == "$retainKeys":
        for key in [key for key in merged if key not in value]:
            del merged[key]


def _merge_key(name: str, items: list[Any]) -> str | None:
    if name == "ports":
        return next((key for key in ("containerPort", "port") if all(key in item for item in items)), None)
    return _MERGE_KEYS.get(name)


def _merge_list(name: str, target: list[Any], patch: list[Any]) -> list[Any]:
    if name == "finalizers":
        return [*target, *(item for item in patch if item not in target)]
    if not all(isinstance(item, dict) for item in [*target, *patch]):
        return patch
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    key = _merge_key(name, [*target, *patch])
    if key is None:
        return patch
    merged = {item.get(key): item for item in target}
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        if item.get("$patch") == "delete":
            merged.pop(item[key], None)
        else:
            merged[item[key]] = strategic_patch(merged.get(item[key]), item)
    return list(merged.values())


def json_patch(target: Json, operations: Any) -> Json:
    """RFC 6902.

    Raises:
        ApiError: 422 when an operation cannot be carried out, 400 when it is not one.
    """
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document: Any = {"": copy.deepcopy(target)}
    for operation in operations:
        try:
            _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            message = "the server rejected our request due to an error in our request"
            raise ApiError(422, message, "Invalid", {}) from error
    result: Json = document[""]
    return result


def _steps(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(pointer)
    return ["", *(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])]


def _read(document: Any, pointer: str) -> Any:
    for step in _steps(pointer):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _operate(document: Any, operation: Json) -> None:
    name, path = operation["op"], operation["path"]
    if name == "test":
        if _read(document, path) != operation.get("value"):
            raise ValueError(path)
    elif name in ("add", "replace"):
        _write(document, path, operation["value"], replace=name == "replace")
    elif name == "remove":
        _delete(document, path)
    elif name in ("move", "copy"):
        value = copy.deepcopy(_read(document, operation["from"]))
        if name == "move":
            _delete(document, operation["from"])
        _write(document, path, value, replace=False)
    else:
        raise ValueError(name)


def _write(document: Any, pointer: str, value: Any, *, replace: bool) -> None:
    *parents, last = _steps(pointer)
    for step in parents:
        document = document[int(step)] if isinstance(document, list) else document[step]
    if isinstance(document, list):
        at = len(document) if last == "-" else int(last)
        if at > len(document) or (replace and at == len(document)):
            raise IndexError(pointer)
        document[at : at + 1 if replace else at] = [value]
    else:
        if replace and last not in document:
            raise KeyError(pointer)
        document[last] = value


def _delete(document: Any, pointer: str) -> None:
    *parents, last = _steps(pointer)
    for step in parents:
        document = document[int(step)] if isinstance(document, list) else document[step]
    del document[int(last) if isinstance(document, list) else last]
