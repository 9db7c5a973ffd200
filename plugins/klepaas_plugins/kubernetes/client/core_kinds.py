"""The kinds of the core group that every API server serves, so that naming one exactly needs no discovery.

Source: Kubernetes API reference, group "" version v1; it has served these since 1.0 and can serve no other version.
"""

from klepaas_plugins.kubernetes.client.models import Resource

__all__ = ["CORE_KINDS"]

_VERBS = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})
_NAMESPACED = (
    ("Pod", "pods", "po"),
    ("Service", "services", "svc"),
    ("ConfigMap", "configmaps", "cm"),
    ("Secret", "secrets", ""),
    ("ServiceAccount", "serviceaccounts", "sa"),
    ("PersistentVolumeClaim", "persistentvolumeclaims", "pvc"),
)


def _resource(kind: str, plural: str, short: str, *, namespaced: bool, verbs: frozenset[str]) -> Resource:
    return Resource("", "v1", kind, plural, kind.lower(), (short,) if short else (), namespaced, verbs)


_KINDS = (
    *(_resource(*names, namespaced=True, verbs=_VERBS) for names in _NAMESPACED),
    _resource("Namespace", "namespaces", "ns", namespaced=False, verbs=_VERBS - {"deletecollection"}),
)

# By what names them and nothing else, in lower case: "v1/pod", and "pods", since the core group goes before all others.
CORE_KINDS = {
    f"{version}{name}": one for one in _KINDS for name in (one.kind.lower(), one.plural) for version in ("v1/", "")
}
