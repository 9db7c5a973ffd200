"""What the API server adds to or refuses of an object between decoding and storing it.

Addresses of Services, what a pod gets from its service account, namespaces that are ending. Limits, quotas and policies
are in modules of their own; webhooks are not done.
"""

from __future__ import annotations

from .model import Json, name_suffix
from .resources import NAMESPACES, PODS, SERVICES, Resource
from .status import forbidden, not_found
from .store import Store

_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for why in ("not-ready", "unreachable")
]
_TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path, not a secret


def check_namespace(store: Store, resource: Resource, namespace: str, name: str) -> None:
    """Refuse to create in a namespace that is missing or ending.

    Raises:
        ApiError: 404 or 403.
    """
    if not resource.namespaced:
        return
    found = store.get(NAMESPACES, "", namespace)
    if found is None:
        raise not_found(NAMESPACES, namespace)
    if found["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        raise forbidden(resource, name, why, [cause])


class Admission:
    """The additions, with the counters they need."""

    def __init__(self) -> None:
        self._addresses = 0

    def complete(self, resource: Resource, obj: Json) -> Json:
        """A new object with what no manager owns."""
        if resource is SERVICES:
            return {**obj, "spec": self._service(obj["spec"])}
        if resource is NAMESPACES:
            return {**obj, "spec": {**(obj.get("spec") or {}), "finalizers": ["kubernetes"]}}
        if resource is PODS:
            return {**obj, "spec": _pod(obj["spec"])}
        if resource.plural == "persistentvolumeclaims":
            finalizers = {"finalizers": ["kubernetes.io/pvc-protection"]}
            return {**obj, "metadata": {**obj["metadata"], **finalizers}}
        return obj

    def _service(self, spec: Json) -> Json:
        if spec.get("type") == "ExternalName":
            return spec
        self._addresses += 1
        address = spec.get("clusterIP") or f"10.0.{self._addresses // 250}.{self._addresses % 250 + 1}"
        spec = {**spec, "clusterIP": address, "clusterIPs": [address]}
        if spec["type"] in ("NodePort", "LoadBalancer"):
            ports = [
                {"nodePort": 30000 + (self._addresses * 16 + index) % 2768, **port}
                for index, port in enumerate(spec["ports"])
            ]
            spec["ports"] = ports
        return {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", **spec}


def _pod(spec: Json) -> Json:
    account = spec.get("serviceAccountName") or "default"
    volume = f"kube-api-access-{name_suffix()}"
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    added: Json = {
        "serviceAccountName": account,
        "serviceAccount": account,
        "tolerations": [*(spec.get("tolerations") or []), *_TOLERATIONS],
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    if spec.get("automountServiceAccountToken") is not False:
        mount = {"name": volume, "readOnly": True, "mountPath": _TOKEN_MOUNT}
        projected = {"name": volume, "projected": {"sources": sources, "defaultMode": 420}}
        added["volumes"] = [*(spec.get("volumes") or []), projected]
        added["containers"] = [
            {**container, "volumeMounts": [*(container.get("volumeMounts") or []), mount]}
            for container in spec["containers"]
        ]
    return {**spec, **added}
