"""What the API server adds to or refuses of an object between decoding and storing it.

Addresses of Services, what a pod gets from its service account, namespaces that are ending, object counts of
ResourceQuotas. Webhooks and admission policies are not done.
"""

from __future__ import annotations

from .model import Json, name_suffix
from .resources import BUILT_IN, NAMESPACES, PODS, QUOTAS, SERVICES, Resource
from .status import forbidden, not_found
from .store import Store
from .validation import quantity

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


def used(store: Store, resource_name: str, namespace: str) -> int | None:
    """How many objects a quota's resource name counts at present; None for what the sandbox does not count."""
    plural = resource_name.removeprefix("count/").split(".", 1)[0]
    for resource in BUILT_IN:
        if resource.plural == plural:
            return len(store.list(resource, namespace))
    return None


def check_quota(store: Store, resource: Resource, namespace: str, name: str) -> None:
    """Refuse an object more than a ResourceQuota counts.

    Raises:
        ApiError: 403.
    """
    for quota in store.list(QUOTAS, namespace):
        for counted, limit in (quota["spec"].get("hard") or {}).items():
            if counted not in (resource.plural, f"count/{resource.qualified}"):
                continue
            held = len(store.list(resource, namespace))
            if held + 1 > quantity(limit):
                why = (
                    f"exceeded quota: {quota['metadata']['name']}, requested: {counted}=1, "
                    f"used: {counted}={held}, limited: {counted}={limit}"
                )
                raise forbidden(resource, name, why)


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
