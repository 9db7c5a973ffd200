"""The decisive fields of an object, as a person is shown them before it is created: masked, one line each.

Of a pod template: images, commands, variables, mounts, ports, identity and access to the node. Of kinds that nobody
knows: all of their content.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from klepaas.changes import FOREIGN_MARK
from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.comparing import item_name, with_encoded_data
from klepaas_plugins.kubernetes.risks.grants import granted
from klepaas_plugins.kubernetes.risks.index import index_of
from klepaas_plugins.kubernetes.risks.model import Object, child, children, group_of, texts
from klepaas_plugins.kubernetes.risks.pods import Template, templates
from klepaas_plugins.kubernetes.risks.rights import subject_text

__all__ = ["facts_of"]

Facts = Iterator[tuple[str, str]]
_SIZE = re.compile(rf"{MARK} \((\d+ bytes)\)")
_NOT_CONTENT = frozenset({"apiVersion", "kind", "metadata", "status"})
_ACCESS = (
    "serviceAccountName", "automountServiceAccountToken", "imagePullSecrets", "hostNetwork", "hostPID", "hostIPC",
    "hostUsers", "shareProcessNamespace", "nodeName", "runtimeClassName", "priorityClassName",
)  # fmt: skip
# Fields of built-in kinds that hold pods: what is decisive besides the template.
_WORKLOADS = (
    "replicas", "schedule", "suspend", "parallelism", "completions", "paused", "serviceName", "ttlSecondsAfterFinished",
)  # fmt: skip
_BUILT_IN_WITH_PODS = frozenset({"", "apps", "batch"})


def facts_of(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The decisive fields of an object, as pairs of name and value; hidden values by their size.

    Args:
        body: The object, as it is sent.
    """
    encoded = with_encoded_data(body)
    shown = mask(encoded)
    found = templates(index_of(shown))
    special = _BY_KIND.get((group_of(str(body.get("apiVersion"))), str(body.get("kind"))))
    if special is not None:
        facts = special(shown)
    elif found and group_of(str(body.get("apiVersion"))) in _BUILT_IN_WITH_PODS:
        facts = _workload(shown, found)
    else:
        facts = _content(shown)
    return (*facts, *_metadata(shown))


def _workload(obj: Object, found: list[Template]) -> Facts:
    spec = child(obj, "spec")
    yield from ((key, _text(spec[key])) for key in _WORKLOADS if key in spec)
    for template in found:
        yield from _template(template)
    for claim in children(spec, "volumeClaimTemplates"):
        size = child(claim, "spec", "resources", "requests").get("storage")
        yield f"claim {child(claim, 'metadata').get('name')}", f"{size} for each pod"


def _template(template: Template) -> Facts:
    spec = template.spec
    yield from ((key, _text(spec[key])) for key in _ACCESS if spec.get(key) not in (None, False))
    if child(spec, "securityContext"):
        yield "securityContext", _text(spec["securityContext"])
    volumes = {str(one.get("name")): _source(one) for one in children(spec, "volumes")}
    for name, container in template.containers.items():
        yield from _container(name, container, volumes)


def _container(name: str, container: Object, volumes: Mapping[str, str]) -> Facts:
    title = f"container {name}"
    yield f"{title} image", _text(container.get("image"))
    for key in ("command", "args"):
        if container.get(key):
            yield f"{title} {key}", _text(container[key])
    ports = [_port(one) for one in children(container, "ports")]
    if ports:
        yield f"{title} ports", ", ".join(ports)
    for one in children(container, "env"):
        source = child(one, "valueFrom")
        yield f"{title} variable {one.get('name')}", f"from {_from(source)}" if source else _text(one.get("value", ""))
    yield from ((f"{title} variables", f"all of {_from(one)}") for one in children(container, "envFrom"))
    for mount in children(container, "volumeMounts"):
        where, volume = _text(mount.get("mountPath")), str(mount.get("name"))
        yield f"{title} mount {where}", volumes.get(volume, f"volume {volume}")
    if child(container, "securityContext"):
        yield f"{title} securityContext", _text(container["securityContext"])


def _port(port: Object) -> str:
    host = f" as port {port['hostPort']} of the node" if port.get("hostPort") else ""
    return f"{port.get('containerPort')}/{port.get('protocol', 'TCP')}{host}"


