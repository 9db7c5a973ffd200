"""The public way to a Kubernetes cluster, for this plugin and every other one.

`Clusters.of(host)` names the contexts; `await clusters.cluster(context)` is one cluster, over one HTTP client. Objects
are plain dictionaries. Nothing touches the network before the first request, and nothing here is shown to a person
unmasked: see `klepaas_plugins.kubernetes.masking`.

Credentials are found by the kubernetes package, on its leash: `finding` says what it does and what we do. Every request
goes through the pipeline of `klepaas.resilience`, one upstream a context.
"""

from klepaas_plugins.kubernetes.client.cluster import FIELD_MANAGER, Cluster
from klepaas_plugins.kubernetes.client.clusters import Clusters
from klepaas_plugins.kubernetes.client.completing import Completions
from klepaas_plugins.kubernetes.client.log_tail import last_log_lines
from klepaas_plugins.kubernetes.client.models import Column, ContextInfo, LogRange, Resource, Row, Table, WatchEvent
from klepaas_plugins.kubernetes.client.namespaces import (
    explain_missing_namespaces,
    missing_namespaces,
    namespace_error,
    require_namespace,
)
from klepaas_plugins.kubernetes.errors import AlreadyExists, Expired, FieldConflict, OutcomeUnknown
from klepaas_plugins.kubernetes.manifests import MANIFESTS, Manifest, in_safe_order, read_manifests

__all__ = [
    "FIELD_MANAGER",
    "MANIFESTS",
    "AlreadyExists",
    "Cluster",
    "Clusters",
    "Column",
    "Completions",
    "ContextInfo",
    "Expired",
    "FieldConflict",
    "LogRange",
    "Manifest",
    "OutcomeUnknown",
    "Resource",
    "Row",
    "Table",
    "WatchEvent",
    "explain_missing_namespaces",
    "in_safe_order",
    "last_log_lines",
    "missing_namespaces",
    "namespace_error",
    "read_manifests",
    "require_namespace",
]
