"""Which pods are meant by a pod's name, a workload, an application or a label selector."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas import names
from klepaas.errors import BadRequest, NotFound
from klepaas.names import Check
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.pods import worst_first
from klepaas_plugins.kubernetes.wording import near

__all__ = ["POD_OR_WORKLOAD", "Choice", "choose", "labelled"]

PODS_MAX = 500
# What makes objects one application, in this order; then a workload of that name.
_APPLICATION_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/name", "app")
_WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch")


def _is_pod_or_workload(value: str) -> bool:
    kind, slash, name = value.rpartition("/")
    return names.OBJECT.accepts(name) and (not slash or ("/" not in kind and names.KIND.accepts(kind)))


POD_OR_WORKLOAD = Check(
    "pod or workload",
    _is_pod_or_workload,
    "a pod's name, an application's name, or kind/name such as deployment/web",
    max_chars=names.KIND.max_chars + 1 + names.OBJECT.max_chars,
)
# What no label holds is looked for as a workload's name alone.
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Choice:
    """Pods that were meant.

    Attributes:
        pods: The pods, the least healthy first.
        whose: What they belong to. None: one pod was named.
    """

    pods: list[Mapping[str, Any]]
    whose: str | None = None


async def choose(cluster: Cluster, namespace: str, wanted: str) -> Choice:
    """The pods that a text means.

    Args:
        cluster: The cluster.
        namespace: The namespace.
        wanted: A pod, an application, or kind/name.

    Raises:
        NotFound: There is no such pod, workload or application, or it has no pods; near names are told.
        BadRequest: The kind selects no pods.
    """
    kind, slash, name = wanted.rpartition("/")
    if slash:
        return await _of_kind(cluster, namespace, kind, name)
    pods = await cluster.resource("pods")
    try:
        return Choice([await cluster.get(pods, name, namespace)])
    except NotFound as exc:
        choice = await _of_application(cluster, namespace, name)
        if choice is not None:
            return choice
        raise await _unknown(cluster, namespace, name) from exc


async def labelled(cluster: Cluster, namespace: str, selector: str) -> Choice:
    """The pods with some labels.

    Args:
        cluster: The cluster.
        namespace: The namespace.
        selector: The label selector.

    Raises:
        NotFound: There is none.
    """
    choice = await _selected(cluster, namespace, selector, f"selector {selector}")
    if choice is None:
        raise NotFound(
            f"No pod in namespace {namespace} matches {selector}", next_step="k8s_get(kind='pods') lists the pods"
        )
    return choice


async def _of_kind(cluster: Cluster, namespace: str, kind: str, name: str) -> Choice:
    resource = await cluster.resource(kind)
    found = await cluster.get(resource, name, namespace)
    if resource.full_name == "pods":
        return Choice([found])
    selector = _selector(found)
    if selector is None:
        raise BadRequest(f"A {resource.title} selects no pods", next_step="Name a pod or a workload")
    choice = await _selected(cluster, namespace, selector, f"{resource.title} {name}")
    if choice is None:
        raise NotFound(
            f"{resource.kind} {name} has no pods in namespace {namespace}",
            next_step=f"k8s_events(name='{name}') may say why",
        )
    return choice


def _selector(found: Mapping[str, Any]) -> str | None:
    """The label selector of a workload or a Service, as the API's parameter."""
    selector = (found.get("spec") or {}).get("selector")
    if not isinstance(selector, dict):
        return None
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in selector.items()) or None
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule.get("key"), ",".join(rule.get("values") or ())
        form = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        terms.append(form.get(str(rule.get("operator")), str(key)))
    return ",".join(terms) or None


async def _of_application(cluster: Cluster, namespace: str, name: str) -> Choice | None:
    for label in _APPLICATION_LABELS if _LABEL_VALUE.fullmatch(name) else ():
        choice = await _selected(cluster, namespace, f"{label}={name}", f"application {name}")
        if choice is not None:
            return choice
    for kind in _WORKLOADS:
        try:
            return await _of_kind(cluster, namespace, kind, name)
        except NotFound:
            continue
    return None


async def _selected(cluster: Cluster, namespace: str, selector: str, whose: str) -> Choice | None:
    pods = await cluster.resource("pods")
    found = await cluster.list(pods, namespace, label_selector=selector, limit=PODS_MAX)
    items: Sequence[Mapping[str, Any]] = found.get("items") or []
    return Choice(worst_first(items), whose) if items else None


async def _unknown(cluster: Cluster, namespace: str, name: str) -> NotFound:
    table = await cluster.table(await cluster.resource("pods"), namespace, limit=PODS_MAX)
    found = near(name, [row.name for row in table.rows if row.name])
    place = f"namespace {namespace} (context {cluster.context})"
    return NotFound(
        f"There is no pod, application or workload {name} in {place}",
        next_step=f"Did you mean {', '.join(found)}?" if found else "k8s_get(kind='pods') lists the pods",
    )
