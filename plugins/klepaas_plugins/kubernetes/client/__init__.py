"""The public way to a Kubernetes cluster, for this plugin and every other one.

`Clusters.of(host)` names the contexts; `await clusters.cluster(context)` is one cluster, over one HTTP client. Objects
are plain dictionaries. Nothing touches the network before the first request, and nothing here is shown to a person
unmasked: see `klepaas_plugins.kubernetes.masking`.

Credentials are found by the kubernetes package, on its leash: `finding` says what it does and what we do. Every request
goes through the pipeline of `klepaas.resilience`, one upstream a context.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from klepaas.preloading import HTTP_CLIENT
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

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.write.compare import compare
    from klepaas_plugins.kubernetes.write.delete import DeleteRequest, plan_delete
    from klepaas_plugins.kubernetes.write.managers import find_later_writers, judge_manager, reconcilers_of
    from klepaas_plugins.kubernetes.write.own_fields import extract_own, is_ours, own_paths
    from klepaas_plugins.kubernetes.write.planning import ApplyRequest, plan_apply
    from klepaas_plugins.kubernetes.write.writer import ChangedSincePlan, RaisedEffect, Written, write

# Loaded when a change is planned: a start, and a server that only reads, do without.
_WRITE = {
    "compare": "compare",
    "DeleteRequest": "delete",
    "plan_delete": "delete",
    "find_later_writers": "managers",
    "judge_manager": "managers",
    "reconcilers_of": "managers",
    "extract_own": "own_fields",
    "is_ours": "own_fields",
    "own_paths": "own_fields",
    "ApplyRequest": "planning",
    "plan_apply": "planning",
    "ChangedSincePlan": "writer",
    "RaisedEffect": "writer",
    "Written": "writer",
    "write": "writer",
}


def __getattr__(name: str) -> Any:
    """What plans and writes changes, on first use."""
    module = _WRITE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"klepaas_plugins.kubernetes.write.{module}"), name)


__all__ = [
    "FIELD_MANAGER",
    "LATE_MODULES",
    "MANIFESTS",
    "AlreadyExists",
    "ApplyRequest",
    "ChangedSincePlan",
    "Cluster",
    "Clusters",
    "Column",
    "Completions",
    "ContextInfo",
    "DeleteRequest",
    "Expired",
    "FieldConflict",
    "LogRange",
    "Manifest",
    "OutcomeUnknown",
    "RaisedEffect",
    "Resource",
    "Row",
    "Table",
    "WatchEvent",
    "Written",
    "compare",
    "explain_missing_namespaces",
    "extract_own",
    "find_later_writers",
    "in_safe_order",
    "is_ours",
    "judge_manager",
    "last_log_lines",
    "missing_namespaces",
    "namespace_error",
    "own_paths",
    "plan_apply",
    "plan_delete",
    "read_manifests",
    "reconcilers_of",
    "require_namespace",
    "write",
]

# What the first request imports. A plugin whose calls use this client adds them to its own (`klepaas.preloading`).
LATE_MODULES = (
    *HTTP_CLIENT,
    "klepaas_plugins.kubernetes.client.masking",
    "klepaas_plugins.kubernetes.client.session",
    "klepaas_plugins.kubernetes.client.transport",
)
