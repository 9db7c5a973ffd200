"""/openapi/v3: the index, and a document for each group and version.

The schemas are whole; of the paths there is only which there are and the kind and action of each operation, without
parameters and answers.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from klepaas_plugins.kubernetes.sandbox.model import Json
from klepaas_plugins.kubernetes.sandbox.resources import Registry, Resource

from .schemas import META, descriptions, name_of, needed_by, schemas

_LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_ACTIONS = {
    "get": ("get", "get"), "update": ("put", "put"), "patch": ("patch", "patch"), "delete": ("delete", "delete"),
    "list": ("get", "list"), "create": ("post", "post"), "deletecollection": ("delete", "deletecollection"),
}  # fmt: skip
_OF_ONE = ("get", "update", "patch", "delete")
_HEAD = {
    "apiVersion": "APIVersion defines the versioned schema of this representation of an object.",
    "kind": "Kind is a string value representing the REST resource this object represents.",
    "metadata": "Standard object's metadata.",
}


def _paths(registry: Registry) -> dict[str, tuple[str, str]]:
    found = {}
    for resource in registry.all():
        prefix = f"apis/{resource.group}" if resource.group else "api"
        found[f"{prefix}/{resource.version}"] = resource.group, resource.version
    return found


def index(registry: Registry) -> Json:
    """Where the document of each group and version is."""
    paths = {}
    for path, (group, version) in sorted(_paths(registry).items()):
        served = [(one.kind, one.schema) for one in registry.of_group_version(group, version)]
        digest = hashlib.sha512(json.dumps([path, served], sort_keys=True).encode()).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def document(registry: Registry, parts: list[str]) -> Json | None:
    """The document of one group and version; None when nothing is served there."""
    found = _paths(registry).get("/".join(parts))
    if found is None:
        return None
    served = registry.of_group_version(*found)
    custom = [one for one in served if one.custom]
    components: Json = {}
    roots = [META, _LIST_META] if custom else []
    for resource in custom:
        components |= _custom(resource)
    for resource in served:
        for kind in (resource.kind, f"{resource.kind}List"):
            name = name_of(resource.group, resource.version, kind)
            roots += [name] if name else []
    for name in needed_by(schemas(), roots):
        components[name] = described(name)
    title = "Kubernetes CRD Swagger" if custom else "Kubernetes"
    version = "v0.1.0" if custom else "unversioned"
    return {
        "openapi": "3.0.0",
        "info": {"title": title, "version": version},
        "paths": {path: item for resource in served for path, item in _items(resource).items()},
        "components": {"schemas": dict(sorted(components.items()))},
    }


def described(name: str) -> Json:
    """A built-in schema with its descriptions."""
    schema: Json = copy.deepcopy(schemas()[name])
    text, properties = descriptions().get(name, ["", {}])
    for field, said in properties.items():
        schema["properties"][field] = {"description": said, **schema["properties"][field]}
    return {"description": text, **schema} if text else schema


def _custom(resource: Resource) -> Json:
    """A custom kind's schema and that of its lists, as the API server publishes them."""
    reverse = ".".join([*reversed(resource.group.split(".")), resource.version])
    gvk = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    link = {"$ref": f"#/components/schemas/{reverse}.{resource.kind}"}
    head: dict[str, Any] = {name: {"description": _HEAD[name], "type": "string"} for name in ("apiVersion", "kind")}
    schema = resource.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    meta = {"description": _HEAD["metadata"], "allOf": [{"$ref": f"#/components/schemas/{META}"}]}
    properties = {**head, "metadata": meta, **_without_head(schema.get("properties") or {})}
    items = {"description": f"List of {resource.plural}.", "type": "array", "items": link}
    listed = {"description": _HEAD["metadata"], "allOf": [{"$ref": f"#/components/schemas/{_LIST_META}"}]}
    return {
        f"{reverse}.{resource.kind}": {
            **schema, "properties": properties, "x-kubernetes-group-version-kind": [gvk],
        },
        f"{reverse}.{resource.kind}List": {
            "description": f"{resource.kind}List is a list of {resource.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {**head, "items": items, "metadata": listed},
            "x-kubernetes-group-version-kind": [{**gvk, "kind": f"{resource.kind}List"}],
        },
    }  # fmt: skip


def _without_head(properties: Json) -> Json:
    return {name: part for name, part in properties.items() if name not in ("apiVersion", "kind", "metadata")}


def _items(resource: Resource) -> Json:
    prefix = f"/apis/{resource.group}" if resource.group else "/api"
    base = f"{prefix}/{resource.version}"
    place = f"{base}/namespaces/{{namespace}}" if resource.namespaced else base
    gvk = {"group": resource.group, "kind": resource.kind, "version": resource.version}

    def operations(verbs: tuple[str, ...]) -> Json:
        found = [_ACTIONS[verb] for verb in verbs if verb in resource.verbs]
        return {
            method: {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk} for method, action in found
        }

    many = tuple(verb for verb in _ACTIONS if verb not in _OF_ONE)
    paths = {
        f"{place}/{resource.plural}": operations(many),
        f"{place}/{resource.plural}/{{name}}": operations(_OF_ONE),
    }
    if resource.namespaced:
        paths[f"{base}/{resource.plural}"] = operations(("list",))
    for sub in resource.subresources:
        paths[f"{place}/{resource.plural}/{{name}}/{sub}"] = operations(("get", "update", "patch"))
    return paths
