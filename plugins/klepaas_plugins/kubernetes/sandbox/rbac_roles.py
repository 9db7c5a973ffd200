"""The ClusterRoles that every cluster has and that people bind: view, edit, admin, cluster-admin. Data.

As read from a Kubernetes 1.36 API server; groups that the sandbox does not serve are left out.
"""

from __future__ import annotations

from .model import Json

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_BOTH = tuple(sorted((*_READ, *_WRITE)))


def _rule(group: str, resources: str, verbs: tuple[str, ...]) -> Json:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": list(verbs)}


_VIEW = [
    _rule("", "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods serviceaccounts services "
          "services/status limitranges namespaces namespaces/status pods/log pods/status resourcequotas "
          "resourcequotas/status events", _READ),
    _rule("discovery.k8s.io", "endpointslices", _READ),
    _rule("apps", "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
          "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
          _READ),
    _rule("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", _READ),
    _rule("batch", "cronjobs cronjobs/status jobs jobs/status", _READ),
    _rule("policy", "poddisruptionbudgets poddisruptionbudgets/status", _READ),
    _rule("networking.k8s.io", "ingresses ingresses/status networkpolicies", _READ),
]  # fmt: skip
_EDIT = [
    *_VIEW,
    _rule("", "secrets pods/exec pods/attach pods/portforward pods/proxy services/proxy", _READ),
    _rule("", "serviceaccounts", ("impersonate",)),
    _rule("", "pods pods/attach pods/exec pods/portforward pods/proxy configmaps persistentvolumeclaims secrets "
          "serviceaccounts services services/proxy events", _WRITE),
    _rule("", "pods/eviction serviceaccounts/token", ("create",)),
    _rule("apps", "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets "
          "statefulsets/scale", _WRITE),
    _rule("autoscaling", "horizontalpodautoscalers", _WRITE),
    _rule("batch", "cronjobs jobs", _WRITE),
    _rule("policy", "poddisruptionbudgets", _WRITE),
    _rule("networking.k8s.io", "ingresses networkpolicies", _WRITE),
    _rule("coordination.k8s.io", "leases", _BOTH),
]  # fmt: skip
_ADMIN = [*_EDIT, _rule("rbac.authorization.k8s.io", "rolebindings roles", _BOTH)]
_CLUSTER_ADMIN = [_rule("*", "*", ("*",)), {"nonResourceURLs": ["*"], "verbs": ["*"]}]

BUILT_IN_ROLES: dict[str, list[Json]] = {
    "view": _VIEW, "edit": _EDIT, "admin": _ADMIN, "cluster-admin": _CLUSTER_ADMIN,
}  # fmt: skip
DISCOVERY = ("/api", "/apis", "/openapi", "/version", "/livez", "/readyz", "/healthz")
PUBLIC = ("/version", "/livez", "/readyz", "/healthz")
