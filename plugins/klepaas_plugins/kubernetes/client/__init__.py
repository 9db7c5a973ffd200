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
from klepaas_plugins.kubernetes.client.looks import Looks, forget_looks, fresh, looks_of, remembering
from klepaas_plugins.kubernetes.client.models import Column, ContextInfo, LogRange, Resource, Row, Table, WatchEvent
from klepaas_plugins.kubernetes.client.namespaces import (
    explain_missing_namespaces,
    missing_namespaces,
    namespace_error,
    require_namespace,
)
from klepaas_plugins.kubernetes.errors import AlreadyExists, Expired, FieldConflict, OutcomeUnknown
from klepaas_plugins.kubernetes.manifests import MANIFESTS, Manifest, in_safe_order, read_manifests
from klepaas_plugins.kubernetes.refusals import Refusal, find_refusal

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.risks import find_risks, judge_again
    from klepaas_plugins.kubernetes.write.autoscaling import (
        AUTOSCALER,
        REPLICAS,
        AutoscalerChanges,
        is_autoscalers,
        is_target,
        leaving_first,
    )
    from klepaas_plugins.kubernetes.write.compare import compare
    from klepaas_plugins.kubernetes.write.delete import DeleteRequest, plan_delete
    from klepaas_plugins.kubernetes.write.items import Finder, key_of
    from klepaas_plugins.kubernetes.write.managers import Side, find_later_writers, judge_manager, reconcilers_of
    from klepaas_plugins.kubernetes.write.merging import merge
    from klepaas_plugins.kubernetes.write.own_fields import (
        Path,
        Paths,
        entries_of,
        extract,
        extract_own,
        is_ours,
        own_fields,
        own_paths,
        paths_of,
        to_fields,
    )
    from klepaas_plugins.kubernetes.write.planning import ApplyRequest, plan_apply
    from klepaas_plugins.kubernetes.write.trial import learn_paths
    from klepaas_plugins.kubernetes.write.writer import ChangedSincePlan, RaisedEffect, Written, write

# Loaded when a change is planned: a start, and a server that only reads, do without.
_LATE = {
    "risks": ("find_risks", "judge_again"),
    "write.autoscaling": (
        "AUTOSCALER", "REPLICAS", "AutoscalerChanges", "is_autoscalers", "is_target", "leaving_first",
    ),
    "write.compare": ("compare",),
    "write.delete": ("DeleteRequest", "plan_delete"),
    "write.items": ("Finder", "key_of"),
    "write.managers": ("Side", "find_later_writers", "judge_manager", "reconcilers_of"),
    "write.merging": ("merge",),
    "write.own_fields": (
        "Path", "Paths", "entries_of", "extract", "extract_own", "is_ours", "own_fields", "own_paths", "paths_of",
        "to_fields",
    ),
    "write.planning": ("ApplyRequest", "plan_apply"),
    "write.trial": ("learn_paths",),
    "write.writer": ("ChangedSincePlan", "RaisedEffect", "Written", "write"),
}  # fmt: skip
_HOMES = {name: home for home, names in _LATE.items() for name in names}


def __getattr__(name: str) -> Any:
    """What plans, judges and writes changes, on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"klepaas_plugins.kubernetes.{home}"), name)


__all__ = [
    "AUTOSCALER",
    "FIELD_MANAGER",
    "LATE_MODULES",
    "MANIFESTS",
    "REPLICAS",
    "AlreadyExists",
    "ApplyRequest",
    "AutoscalerChanges",
    "ChangedSincePlan",
    "Cluster",
    "Clusters",
    "Column",
    "Completions",
    "ContextInfo",
    "DeleteRequest",
    "Expired",
    "FieldConflict",
    "Finder",
    "LogRange",
    "Looks",
    "Manifest",
    "OutcomeUnknown",
    "Path",
    "Paths",
    "RaisedEffect",
    "Refusal",
    "Resource",
    "Row",
    "Side",
    "Table",
    "WatchEvent",
    "Written",
    "compare",
    "entries_of",
    "explain_missing_namespaces",
    "extract",
    "extract_own",
    "find_later_writers",
    "find_refusal",
    "find_risks",
    "forget_looks",
    "fresh",
    "in_safe_order",
    "is_autoscalers",
    "is_ours",
    "is_target",
    "judge_again",
    "judge_manager",
    "key_of",
    "last_log_lines",
    "learn_paths",
    "leaving_first",
    "looks_of",
    "merge",
    "missing_namespaces",
    "namespace_error",
    "own_fields",
    "own_paths",
    "paths_of",
    "plan_apply",
    "plan_delete",
    "read_manifests",
    "reconcilers_of",
    "remembering",
    "require_namespace",
    "to_fields",
    "write",
]

# What the first request imports. A plugin whose calls use this client adds them to its own (`klepaas.preloading`).
LATE_MODULES = (
    *HTTP_CLIENT,
    "klepaas_plugins.kubernetes.client.masking",
    "klepaas_plugins.kubernetes.client.reviewing",
    "klepaas_plugins.kubernetes.client.session",
    "klepaas_plugins.kubernetes.client.transport",
)
