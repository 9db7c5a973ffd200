"""What `k8s_top` does: what nodes, pods and containers use of CPU and memory, from the metrics API, most first.

Where a cluster has no metrics API, which is common, it says so and what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from klepaas.errors import KlepaasError, NotFound, Unavailable
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas_plugins.kubernetes.client import Cluster, require_namespace
from klepaas_plugins.kubernetes.listing import answer_one, answer_one_anywhere
from klepaas_plugins.kubernetes.pages import Question
from klepaas_plugins.kubernetes.sorting import number_of

__all__ = ["Usage", "UsageOf", "answer_top"]

UsageOf = Literal["pods", "nodes", "containers"]


@dataclass(frozen=True)
class Usage:
    """What is asked.

    Attributes:
        cluster: The cluster.
        what: Whose usage.
        namespace: The namespace. None: all of them.
        label_selector: Only of objects with these labels. None: of all.
        sort_by: What comes first by its amount.
        limit: Most lines.
        name: Only of the pod or node of this name. None: of all.
    """

    cluster: Cluster
    what: UsageOf
    namespace: str | None
    label_selector: str | None
    sort_by: Literal["cpu", "memory"]
    limit: int
    name: str | None = None


@dataclass(frozen=True)
class _Used:
    """CPU in cores and memory in bytes, of something."""

    names: tuple[str, ...]
    cpu: float
    memory: float


async def answer_top(usage: Usage) -> Answer:
    """The usage, most first.

    Args:
        usage: What is asked.

    Raises:
        NotFound: The cluster has no metrics API.
        Unavailable: It has one that does not answer.
    """
    found = await _measured(usage)
    used = [one for item in found for one in _of(usage, item)]
    used.sort(key=lambda one: one.cpu if usage.sort_by == "cpu" else one.memory, reverse=True)
    shown = used[: usage.limit]
    if not shown:
        await require_namespace(usage.cluster, usage.namespace)
        await _require_object(usage)
        return Answer("No usage is known: nothing runs there, or it has just started")
    columns = [*(["NAMESPACE"] if usage.what != "nodes" and usage.namespace is None else [])]
    columns += ["NAME", *(["CONTAINER"] if usage.what == "containers" else []), "CPU", "MEMORY"]
    capacity = await _capacity(usage.cluster) if usage.what == "nodes" else None
    rows = [[*one.names, _cores(one.cpu), _bytes(one.memory), *_shares(one, capacity)] for one in shown]
    columns += ["CPU%", "MEMORY%"] if capacity is not None else []
    text = fit(table(columns, rows), LIST_BYTES, "Lower limit, or narrow it")
    left = len(used) - len(shown)
    return Answer(f"{text}\n[{left} that use less left out]" if left else text)


async def _measured(usage: Usage) -> list[Mapping[str, Any]]:
    kind = "nodes.metrics.k8s.io" if usage.what == "nodes" else "pods.metrics.k8s.io"
    try:
        resource = await usage.cluster.resource(kind)
        found = await usage.cluster.list(
            resource, usage.namespace, label_selector=usage.label_selector, field_selector=_field_selector(usage.name)
        )
    except NotFound as exc:
        raise NotFound(
            f"The cluster of context {usage.cluster.context} has no metrics API, so usage is not known",
            next_step="Install metrics-server for that; k8s_get with columns shows requests and limits",
        ) from exc
    except Unavailable as exc:
        raise Unavailable(exc.what, next_step="Look at the metrics-server in kube-system") from exc
    items: list[Mapping[str, Any]] = found.get("items") or []
    return [item for item in items if usage.name in (None, (item.get("metadata") or {}).get("name"))]


def _field_selector(name: str | None) -> str | None:
    return None if name is None else f"metadata.name={name}"


async def _require_object(usage: Usage) -> None:
    """Fail where the one object that is asked for does not exist.

    Raises:
        NotFound: It does not exist; near names are told.
    """
    if usage.name is None:
        return
    resource = await usage.cluster.resource("nodes" if usage.what == "nodes" else "pods")
    question = Question(usage.cluster, resource, usage.namespace, "names")
    await (answer_one_anywhere if question.everywhere else answer_one)(question, usage.name)


def _of(usage: Usage, item: Mapping[str, Any]) -> list[_Used]:
    metadata = item.get("metadata") or {}
    names: tuple[str, ...] = (str(metadata.get("name")),)
    if usage.what != "nodes" and usage.namespace is None:
        names = (str(metadata.get("namespace") or ""), *names)
    if usage.what == "nodes":
        return [_used(names, item.get("usage"))]
    each = [_used((*names, str(part.get("name"))), part.get("usage")) for part in item.get("containers") or ()]
    if usage.what == "containers":
        return each
    return [_Used(names, sum(one.cpu for one in each), sum(one.memory for one in each))]


def _used(names: tuple[str, ...], amounts: Any) -> _Used:
    amounts = amounts if isinstance(amounts, Mapping) else {}
    return _Used(names, number_of(amounts.get("cpu")) or 0.0, number_of(amounts.get("memory")) or 0.0)


async def _capacity(cluster: Cluster) -> dict[str, _Used] | None:
    """What each node has to give. None: it may not be read."""
    try:
        found = await cluster.list(await cluster.resource("nodes"), None)
    except KlepaasError:
        return None
    nodes = [(str((node.get("metadata") or {}).get("name")), node.get("status") or {}) for node in found["items"]]
    return {name: _used((name,), status.get("allocatable")) for name, status in nodes}


def _shares(one: _Used, capacity: Mapping[str, _Used] | None) -> list[str]:
    if capacity is None:
        return []
    whole = capacity.get(one.names[-1])
    pairs = ((one.cpu, whole.cpu if whole else 0), (one.memory, whole.memory if whole else 0))
    return [f"{100 * part / of:.0f}%" if of else "" for part, of in pairs]


def _cores(cores: float) -> str:
    return f"{cores * 1000:.0f}m"


def _bytes(size_bytes: float) -> str:
    return f"{size_bytes / 1024 / 1024:.0f}Mi"
