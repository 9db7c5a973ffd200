"""The answer of list_applications: one line a workload, the unhealthy first."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from klepaas.errors import Forbidden
from klepaas.host import Host
from klepaas.output import Answer, Output, json_answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas_plugins.deployments.ailing import ILL, Diagnosis, diagnose, seen_verdict
from klepaas_plugins.deployments.applications import workloads
from klepaas_plugins.deployments.objects import age, at, counted, images
from klepaas_plugins.deployments.under_way import describe_operation, find_unseen
from klepaas_plugins.kubernetes.client import Cluster, require_namespace

__all__ = ["facts_of", "list_applications", "rows_of"]

_COLUMNS = ("APPLICATION", "WORKLOAD", "READY", "STATUS", "IMAGE", "AGE")
# JSON is not cut as text is: about 200 bytes each.
_MOST_FACTS = 100


async def list_applications(
    host: Host, cluster: Cluster, namespace: str | None, grace_s: float, output: Output = "text"
) -> Answer:
    """The applications of a namespace.

    Args:
        host: The server's settings and shared services.
        cluster: The cluster.
        namespace: The namespace. None: all of them.
        grace_s: Seconds without a node after which a pod counts as unschedulable.
        output: How it reads.

    Raises:
        Forbidden: The credentials may not list them.
        NotFound: The namespace does not exist.
    """
    try:
        found = await diagnose(cluster, await workloads(cluster, namespace), grace_s)
    except Forbidden as exc:
        if namespace is None:
            exc.next_step = "Name a namespace that you may read"
        raise
    note = None if found else await require_namespace(cluster, namespace)
    present = {(one.workload.namespace, one.workload.application) for one in found}
    unseen = await find_unseen(host, cluster.context, namespace, present)
    first = [f"{where}/{name}: {describe_operation(one, first=True)}" for where, name, one in unseen]
    if output == "json":
        return json_answer(
            "klepaas.applications/v1",
            {
                **_facts(cluster, namespace, found),
                "note": note,
                "first_deployments": first,
                **seen_verdict(found).facts(),
            },
        )
    where = f"namespace {namespace}" if namespace else "all namespaces"
    if not found:
        text = f"No application in {where} (context {cluster.context})."
        return Answer("\n".join([text, *([note] if note else []), *first]))
    ill = sum(one.phase in ILL for one in found)
    verdict = seen_verdict(found)
    count = len({(one.workload.namespace, one.workload.application) for one in found})
    text = table(_COLUMNS if namespace else ("NAMESPACE", *_COLUMNS), rows_of(found, with_namespace=namespace is None))
    head = f"{counted(count, 'application')} in {where}, {verdict.count_unhealthy(ill)}"
    more = "get_deployment_status tells about one application" if namespace else "Name a namespace to see fewer"
    return Answer(fit("\n".join([head, *first, text, verdict.basis()]), LIST_BYTES, more))


def rows_of(found: Sequence[Diagnosis], *, with_namespace: bool) -> list[list[str]]:
    """A row for each workload; its own name only where that is not the application's."""
    now = datetime.now(UTC)
    return [[*([one.workload.namespace] if with_namespace else []), *_row(one, now)] for one in found]


def _facts(cluster: Cluster, namespace: str | None, found: Sequence[Diagnosis]) -> dict[str, Any]:
    return {
        "context": cluster.context,
        "namespace": namespace,
        "total": len({(one.workload.namespace, one.workload.application) for one in found}),
        "unhealthy": sum(one.phase in ILL for one in found),
        "workloads": facts_of(found[:_MOST_FACTS]),
        "left_out": max(0, len(found) - _MOST_FACTS),
    }


def facts_of(found: Sequence[Diagnosis]) -> list[dict[str, Any]]:
    """The workloads as data."""
    return [
        {
            "namespace": one.workload.namespace,
            "app": one.workload.application,
            "workload": f"{one.workload.kind.lower()} {one.workload.name}",
            "state": one.state,
            "status": one.words,
            "ready": one.workload.ready,
            "images": images(one.workload.item),
        }
        for one in found
    ]


def _row(one: Diagnosis, now: datetime) -> list[str]:
    item = one.workload
    plain = item.kind == "Deployment" and item.name == item.application
    return [
        item.application,
        "" if plain else f"{item.kind.lower()}/{item.name}",
        item.ready,
        one.words,
        ", ".join(images(item.item)),
        age(at(item.item, "metadata", "creationTimestamp"), now),
    ]