def _from(source: Object) -> str:
    for key, value in source.items():
        if isinstance(value, Mapping):
            part = f" {value.get('key') or value.get('fieldPath') or value.get('resource') or ''}".rstrip()
            return f"{key.removesuffix('KeyRef').removesuffix('Ref')} {value.get('name', '')}{part}".replace("  ", " ")
    return "nowhere"


def _source(volume: Object) -> str:
    kinds = [key for key in volume if key != "name"]
    return f"{kinds[0]} {_text(volume[kinds[0]])}" if kinds else "an empty directory"


def _service(obj: Object) -> Facts:
    spec = child(obj, "spec")
    yield "type", _text(spec.get("type", "ClusterIP"))
    ports = [f"{one.get('port')} -> {one.get('targetPort', one.get('port'))}" for one in children(spec, "ports")]
    yield "ports", ", ".join(ports) or "none"
    for key in ("selector", "externalIPs", "externalName", "loadBalancerSourceRanges", "clusterIP"):
        if spec.get(key):
            yield key, _text(spec[key])


def _role(obj: Object) -> Facts:
    for position, rule in enumerate(children(obj, "rules"), start=1):
        yield f"rule {position}", _plain(granted([rule]))
    if child(obj, "aggregationRule"):
        yield "aggregationRule", _text(obj["aggregationRule"])


def _binding(obj: Object) -> Facts:
    role = child(obj, "roleRef")
    yield "role", f"{role.get('kind')} {role.get('name')}"
    # One by one, so that the name of none can hide another.
    yield from (("subject", _plain(subject_text(one, obj))) for one in children(obj, "subjects"))


def _data(obj: Object) -> Facts:
    if obj.get("type"):
        yield "type", _text(obj["type"])
    for part in ("data", "binaryData"):
        yield from ((f"{part} {key}", _size_of_hidden(_text(value))) for key, value in child(obj, part).items())


def _size_of_hidden(shown: str) -> str:
    """A value that is hidden whole, by its size."""
    size = _SIZE.fullmatch(shown)
    return f"{size[1]}, hidden, not compared" if size else shown


def _definition(obj: Object) -> Facts:
    spec = child(obj, "spec")
    yield "kind", f"{child(spec, 'names').get('kind')} of {spec.get('group')}, {spec.get('scope')}"
    yield "versions", ", ".join(str(one.get("name")) for one in children(spec, "versions"))
    if child(spec, "conversion", "webhook"):
        yield "conversion", _text(spec["conversion"])


def _account(obj: Object) -> Facts:
    for key in ("secrets", "imagePullSecrets"):
        if obj.get(key):
            yield key, ", ".join(str(one.get("name")) for one in children(obj, key))
    if "automountServiceAccountToken" in obj:
        yield "automountServiceAccountToken", _text(obj["automountServiceAccountToken"])


def _labels(obj: Object) -> Facts:
    yield from ((f"label {key}", _text(value)) for key, value in child(obj, "metadata", "labels").items())


def _content(obj: Object) -> Facts:
    """All of an object, one line a value."""
    rest = {key: value for key, value in obj.items() if key not in _NOT_CONTENT}
    yield from _leaves(rest, "")


def _leaves(value: Any, path: str) -> Facts:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and not all(isinstance(item, str | int) for item in value):
        for position, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{item_name(inner, position)}]")
    else:
        yield path, _text(value)


def _metadata(obj: Object) -> Facts:
    metadata = child(obj, "metadata")
    yield from ((f"annotation {key}", _text(value)) for key, value in child(metadata, "annotations").items())
    owners = [f"{one.get('kind')} {one.get('name')}" for one in children(metadata, "ownerReferences")]
    if owners:
        yield "owners", ", ".join(owners)
    if texts(metadata.get("finalizers")):
        yield "finalizers", ", ".join(texts(metadata["finalizers"]))


def _plain(text: str) -> str:
    return text.replace(FOREIGN_MARK, "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        return " ".join(
            item if isinstance(item, str) and item and " " not in item else json.dumps(item) for item in value
        )
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


_RBAC = "rbac.authorization.k8s.io"
_BY_KIND: dict[tuple[str, str], Callable[[Object], Facts]] = {
    ("", "Service"): _service,
    (_RBAC, "Role"): _role,
    (_RBAC, "ClusterRole"): _role,
    (_RBAC, "RoleBinding"): _binding,
    (_RBAC, "ClusterRoleBinding"): _binding,
    ("", "ConfigMap"): _data,
    ("", "Secret"): _data,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("", "ServiceAccount"): _account,
    ("", "Namespace"): _labels,
}
