"""Lists as tables: the columns of each kind and how an object fills them.

Column names, types, formats and priorities are the API server's; the descriptions are shorter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from . import cells as of
from .cells import Cells, custom_cells
from .model import Json
from .resources import (
    AUTOSCALERS,
    BUDGETS,
    CLAIMS,
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEFINITIONS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    INGRESSES,
    JOBS,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    QUOTAS,
    REPLICA_SETS,
    REVISIONS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)  # fmt: skip

NAME = "Name"
# Each column: its name, with "!" before those shown only in wide output.
_COLUMNS: dict[Resource, tuple[str, Callable[[Json, float], Cells]]] = {
    PODS: ("Name Ready Status Restarts Age !IP !Node !Nominated_Node !Readiness_Gates", of.pod),
    DEPLOYMENTS: ("Name Ready Up-to-date Available Age !Containers !Images !Selector", of.deployment),
    REPLICA_SETS: ("Name Desired Current Ready Age !Containers !Images !Selector", of.replica_set),
    STATEFUL_SETS: ("Name Ready Age !Containers !Images", of.stateful_set),
    DAEMON_SETS: (
        "Name Desired Current Ready Up-to-date Available Node_Selector Age !Containers !Images !Selector",
        of.daemon_set,
    ),
    JOBS: ("Name Status Completions Duration Age !Containers !Images !Selector", of.job),
    CRON_JOBS: (
        "Name Schedule Timezone Suspend Active Last_Schedule Age !Containers !Images !Selector", of.cron_job,
    ),
    EVENTS: ("Last_Seen Type Reason Object !Subobject !Source Message !First_Seen !Count !Name", of.event),
    SERVICES: ("Name Type Cluster-IP External-IP Port(s) Age !Selector", of.service),
    SECRETS: ("Name Type Data Age", of.secret),
    CONFIG_MAPS: ("Name Data Age", of.config_map),
    NODES: (
        "Name Status Roles Age Version !Internal-IP !External-IP !OS-Image !Kernel-Version !Container-Runtime", of.node,
    ),
    NAMESPACES: ("Name Status Age", of.namespace),
    INGRESSES: ("Name Class Hosts Address Ports Age", of.ingress),
    ENDPOINTS: ("Name Endpoints Age", of.endpoints),
    ENDPOINT_SLICES: ("Name AddressType Ports Endpoints Age", of.endpoint_slice),
    CLAIMS: (
        "Name Status Volume Capacity Access_Modes StorageClass VolumeAttributesClass Age !VolumeMode", of.claim,
    ),
    QUOTAS: ("Name Request Limit Age", of.quota),
    SERVICE_ACCOUNTS: ("Name Secrets Age", of.service_account),
    AUTOSCALERS: ("Name Reference Targets MinPods MaxPods Replicas Age", of.autoscaler),
    BUDGETS: ("Name Min_Available Max_Unavailable Allowed_Disruptions Age", of.budget),
    NETWORK_POLICIES: ("Name Pod-Selector Age", of.network_policy),
    LEASES: ("Name Holder Age", of.lease),
    REVISIONS: ("Name Controller Revision Age", of.revision),
    ROLE_BINDINGS: ("Name Role Age !Users !Groups !ServiceAccounts", of.role_binding),
    DEFINITIONS: ("Name Created_At", of.created_at),
}  # fmt: skip
_INTEGERS = {
    REPLICA_SETS: {"Desired", "Current", "Ready"},
    DAEMON_SETS: {"Desired", "Current", "Ready"},
}


def _column(name: str, kind: str = "string", description: str = "", priority: int = 0) -> Json:
    form = "name" if name == NAME else "date" if name == "Created At" else ""
    return {"name": name, "type": kind, "format": form, "description": description or f"{name}.", "priority": priority}


def _definitions(resource: Resource) -> list[Json]:
    if resource.custom:
        return _custom_definitions(resource)
    if resource not in _COLUMNS:
        return [_column(NAME), _column("Created At", "date")]
    columns = []
    for word in _COLUMNS[resource][0].split():
        name = word.removeprefix("!").replace("_", " ")
        kind = "integer" if name in _INTEGERS.get(resource, ()) else "string"
        columns.append(_column(name, kind, priority=int(word[0] == "!")))
    return columns


def _custom_definitions(resource: Resource) -> list[Json]:
    if not resource.columns:
        return [_column(NAME), _column("Age", "date")]
    columns = [_column(NAME)]
    for column in resource.columns:
        described = column.get("description") or (
            f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
        )
        made = _column(column["name"], column["type"], described, column.get("priority", 0))
        columns.append({**made, "format": column.get("format", "")})
    return columns


def _row(resource: Resource, obj: Json, now_s: float) -> list[Any]:
    if resource.custom:
        return custom_cells(resource, obj, now_s)
    if resource not in _COLUMNS:
        return [obj["metadata"]["name"], obj["metadata"]["creationTimestamp"]]
    return _COLUMNS[resource][1](obj, now_s)


def table(resource: Resource, objects: list[Json], meta: Json, include: str) -> Json:
    """Objects as a Table; `include` says what each row carries of its object: None, Metadata or Object."""
    now_s = time.time()
    rows = []
    for obj in objects:
        whole: Json | None = None
        if include == "Metadata":
            whole = partial(obj)
        elif include == "Object":
            whole = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
        rows.append({"cells": _row(resource, obj, now_s), "object": whole})
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": _definitions(resource),
        "rows": rows,
    }


def partial(obj: Json) -> Json:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
