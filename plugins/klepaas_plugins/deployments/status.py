"""How one application is, in an answer that needs no second question.

State, cause with its evidence, the way to reach it, and the revisions that a rollback could name. It changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from klepaas.errors import KlepaasError, NotFound
from klepaas.host import Host
from klepaas.output import Answer, Output, json_answer, table
from klepaas.output.verdict import Claim
from klepaas.output.verdict import Verdict as Seen
from klepaas_plugins.deployments.ailing import ILL, diagnose, seen_verdict
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.causes import Cause, advice, pod_cause
from klepaas_plugins.deployments.evidence import Evidence, collect
from klepaas_plugins.deployments.last_change import last_change
from klepaas_plugins.deployments.listing import facts_of, rows_of
from klepaas_plugins.deployments.lookup import list_all
from klepaas_plugins.deployments.manifests import selects
from klepaas_plugins.deployments.objects import (
    REVISION,
    Object,
    age,
    annotation,
    at,
    condition,
    images,
    name_of,
    one_line,
)
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.resolve import resolve
from klepaas_plugins.deployments.revisions import history
from klepaas_plugins.deployments.rollout import Phase, Snapshot, Verdict, counts, decide, phase, with_waits
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.standing import Standing, standing
from klepaas_plugins.deployments.together import if_allowed, together
from klepaas_plugins.deployments.under_way import answer_first_deployment
from klepaas_plugins.deployments.verifying import evidence_names, observed_in, previous_revision, serving
from klepaas_plugins.deployments.watching import Target, look
from klepaas_plugins.kubernetes.client import Clusters

if TYPE_CHECKING:
    from klepaas.store.applications import Address

__all__ = ["status_of"]

_BEING = {
    Phase.STOPPED: "is scaled to 0",
    Phase.ROLLING_OUT: "is rolling out",
    Phase.DEGRADED: "is degraded",
    Phase.FAILED: "has failed",
}
_MOST_PODS = 8
_MOST_REVISIONS = 5
_MOST_EVENTS = 3
_POD_FACTS = ("name", "ready", "status", "restarts", "node", "age")


async def status_of(place: Place, settings: RolloutSettings, host: Host, output: Output = "text") -> Answer:
    """The answer of get_deployment_status.

    Args:
        place: The application.
        settings: How a rollout is judged.
        host: The server's settings and shared services.
        output: How it reads.

    Raises:
        NotFound: There is no such application.
    """
    try:
        place, found = await _found(place)
    except NotFound:
        answer = await answer_first_deployment(host, place, output)
        if answer is None:
            raise
        return answer
    if len(found) > 1:
        return await _several(place, found, settings, output)
    workload, grace_s = found[0], settings.unschedulable_grace_s
    snapshot, services, ingresses, stands, address = await together(
        partial(look, place.cluster, Target.of(workload.kind, workload.item), grace_s, workload.item),
        partial(_listed, place, "services"),
        partial(_listed, place, "ingresses.networking.k8s.io"),
        partial(standing, host, place),
        partial(_address, host, place),
    )
    now = datetime.now(UTC)
    status = _Status(place, with_waits(snapshot, now), now, services, ingresses, settings, stands, address)
    return await (status.json() if output == "json" else status.answer())


async def _found(place: Place) -> tuple[Place, list[Workload]]:
    """The workloads that the name means, which may be that of a pod."""
    try:
        return place, await resolve(place)
    except NotFound as exc:
        owner = await if_allowed(partial(_owner_of_pod, place), None)
        if owner is None:
            raise exc
    named = replace(place, app_name=owner)
    return named, await resolve(named)


async def _owner_of_pod(place: Place) -> str | None:
    """The workload that a pod of this name belongs to. None: there is no such pod, or it belongs to none."""
    kind, name = "pods", place.app_name
    for _ in range(2):  # a Deployment's pod belongs to its ReplicaSet
        try:
            item = await place.cluster.get(await place.cluster.resource(kind), name, place.namespace)
        except NotFound:
            return None
        owners = at(item, "metadata", "ownerReferences") or ()
        owner = next((one for one in owners if one.get("controller")), None)
        if owner is None:
            return None if kind == "pods" else name
        kind, name = f"{str(owner.get('kind')).lower()}s.apps", str(owner.get("name"))
        if kind != "replicasets.apps":
            return name
    return None


async def _address(host: Host, place: Place) -> "Address | None":
    """The address that a person gave for it. None: nobody did, or it is not known here."""
    from klepaas.store.applications import ApplicationKey, Applications

    identity = await Clusters.of(host).identity(place.cluster.context)
    try:
        return await Applications.of(host).address(ApplicationKey(identity, place.namespace, place.app_name))
    except KlepaasError:
        return None


async def _listed(place: Place, kind: str) -> list[dict[str, Any]]:
    """All objects of a kind in the namespace; none where they may not be read."""
    nothing: list[dict[str, Any]] = []
    return await if_allowed(partial(list_all, place.cluster, kind, place.namespace), nothing)


async def _several(place: Place, found: Sequence[Workload], settings: RolloutSettings, output: Output) -> Answer:
    seen = await diagnose(place.cluster, found, settings.unschedulable_grace_s)
    if output == "json":
        worst = {"state": seen[0].state, "workloads": facts_of(seen)}
        return json_answer("klepaas.status/v1", {**place.facts, **worst, **seen_verdict(seen).facts()})
    text = table(("APPLICATION", "WORKLOAD", "READY", "STATUS", "IMAGE", "AGE"), rows_of(seen, with_namespace=False))
    head = f"{place.text} has {len(found)} workloads; name one as app_name for its details."
    return Answer(f"{head}\n{text}\n{seen_verdict(seen).basis()}")


@dataclass(frozen=True)
class _Status:
    """One answer, put together from what was read."""

    place: Place
    snapshot: Snapshot
    now: datetime
    services: Sequence[Object]
    ingresses: Sequence[Object]
    settings: RolloutSettings
    standing: Standing
    address: "Address | None" = None

    async def answer(self) -> Answer:
        verdict, state = decide(self.snapshot), phase(self.snapshot)
        lines = [self._head(verdict, state)]
        if state in ILL:
            lines += await self._trouble(verdict)
        lines += [*self._endpoints(), *self._note(), *self._reconcilers()]
        lines += [*self.standing.lines, self._last_change(), *self._revisions()]
        lines.append(self._seen().basis())
        return Answer("\n".join(line for line in lines if line), operation_id=self.standing.facts.get("operation"))

    def _reconcilers(self) -> list[str]:
        """What writes the workload again by itself, so that a change made here may be reverted."""
        from klepaas_plugins.kubernetes.client import reconcilers_of

        names = [manager.text for manager in reconcilers_of(self.snapshot.workload)]
        shown = one_line(", ".join(names), 200)
        return [f"Reconciled by {shown}, which writes its own values again: change them there."] if names else []

    async def json(self) -> Answer:
        """The same as data."""
        verdict, state = decide(self.snapshot), phase(self.snapshot)
        evidence = await self._evidence(verdict.cause) if state in ILL and verdict.cause else None
        facts = {
            **self._facts(verdict, state),
            "cause": _cause_facts(evidence, self.now) if evidence else None,
            "pods": [dict(zip(_POD_FACTS, _pod_row(pod, self.now), strict=True)) for pod in self._ordered_pods()],
            "serving": serving(self.snapshot),
            "endpoints": self._addresses(),
            "note": next(iter(self._note()), None),
            **self.standing.facts,
            **self._seen().facts(),
        }
        return json_answer("klepaas.status/v1", facts, operation_id=self.standing.facts.get("operation"))

    def _seen(self) -> Seen:
        """What the state rests on."""
        observed = (*observed_in(self.snapshot), "Services and Ingresses")
        not_checked = ("requests from outside the cluster", *self.standing.not_checked)
        return Seen(observed=observed, not_checked=not_checked, at=self.now.timestamp())

    def _head(self, verdict: Verdict, state: Phase) -> str:
        workload = self.snapshot.workload
        numbers = counts(self.snapshot.kind, workload)
        revision = annotation(workload, REVISION)
        ready = f"{numbers.ready} of {numbers.desired} pods ready"
        if self.snapshot.kind == "Deployment" and not verdict.done and numbers.updated < numbers.total:
            ready += f" ({verdict.recent} of the newest revision)"
        being = _BEING.get(state) or f"is {self._seen().render(Claim.HEALTHY)}"
        parts = [ready, *([f"revision {revision}"] if revision else []), f"image {', '.join(images(workload))}"]
        kind = "" if self.snapshot.subject == f"deployment {self.place.app_name}" else f" ({self.snapshot.subject})"
        return f"{self.place.text}{kind} {being}: {', '.join(parts)}."

    async def _trouble(self, verdict: Verdict) -> list[str]:
        cause = verdict.cause
        if cause is None:
            return [self._pods(), serving(self.snapshot)]
        evidence = await self._evidence(cause)
        message = f": {evidence.cause.message}" if evidence.cause.message else ""
        lines = [f"Cause: {cause.text}{message}", *evidence.lines(self.now, most_events=3), self._pods()]
        lines.append(serving(self.snapshot))
        hint, previous = advice(cause), previous_revision(self.snapshot)
        back = f"go back with {self.place.call('rollback_deployment', revision=previous.number)}" if previous else ""
        if verdict.failed:
            lines.append("Next: " + ", or ".join(part for part in (hint, back) if part) if hint or back else "")
        return lines

    async def _evidence(self, cause: Cause) -> Evidence:
        names = evidence_names(self.snapshot, cause)
        return await collect(self.place.cluster, self.place.namespace, cause, names, self.settings.log_lines)

    def _ordered_pods(self) -> list[Object]:
        return sorted(self.snapshot.pods, key=lambda pod: (_ready(pod), name_of(pod)))[:_MOST_PODS]

    def _pods(self) -> str:
        pods = self.snapshot.pods
        rows = [_pod_row(pod, self.now) for pod in self._ordered_pods()]
        if not rows:
            return ""
        more = f"\nand {len(pods) - _MOST_PODS} more pods" if len(pods) > _MOST_PODS else ""
        return table(["POD", "READY", "STATUS", "RESTARTS", "NODE", "AGE"], rows) + more

    def _endpoints(self) -> list[str]:
        found = self._addresses()
        return [f"Endpoint: {'; '.join(found)}"] if found else []

    def _addresses(self) -> list[str]:
        pod_labels = at(self.snapshot.workload, "spec", "template", "metadata", "labels") or {}
        fronts = [item for item in self.services if selects(item, pod_labels)]
        names = {name_of(item) for item in fronts}
        found = [_service_words(item) for item in fronts]
        found += [f"http{_tls(item)}://{host}" for item in self.ingresses for host in _hosts(item, names)]
        return list(dict.fromkeys(found))

    def _note(self) -> list[str]:
        """The address that a person gave; nothing here has looked whether it leads to the application."""
        if self.address is None:
            return []
        since = age(datetime.fromtimestamp(self.address.updated_at, UTC), self.now)
        who = self.address.updated_by or "somebody"
        return [f"Note: {who} gave the address {self.address.url} {since} ago; not checked."]

    def _last_change(self) -> str:
        change = last_change(self.snapshot.workload, self.standing.newest)
        went_back = self.standing.went_back if change.is_recorded else None
        return f"Last change: {change.line(self.now, went_back)}"

    def _revisions(self) -> list[str]:
        if self.snapshot.kind != "Deployment":
            return []
        earlier = [item for item in history(self.snapshot.workload, self.snapshot.replicasets) if not item.is_current]
        lines = [f"  {item.line(self.now)}" for item in earlier[:_MOST_REVISIONS]]
        more = f" (the newest {_MOST_REVISIONS} of {len(earlier)})" if len(earlier) > _MOST_REVISIONS else ""
        return [f"Earlier revisions{more}:", *lines] if lines else []

    def _facts(self, verdict: Verdict, state: Phase) -> dict[str, Any]:
        previous, revision = previous_revision(self.snapshot), annotation(self.snapshot.workload, REVISION)
        return {
            **self.place.facts,
            "workload": self.snapshot.subject,
            "state": state.words(self._seen()),
            "ready": verdict.counts.ready,
            "replicas": verdict.counts.desired,
            "images": images(self.snapshot.workload),
            "revision": int(revision) if revision else None,
            "previous_revision": previous.number if previous else None,
        }


def _cause_facts(evidence: Evidence, now: datetime) -> dict[str, Any]:
    cause = evidence.cause
    return {
        "text": cause.text,
        "object": cause.subject,
        "container": cause.container,
        "reason": cause.reason,
        "message": cause.message or None,
        "exit_code": cause.exit_code,
        "restarts": cause.restarts,
        "log": list(evidence.log),
        "events": [event.line(now) for event in evidence.events[:_MOST_EVENTS]],
        "advice": advice(cause) or None,
    }


def _ready(pod: Object) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def _pod_row(pod: Object, now: datetime) -> list[str]:
    statuses = at(pod, "status", "containerStatuses") or ()
    containers = at(pod, "spec", "containers") or ()
    cause = pod_cause(pod)
    leaving = at(pod, "metadata", "deletionTimestamp")
    words = "Terminating" if leaving else cause.reason if cause else str(at(pod, "status", "phase") or "")
    return [
        name_of(pod),
        f"{sum(bool(status.get('ready')) for status in statuses)}/{len(containers)}",
        words,
        str(sum(int(status.get("restartCount") or 0) for status in statuses)),
        str(at(pod, "spec", "nodeName") or ""),
        age(at(pod, "metadata", "creationTimestamp"), now),
    ]


def _service_words(item: Object) -> str:
    kind = str(at(item, "spec", "type") or "ClusterIP")
    ports = ", ".join(str(port.get("port")) for port in at(item, "spec", "ports") or ())
    outside = [
        str(found.get("ip") or found.get("hostname")) for found in at(item, "status", "loadBalancer", "ingress") or ()
    ]
    address = f"{name_of(item)}.{at(item, 'metadata', 'namespace')}.svc:{ports}"
    return f"{address} ({kind}{', outside ' + ', '.join(outside) if outside else ''})"


def _hosts(ingress: Object, services: set[str]) -> list[str]:
    """The hosts whose traffic an Ingress sends to one of these Services."""
    found = []
    for rule in at(ingress, "spec", "rules") or ():
        for path in at(rule, "http", "paths") or ():
            if at(path, "backend", "service", "name") in services:
                found.append(f"{rule.get('host') or '*'}{path.get('path') or '/'}")
    return found


def _tls(ingress: Object) -> str:
    return "s" if at(ingress, "spec", "tls") else ""
