"""The scale subresource: an object's replicas alone, at the paths its kind keeps them."""

from __future__ import annotations

import time
from typing import Any

from . import status
from .apply import apply_patch
from .managed import update_owners
from .model import Json
from .objects import Objects, Write
from .openapi.schemas import node_of
from .resources import Resource
from .selectors import selector_text

_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _at(obj: Json, path: str) -> Any:
    value: Any = obj
    for name in path.strip(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _with(obj: Json, path: str, value: Any) -> Json:
    name, _, rest = path.strip(".").partition(".")
    if not rest:
        return {**obj, name: value}
    below = obj.get(name)
    return {**obj, name: _with(below if isinstance(below, dict) else {}, rest, value)}


def scale_of(resource: Resource, obj: Json) -> Json:
    """The scale of an object.

    Raises:
        ApiError: 500 for a custom resource without its replicas, as the API server answers.
    """
    paths = resource.scale or {}
    wanted = _at(obj, paths.get("specReplicasPath", "spec.replicas"))
    if resource.custom and not isinstance(wanted, int):
        said = f'the spec replicas field "{paths.get("specReplicasPath")}" does not exist'
        raise status.ApiError(500, f"Internal error occurred: {said}", "InternalError", {"causes": [{"message": said}]})
    current: Json = {"replicas": _at(obj, paths.get("statusReplicasPath", "status.replicas")) or 0}
    if resource.custom:
        selector = _at(obj, paths["labelSelectorPath"]) if paths.get("labelSelectorPath") else ""
    else:
        selector = selector_text(obj["spec"].get("selector"))
    if selector:
        current["selector"] = selector
    meta = {key: obj["metadata"][key] for key in _META if key in obj["metadata"]}
    spec = {"replicas": wanted} if wanted else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": current}


def rescale(objects: Objects, resource: Resource, live: Json, scale: Json, write: Write) -> Json:
    """Set an object's replicas from a Scale.

    Raises:
        ApiError: 409 or 422.
    """
    replicas = _checked_replicas(resource, live, scale)
    new = _with(live, _replicas_path(resource), replicas)
    new = update_owners(live, new, write.manager, "scale", node_of(resource), time.time())
    return scale_of(resource, objects.replace_scaled(resource, live, new, write))


def apply_scale(objects: Objects, resource: Resource, live: Json, scale: Json, write: Write) -> Json:
    """Apply a Scale: what it owns is an entry of its own, which conflicts with the same manager's main entry.

    Raises:
        ApiError: 409 or 422.
    """
    replicas = _checked_replicas(resource, live, scale)
    config = _with({"apiVersion": resource.api_version, "metadata": {}}, _replicas_path(resource), replicas)
    new = apply_patch(
        live, config, write.manager, force=write.force, node=node_of(resource), now_s=time.time(), subresource="scale"
    )
    return scale_of(resource, objects.replace_scaled(resource, live, new, write))


def _replicas_path(resource: Resource) -> str:
    return str((resource.scale or {}).get("specReplicasPath", "spec.replicas"))


def _checked_replicas(resource: Resource, live: Json, scale: Json) -> int:
    replicas = int((scale.get("spec") or {}).get("replicas") or 0)
    name = live["metadata"]["name"]
    if replicas < 0:
        says = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise status.invalid("Scale", "autoscaling", name, [status.Cause("FieldValueInvalid", says, "spec.replicas")])
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version and version != live["metadata"]["resourceVersion"]:
        raise status.modified(resource, name)
    return replicas
