"""What `k8s_explain` does: the fields of a kind, from the cluster's own schemas, custom resources too.

Source: OpenAPI 3.0, as Kubernetes publishes it under /openapi/v3.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas.errors import BadRequest, KlepaasError, NotFound, Unavailable
from klepaas.names import Check
from klepaas.output import Answer
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.safe import limit_length, one_line, shorten
from klepaas_plugins.kubernetes.client import Cluster, Resource
from klepaas_plugins.kubernetes.masking import mask, mask_text
from klepaas_plugins.kubernetes.wording import near

__all__ = ["FIELD", "answer_explain"]

SUMMARY_MAX_CHARS = 110
DESCRIPTION_MAX_CHARS = 1200
_FIELD = re.compile(r"\.?[A-Za-z$_][A-Za-z0-9_$/-]*(?:\[\*?\d*\])?(?:\.[A-Za-z$_][A-Za-z0-9_$/-]*(?:\[\*?\d*\])?)*")
FIELD = Check("field", lambda text: _FIELD.fullmatch(text) is not None, "a path such as spec.template.spec", 300)
_REFERENCE = "#/components/schemas/"


async def answer_explain(cluster: Cluster, resource: Resource, field: str | None) -> Answer:
    """The description of a kind or of one of its fields, and the fields below it.

    Args:
        cluster: The cluster.
        resource: The kind.
        field: The path of the field. None: the whole object.

    Raises:
        NotFound: The kind has no such field, or the cluster publishes no schema for it; near names are told.
    """
    schemas, node = await _published(cluster, resource)
    steps = [step for step in re.split(r"\.|\[\*?\d*\]", field or "") if step]
    done: list[str] = []
    for step in steps:
        node = _below(schemas, node, step, done, resource)
        done.append(step)
    where = ".".join([resource.kind, *done])
    head = f"{where} ({resource.api_version}) <{_type(schemas, node)}>"
    lines = [head, *_about(schemas, node, (field or "").rsplit(".", 1)[-1])]
    return Answer(fit("\n".join([*lines, *_fields(schemas, node)]), LIST_BYTES, "Name a field to see less"))


async def _published(cluster: Cluster, resource: Resource) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """All schemas of the kind's group, and the kind's own.

    A definition that is new is published a moment later; until then it is read itself.
    """
    schemas: Mapping[str, Any] = {}
    try:
        schemas = ((await cluster.openapi(resource)).get("components") or {}).get("schemas") or {}
        failure: KlepaasError | None = None
    except (NotFound, Unavailable, BadRequest) as exc:
        failure = exc
    node = _of_kind(schemas, resource) or await _of_definition(cluster, resource)
    if node is None:
        raise (type(failure) if failure else NotFound)(
            f"The cluster of context {cluster.context} publishes no schema of {resource.full_name}",
            next_step="Read an object of the kind with k8s_get(output='yaml') instead",
        ) from failure
    return schemas, node


def _of_kind(schemas: Mapping[str, Any], resource: Resource) -> Mapping[str, Any] | None:
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    for node in schemas.values():
        if isinstance(node, Mapping) and wanted in (node.get("x-kubernetes-group-version-kind") or ()):
            return node
    return None


async def _of_definition(cluster: Cluster, resource: Resource) -> Mapping[str, Any] | None:
    if "." not in resource.group:
        return None
    try:
        kind = await cluster.resource("customresourcedefinitions.apiextensions.k8s.io")
        found = await cluster.get(kind, resource.full_name, None)
    except KlepaasError:
        return None
    for version in (found.get("spec") or {}).get("versions") or ():
        if version.get("name") == resource.version:
            return (version.get("schema") or {}).get("openAPIV3Schema")
    return None


def _resolved(schemas: Mapping[str, Any], node: Any) -> Mapping[str, Any]:
    """A schema without references; what stands beside a reference counts more than what is referred to."""
    for _ in range(20):
        if not isinstance(node, Mapping):
            return {}
        parts = [part for part in node.get("allOf") or () if isinstance(part, Mapping)]
        target = node.get("$ref") or (parts[0].get("$ref") if len(parts) == 1 else None)
        if not isinstance(target, str):
            return node
        beside = {key: value for key, value in node.items() if key not in ("$ref", "allOf")}
        node = {**(schemas.get(target.removeprefix(_REFERENCE)) or {}), **beside}
    return {}


def _inner(schemas: Mapping[str, Any], node: Any) -> Mapping[str, Any]:
    """The schema of what a list or a mapping holds, or the schema itself."""
    for _ in range(5):
        node = _resolved(schemas, node)
        if node.get("type") == "array":
            node = node.get("items")
        elif not node.get("properties") and isinstance(node.get("additionalProperties"), Mapping):
            node = node["additionalProperties"]
        else:
            break
    return _resolved(schemas, node)


def _below(
    schemas: Mapping[str, Any], node: Mapping[str, Any], step: str, done: list[str], resource: Resource
) -> Mapping[str, Any]:
    properties = _inner(schemas, node).get("properties") or {}
    if step in properties:
        return _resolved(schemas, properties[step])
    where = ".".join([resource.kind, *done])
    close = near(step, properties) or [name for name in properties if name.lower() == step.lower()]
    known = ", ".join(list(properties)[:30])
    raise NotFound(
        f"{where} has no field {limit_length(step, 60)}",
        next_step=f"Did you mean {', '.join(close)}?" if close else f"It has: {known}" if known else None,
    )


def _type(schemas: Mapping[str, Any], node: Any) -> str:
    node = _resolved(schemas, node)
    if node.get("type") == "array":
        return f"[]{_type(schemas, node.get('items'))}"
    if isinstance(node.get("additionalProperties"), Mapping):
        return f"map[string]{_type(schemas, node['additionalProperties'])}"
    if node.get("x-kubernetes-int-or-string"):
        return "int or string"
    options = [_type(schemas, option) for option in node.get("oneOf") or ()]
    return str(node.get("type") or " or ".join(options) or "any")


def _about(schemas: Mapping[str, Any], node: Mapping[str, Any], name: str) -> Iterator[str]:
    text = str(node.get("description") or _inner(schemas, node).get("description") or "")
    if text:
        yield one_line(mask_text(text), DESCRIPTION_MAX_CHARS)
    rules = _rules(node, name)
    if rules:
        yield rules


def _rules(node: Mapping[str, Any], name: str) -> str:
    shown = []
    if node.get("enum"):
        shown.append(f"one of {', '.join(str(value) for value in node['enum'][:20])}")
    if node.get("default") not in (None, {}, [], ""):
        shown.append(f"default {one_line(str(mask({name: node['default']})[name]), 80)}")
    shown += [
        f"{name} {node[name]}" for name in ("minimum", "maximum", "pattern", "format") if node.get(name) is not None
    ]
    return "; ".join(shown)


def _fields(schemas: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[str]:
    inner = _inner(schemas, node)
    properties = inner.get("properties") or {}
    required = inner.get("required") or ()
    if properties:
        yield "fields:"
    for name in sorted(properties, key=lambda name: (name not in required, name)):
        field = _resolved(schemas, properties[name])
        need = " required" if name in required else ""
        rules = _rules({key: field.get(key) for key in ("enum", "default")}, name)
        text = "; ".join(part for part in (_summary(field), rules) if part)
        yield f"  {name} <{_type(schemas, field)}>{need}{f'  {text}' if text else ''}"


def _summary(field: Mapping[str, Any]) -> str:
    text = mask_text(" ".join(str(field.get("description") or "").split()))
    first = re.split(r"(?<=[a-z)])\. ", text, maxsplit=1)[0].rstrip(".")
    return first if len(first) <= SUMMARY_MAX_CHARS else shorten(first, SUMMARY_MAX_CHARS)
