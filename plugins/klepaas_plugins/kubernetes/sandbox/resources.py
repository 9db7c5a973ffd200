"""The kinds the sandbox serves: their names, scope, verbs, and how they differ in handling.

Custom resources are added while it runs, one for each served version of a CustomResourceDefinition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .model import Json

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, eq=False)
class Resource:
    """One kind at one version, as discovery describes it.

    Args:
        group: API group; empty for the core group.
        counts_generation: whether metadata.generation is kept.
        subresources: names of what lies below an object, `status` and `scale` among them.
        schema: a custom kind's OpenAPI schema; None for a built-in kind.
        columns: a custom kind's additionalPrinterColumns.
        selectable: fields that a custom kind can be selected by, as its definition says.
        scale: where a custom kind keeps its replicas, as its definition says; None for a built-in kind.
        deprecation: what clients of this version are warned of; empty for nothing.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    counts_generation: bool = False
    verbs: tuple[str, ...] = VERBS
    custom: bool = False
    schema: Json | None = None
    columns: tuple[Json, ...] = field(default=())
    selectable: tuple[str, ...] = ()
    scale: Json | None = None
    deprecation: str = ""

    @property
    def api_version(self) -> str:
        """As objects write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def shown(self, obj: Json) -> Json:
        """An object as this version shows it; versions of a custom kind differ in nothing else."""
        if not self.custom or obj.get("apiVersion") == self.api_version:
            return obj
        return {**obj, "apiVersion": self.api_version}

    @property
    def qualified(self) -> str:
        """As error messages write it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _kind(group_version: str, plural: str, kind: str, short: str = "", sub: str = "", **more: object) -> Resource:
    group, _, version = group_version.rpartition("/")
    values: Json = {"singular": kind.lower(), **more}
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        short_names=tuple(short.split()),
        subresources=tuple(sub.split()),
        **values,
    )


_ALL = ("all",)
_NS_VERBS = tuple(verb for verb in VERBS if verb != "deletecollection")

