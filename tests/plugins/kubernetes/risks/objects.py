"""Objects to judge, in few words."""

import copy
from typing import Any

Json = dict[str, Any]


def made(version: str, kind: str, name: str = "web", namespace: str | None = "shop", **content: Any) -> Json:
    """An object. `metadata` in the content adds to name and namespace."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **content.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def at(obj: Json, path: str, value: Any) -> Json:
    """A copy with a value at a path; parts are separated by a blank, numbers are places in lists. None removes it."""
    changed = copy.deepcopy(obj)
    *way, last = path.split(" ")
    inner: Any = changed
    for part in way:
        inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
    if value is None:
        del inner[last]
    elif isinstance(inner, list):
        inner[int(last)] = value
    else:
        inner[last] = value
    return changed


POD = "spec template spec"
CONTAINER = f"{POD} containers 0"
LABELS = {"app": "web"}


def deployment(image: str = "example/app:1", **pod: Any) -> Json:
    """A Deployment of one container."""
    spec = {"containers": [{"name": "web", "image": image}], **pod}
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    return made(
        "apps/v1", "Deployment", spec={"replicas": 2, "selector": {"matchLabels": LABELS}, "template": template}
    )


def changed_deployment(path: str, value: Any) -> tuple[Json, Json]:
    """A Deployment before and after a change of one field."""
    before = deployment()
    return before, at(before, path, value)


def service(**spec: Any) -> Json:
    return made("v1", "Service", spec={"selector": LABELS, "ports": [{"port": 80}], **spec})


def annotated(version: str, kind: str, key: str, value: str, part: str = "annotations") -> Json:
    return made(version, kind, metadata={part: {key: value}})


RBAC = "rbac.authorization.k8s.io/v1"


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Json:
    return {"apiGroups": [group], "verbs": verbs.split(), "resources": resources.split(), **more}


def role(*rules: Json, kind: str = "Role", name: str = "app", **metadata: Any) -> Json:
    return made(RBAC, kind, name, None if kind == "ClusterRole" else "shop", metadata=metadata, rules=list(rules))


def binding(role_kind: str, role_name: str, *subjects: Json, kind: str = "RoleBinding", name: str = "b") -> Json:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name}
    place = None if kind == "ClusterRoleBinding" else "shop"
    return made(RBAC, kind, name, place, roleRef=reference, subjects=list(subjects))


def account(name: str = "web", namespace: str = "shop") -> Json:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def somebody(name: str, kind: str = "User") -> Json:
    return {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def owned(by: str, uid: str, **more: Any) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": by, "uid": uid, **more}
    return made("v1", "ConfigMap", metadata={"ownerReferences": [reference]}, data={"a": "1"})
