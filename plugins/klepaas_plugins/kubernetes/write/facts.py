"""The decisive fields of a new object: what it runs, mounts and may reach, whom it gives rights, what it opens.

Of a kind that is not known here every field that is sent is decisive. Values are masked as everywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.comparing import item_name
from klepaas_plugins.kubernetes.masking.fields import is_built_in

__all__ = ["decisive_facts"]

Fact = tuple[str, str]
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "ReplicationController": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_OF_CONTAINER = ("image", "command", "args", "ports", "volumeMounts", "securityContext", "envFrom", "lifecycle")
_OF_POD = (
    "serviceAccountName", "automountServiceAccountToken", "hostNetwork", "hostPID", "hostIPC", "hostUsers", "volumes",
    "securityContext", "imagePullSecrets", "nodeName", "priorityClassName", "runtimeClassName",
)  # fmt: skip
# Kinds of which only some fields decide; of any other every field does.
_OF_KIND: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_TEMPLATES, ("spec.replicas", "spec.schedule", "spec.suspend", "spec.parallelism")),
    "Namespace": ("metadata.labels",),
}
_KEYED = frozenset({"ConfigMap", "Secret"})
_IDENTITY = frozenset({"name", "namespace", "creationTimestamp", "generateName"})
_EVERYWHERE = ("metadata.finalizers", "metadata.ownerReferences", "metadata.annotations")


def decisive_facts(body: Mapping[str, Any]) -> tuple[Fact, ...]:
    """The decisive fields of an object as pairs of name and value.

    Args:
        body: What is sent.
    """
    shown = mask(body)
    kind = str(body.get("kind"))
    if not is_built_in(body.get("apiVersion"), kind):
        return tuple(_leaves(_without_identity(shown), ""))
    if kind in _KEYED:
        return (*_keys(shown), *_chosen(shown, ("type", "immutable", *_EVERYWHERE)))
    if kind not in _OF_KIND:
        return tuple(_leaves(_without_identity(shown), ""))
    return (*_chosen(shown, (*_OF_KIND[kind], *_EVERYWHERE)), *_pod(_at(shown, _TEMPLATES.get(kind, ("?",)))))


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _chosen(shown: Mapping[str, Any], paths: Sequence[str]) -> Iterator[Fact]:
    for path in paths:
        value = _at(shown, path.split("."))
        if value is not None and value != {}:
            yield from _leaves(value, path)


def _pod(spec: Any) -> Iterator[Fact]:
    if not isinstance(spec, Mapping):
        return
    for part in _CONTAINERS:
        for at, container in enumerate(spec.get(part) or ()):
            name = f"{part}[{item_name(container, at)}]"
            if not isinstance(container, Mapping):
                continue
            for field in _OF_CONTAINER:
                if container.get(field) not in (None, [], {}):
                    yield from _fact(f"{name}.{field}", container[field])
            variables = [str(one.get("name")) for one in container.get("env") or () if isinstance(one, Mapping)]
            if variables:
                yield f"{name}.env", ", ".join(variables)
    for field in _OF_POD:
        if spec.get(field) not in (None, [], {}):
            yield from _fact(field, spec[field])


def _fact(name: str, value: Any) -> Iterator[Fact]:
    """A field in one line where it is a list of words, else each of its own fields."""
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        yield name, " ".join(str(item) for item in value)
    else:
        yield from _leaves(value, name)


def _keys(shown: Mapping[str, Any]) -> Iterator[Fact]:
    for part in ("data", "stringData", "binaryData"):
        held = shown.get(part)
        if isinstance(held, Mapping):
            yield from ((f"{part}.{key}", _size(value)) for key, value in held.items())


def _size(value: Any) -> str:
    text = str(value)
    if len(text) <= 80 and "\n" not in text:
        return text
    return f"{len(text.encode())} bytes, {len(text.splitlines())} lines"


def _leaves(value: Any, path: str) -> Iterator[Fact]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{item_name(inner, at)}]")
    elif value is not None:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _without_identity(shown: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in (shown.get("metadata") or {}).items() if key not in _IDENTITY}
    rest = {key: value for key, value in shown.items() if key not in ("apiVersion", "kind", "status", "metadata")}
    return {**rest, **({"metadata": metadata} if metadata else {})}