CONFIG_MAPS = _kind("v1", "configmaps", "ConfigMap", "cm")
ENDPOINTS = _kind("v1", "endpoints", "Endpoints", "ep")
EVENTS = _kind("v1", "events", "Event", "ev")
LIMIT_RANGES = _kind("v1", "limitranges", "LimitRange", "limits")
NAMESPACES = _kind("v1", "namespaces", "Namespace", "ns", "status", namespaced=False, verbs=_NS_VERBS)
NODES = _kind("v1", "nodes", "Node", "no", "status", namespaced=False)
CLAIMS = _kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "status")
VOLUMES = _kind("v1", "persistentvolumes", "PersistentVolume", "pv", "status", namespaced=False)
PODS = _kind("v1", "pods", "Pod", "po", "eviction log status", categories=_ALL, counts_generation=True)
QUOTAS = _kind("v1", "resourcequotas", "ResourceQuota", "quota", "status")
SECRETS = _kind("v1", "secrets", "Secret")
SERVICE_ACCOUNTS = _kind("v1", "serviceaccounts", "ServiceAccount", "sa")
SERVICES = _kind("v1", "services", "Service", "svc", "status", categories=_ALL)
REVISIONS = _kind("apps/v1", "controllerrevisions", "ControllerRevision")
DAEMON_SETS = _kind("apps/v1", "daemonsets", "DaemonSet", "ds", "status", categories=_ALL, counts_generation=True)
DEPLOYMENTS = _kind(
    "apps/v1", "deployments", "Deployment", "deploy", "scale status", categories=_ALL, counts_generation=True
)
REPLICA_SETS = _kind(
    "apps/v1", "replicasets", "ReplicaSet", "rs", "scale status", categories=_ALL, counts_generation=True
)
STATEFUL_SETS = _kind(
    "apps/v1", "statefulsets", "StatefulSet", "sts", "scale status", categories=_ALL, counts_generation=True
)
JOBS = _kind("batch/v1", "jobs", "Job", "", "status", categories=_ALL, counts_generation=True)
CRON_JOBS = _kind("batch/v1", "cronjobs", "CronJob", "cj", "status", categories=_ALL, counts_generation=True)
AUTOSCALERS = _kind(
    "autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", "status", categories=_ALL
)
LEASES = _kind("coordination.k8s.io/v1", "leases", "Lease")
ENDPOINT_SLICES = _kind("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", counts_generation=True)
INGRESSES = _kind("networking.k8s.io/v1", "ingresses", "Ingress", "ing", "status", counts_generation=True)
INGRESS_CLASSES = _kind(
    "networking.k8s.io/v1", "ingressclasses", "IngressClass", namespaced=False, counts_generation=True
)
NETWORK_POLICIES = _kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "netpol", counts_generation=True)
BUDGETS = _kind("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "status", counts_generation=True)
ROLES = _kind("rbac.authorization.k8s.io/v1", "roles", "Role")
ROLE_BINDINGS = _kind("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = _kind("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = _kind(
    "rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
STORAGE_CLASSES = _kind("storage.k8s.io/v1", "storageclasses", "StorageClass", "sc", namespaced=False)
DEFINITIONS = _kind(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    "crd crds",
    "status",
    namespaced=False,
    categories=("api-extensions",),
    counts_generation=True,
)
POLICIES = _kind(
    "admissionregistration.k8s.io/v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    "",
    "status",
    namespaced=False,
    categories=("api-extensions",),
    counts_generation=True,
)
POLICY_BINDINGS = _kind(
    "admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
    categories=("api-extensions",),
    counts_generation=True,
)

# Served only when a test says that there is a metrics server; computed, never stored.
_METRICS_VERBS = ("get", "list")
POD_METRICS = _kind("metrics.k8s.io/v1beta1", "pods", "PodMetrics", singular="", verbs=_METRICS_VERBS)
NODE_METRICS = _kind(
    "metrics.k8s.io/v1beta1", "nodes", "NodeMetrics", singular="", verbs=_METRICS_VERBS, namespaced=False
)
METRICS_KINDS = (POD_METRICS, NODE_METRICS)

BUILT_IN: tuple[Resource, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Resource) and value not in METRICS_KINDS
)


class Registry:
    """Every kind served at present, by group, version and plural."""

    def __init__(self) -> None:
        self._resources: dict[tuple[str, str, str], Resource] = {}
        for resource in BUILT_IN:
            self._resources[resource.group, resource.version, resource.plural] = resource

    def serve(self, *resources: Resource) -> None:
        """Serve kinds that are not there from the beginning."""
        for resource in resources:
            self._resources[resource.group, resource.version, resource.plural] = resource

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource a path names."""
        return self._resources.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource an object's apiVersion and kind name."""
        for resource in self._resources.values():
            if resource.kind == kind and resource.api_version == api_version:
                return resource
        return None

    def all(self) -> list[Resource]:
        """Every resource, built-in first."""
        return list(self._resources.values())

    def of_group_version(self, group: str, version: str) -> list[Resource]:
        """The resources of one group and version, by name."""
        found = [r for r in self._resources.values() if r.group == group and r.version == version]
        return sorted(found, key=lambda resource: resource.plural)

    def define(self, definition: Json) -> None:
        """Serve what a CustomResourceDefinition describes, in place of what it described before."""
        self.forget(definition)
        spec = definition["spec"]
        for version in sorted(spec.get("versions") or [], key=lambda one: _priority(one["name"])):
            if version.get("served"):
                resource = custom_resource(spec, version)
                self._resources[resource.group, resource.version, resource.plural] = resource

    def forget(self, definition: Json) -> list[Resource]:
        """Serve a CustomResourceDefinition's kinds no longer."""
        spec = definition["spec"]
        gone = [
            key
            for key in self._resources
            if key[0] == spec.get("group") and key[2] == spec.get("names", {}).get("plural")
        ]
        return [self._resources.pop(key) for key in gone]


def _priority(version: str) -> tuple[int, int, int, str]:
    """Versions in the order discovery names them: v2, v1, v1beta1, v1alpha1, others by name."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return 3, 0, 0, version
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return stage, -int(found[1]), -int(found[3] or 0), version


def _deprecation(spec: Json, version: Json) -> str:
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    fresh = [one["name"] for one in spec["versions"] if one.get("served") and not one.get("deprecated")]
    use = f"; use {group}/{min(fresh, key=_priority)} {kind}" if fresh else ""
    return f"{group}/{version['name']} {kind} is deprecated{use}"


def custom_resource(spec: Json, version: Json) -> Resource:
    """The resource one version of a CustomResourceDefinition describes."""
    names = spec["names"]
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular", names["kind"].lower()),
        namespaced=spec.get("scope") == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(sorted(version.get("subresources") or {}, reverse=True)),
        counts_generation=True,
        verbs=CUSTOM_VERBS,
        custom=True,
        schema=(version.get("schema") or {}).get("openAPIV3Schema"),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(str(one["jsonPath"]).removeprefix(".") for one in version.get("selectableFields") or ()),
        scale=(version.get("subresources") or {}).get("scale"),
        deprecation=_deprecation(spec, version),
    )
