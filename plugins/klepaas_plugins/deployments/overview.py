"""One look at a cluster or a namespace: what is ill and why, before anything else; then what fires, runs and changed.

Namespaces of the system count as numbers; they are listed only where something is ill in them. The answer has a budget
of its own, below 1,500 tokens, since it is what people ask first and most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from klepaas.errors import Forbidden
from klepaas.host import Host
from klepaas.output import Answer, Output, json_answer
from klepaas.output.budget import fit
from klepaas.output.verdict import Claim, Verdict, term
from klepaas_plugins.deployments import lately
from klepaas_plugins.deployments.ailing import ILL, Diagnosis, diagnose, seen_verdict
from klepaas_plugins.deployments.applications import Workload, workloads
from klepaas_plugins.deployments.causes import pod_cause
from klepaas_plugins.deployments.contexts import contexts_line
from klepaas_plugins.deployments.evidence import Folded, fold
from klepaas_plugins.deployments.listing import facts_of
from klepaas_plugins.deployments.objects import (
    Object,
    age,
    at,
    condition,
    counted,
    items,
    message_line,
    name_of,
    namespace_of,
)
from klepaas_plugins.deployments.sections import Section, within
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.together import if_allowed, together
from klepaas_plugins.kubernetes.client import Cluster, ContextInfo, require_namespace

__all__ = ["overview"]

_MOST_ILL = 10
_MOST_PODS = 10
_MOST_EVENTS = 6
_MOST_CHANGES = 5
# 1,500 tokens at three bytes each.
OVERVIEW_BYTES = 4_200
_PAGE = 500
_NO_COUNTS = {"operations_running": None, "operations_failed": None}
_SYSTEM = ("kube-", "openshift-", "gke-", "gmp-", "cattle-", "calico-", "tigera-", "istio-system", "cert-manager")
_NOT_RUNNING = "status.phase!=Running,status.phase!=Succeeded"


async def overview(
    host: Host,
    cluster: Cluster,
    namespace: str | None,
    settings: RolloutSettings,
    *,
    contexts: Sequence[ContextInfo],
    since_s: int | None = None,
    output: Output = "text",
) -> Answer:
    """The answer of get_overview.

    Args:
        host: The server's settings and shared services.
        cluster: The cluster.
        namespace: Only this namespace. None: all of them, or the default one where not all may be listed.
        settings: How a rollout is judged.
        contexts: Those that a call can name.
        since_s: Only warnings, changes and failed operations of the last seconds. None: the newest ones.
        output: How it reads.

    Raises:
        Forbidden: Not even one namespace may be listed.
        NotFound: The namespace does not exist.
    """
    notes = [f"Warnings, changes and failed operations are those of the last {since_s} s."] if since_s else []
    found, namespace = await _what_may_be_listed(cluster, namespace, notes)
    present = {(one.namespace, one.application) for one in found}
    nodes, pods, events, firing, own_trouble, (under_way, counts) = await together(
        partial(_listed, cluster, "nodes", None, None),
        partial(_listed, cluster, "pods", namespace, _NOT_RUNNING),
        partial(_listed, cluster, "events", namespace, "type=Warning"),
        partial(lately.alerts, host, namespace),
        partial(lately.own_trouble, host),
        partial(lately.operations, host, cluster.context, namespace, since_s, present=present),
    )
    if not (found or pods or events) and (note := await require_namespace(cluster, namespace)):
        notes.append(note)
    now = datetime.now(UTC)
    earliest = now - timedelta(seconds=since_s) if since_s else None
    seen = await diagnose(cluster, found, settings.unschedulable_grace_s)
    unseen = _names_of_none({"nodes": nodes, "pods that do not run": pods, "warnings": events})
    page = _Overview(cluster, namespace, now, seen, nodes, pods or [], _warnings(events or [], earliest), unseen)
    recent = await lately.changes(host, cluster, page.own, namespace, _MOST_CHANGES, earliest=earliest)
    if output == "json":
        others = {"contexts": [one.name for one in contexts], "since_s": since_s, **counts}
        lines = _as_data(firing, recent, [*notes, *own_trouble])
        return json_answer("klepaas.overview/v1", {**page.facts(), **lines, **others})
    sections = [page.ill(), *firing, *under_way, page.waiting(), *recent, page.warnings()]
    return page.answer([contexts_line(contexts), *notes, *own_trouble], sections)


def _names_of_none(parts: Mapping[str, object]) -> list[str]:
    return [name for name, listed in parts.items() if listed is None]


async def _what_may_be_listed(
    cluster: Cluster, namespace: str | None, notes: list[str]
) -> tuple[list[Workload], str | None]:
    """The workloads, and the namespace that they are of: the default one, with a note, where not all may be listed."""
    try:
        return await workloads(cluster, namespace), namespace
    except Forbidden:
        if namespace is not None:
            raise
    own = cluster.default_namespace
    notes.append(f"These credentials may not list all namespaces; this is {own} alone.")
    return await workloads(cluster, own), own


def _warnings(events: Sequence[dict[str, Any]], earliest: datetime | None) -> list[Folded]:
    """The events, repeats folded, without those before a moment."""
    return [one for one in fold(events) if earliest is None or (one.last is not None and one.last >= earliest)]


def _as_data(firing: Sequence[Section], recent: Sequence[Section], notes: Sequence[str]) -> dict[str, Any]:
    """What others tell, as their lines."""
    return {
        **_NO_COUNTS,
        "alerts": [line for section in firing for line in section.lines],
        "changes": [line for section in recent for line in section.lines],
        "notes": list(notes),
    }


async def _listed(
    cluster: Cluster, kind: str, namespace: str | None, field_selector: str | None
) -> list[dict[str, Any]] | None:
    """A page of objects. None: they may not be listed."""

    async def read() -> list[dict[str, Any]] | None:
        resource = await cluster.resource(kind)
        return items(await cluster.list(resource, namespace, field_selector=field_selector, limit=_PAGE))

    return await if_allowed(read, None)


def _is_system(namespace: str) -> bool:
    return namespace.startswith(_SYSTEM)


@dataclass(frozen=True)
class _Overview:
    """One answer, put together from what was read."""

    cluster: Cluster
    namespace: str | None
    now: datetime
    found: Sequence[Diagnosis]
    nodes: Sequence[Object] | None
    pods: Sequence[Object]
    events: Sequence[Folded]
    unseen: Sequence[str] = ()

    @property
    def own(self) -> list[Workload]:
        """The workloads that are not the system's, or those of the namespace that was asked for."""
        return [one.workload for one in self.found if self.namespace or not _is_system(one.workload.namespace)]

    @property
    def verdict(self) -> Verdict:
        """What the numbers rest on."""
        parts = ("nodes", "pods that do not run", "warnings")
        return seen_verdict(
            self.found, seen=tuple(one for one in parts if one not in self.unseen), unseen=tuple(self.unseen)
        )

    def answer(self, lines: Sequence[str], sections: Sequence[Section]) -> Answer:
        """As text, within the budget: the head, further lines, what it rests on, and the sections."""
        basis = [self.verdict.basis()] if self.verdict.is_founded else []
        text = within([*self.head(), *lines, *basis], sections, OVERVIEW_BYTES)
        return Answer(fit(text, OVERVIEW_BYTES, "Name a namespace to see more of it"))

    def head(self) -> list[str]:
        """Where this is, the nodes, and the numbers."""
        where = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        own = self.own
        count = len({(item.namespace, item.application) for item in own})
        system = len(self.found) - len(own)
        extra = f" and {counted(system, 'system workload')}" if system else ""
        ill = sum(one.phase in ILL for one in self.found)
        state = self.verdict.count_unhealthy(ill)
        return [
            f"{self.cluster.context}, {where}: {counted(count, 'application')}{extra}, {state}.",
            *self._node_lines(),
        ]

    def _node_lines(self) -> list[str]:
        if self.nodes is None:
            return ["Nodes: these credentials may not list them."]
        broken = [node for node in self.nodes if condition(node, "Ready").get("status") != "True"]
        cordoned = [name_of(node) for node in self.nodes if at(node, "spec", "unschedulable")]
        text = f"Nodes: {len(self.nodes) - len(broken)} of {len(self.nodes)} ready"
        for node in broken[:5]:
            text += f"; {name_of(node)} is not: {message_line(condition(node, 'Ready').get('message'), 100)}"
        return [f"{text}; cordoned: {', '.join(cordoned[:5])}" if cordoned else text]

    def ill(self) -> Section:
        """The workloads that are not healthy, each with its cause in a few words."""
        found = [one for one in self.found if one.phase in ILL]
        lines = [
            f"{self._place(one.workload.namespace)}{one.workload.application}{_kind(one.workload)}: {one.words}; "
            f"{one.workload.ready} ready"
            for one in found[:_MOST_ILL]
        ]
        return Section(f"Not {term(Claim.HEALTHY)}", lines, "list_applications", len(found))

    def waiting(self) -> Section:
        """Pods that do not run and belong to no workload that was named above."""
        named = {(one.workload.namespace, one.workload.name) for one in self.found if one.phase in ILL}
        found = [pod for pod in self.pods if not any(_belongs(pod, *workload) for workload in named)]
        lines = []
        for pod in found[:_MOST_PODS]:
            cause = pod_cause(pod)
            words = cause.reason if cause else str(at(pod, "status", "phase"))
            age_text = age(at(pod, "metadata", "creationTimestamp"), self.now)
            lines.append(f"{self._place(namespace_of(pod))}{name_of(pod)}: {words}, {age_text} old")
        return Section("Other pods that do not run", lines, "k8s_get pods", len(found))

    def warnings(self) -> Section:
        """The newest warnings."""
        everywhere = self.namespace is None
        shown = self.events[:_MOST_EVENTS]
        lines = [item.line(self.now, with_namespace=everywhere, max_chars=120) for item in shown]
        return Section("Newest warnings", lines, "k8s_events", len(self.events))

    def facts(self) -> dict[str, Any]:
        """The numbers for a program."""
        ready = [node for node in self.nodes or () if condition(node, "Ready").get("status") == "True"]
        return {
            "context": self.cluster.context,
            "namespace": self.namespace,
            "applications": len({(one.workload.namespace, one.workload.application) for one in self.found}),
            "unhealthy": sum(one.phase in ILL for one in self.found),
            "nodes": len(self.nodes) if self.nodes is not None else None,
            "nodes_ready": len(ready) if self.nodes is not None else None,
            "not_healthy": facts_of([one for one in self.found if one.phase in ILL][:_MOST_ILL]),
            "other_pods": self.waiting().lines,
            "warnings": self.warnings().lines,
            **self.verdict.facts(),
        }

    def _place(self, namespace: str) -> str:
        return "" if self.namespace else f"{namespace}/"


def _kind(item: Workload) -> str:
    return "" if item.kind == "Deployment" and item.name == item.application else f" ({item.title})"


def _belongs(pod: Object, namespace: str, workload: str) -> bool:
    """Whether a pod's controller is this workload or one of its ReplicaSets, judged by the controller's name."""
    if namespace_of(pod) != namespace:
        return False
    owners = [str(owner.get("name")) for owner in at(pod, "metadata", "ownerReferences") or ()]
    return any(name == workload or name.rpartition("-")[0] == workload for name in owners)
