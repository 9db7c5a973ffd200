"""What a cluster can tell when an alert fires: the pods that its labels name, their last log lines, their events.

It finds no causes and knows no rollouts: the deployments plugin does.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from klepaas import names
from klepaas.errors import KlepaasError
from klepaas.evidence import AlertSubject
from klepaas.output.safe import shorten
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client import Cluster, Clusters, last_log_lines
from klepaas_plugins.kubernetes.masking.messages import message_line
from klepaas_plugins.kubernetes.podchoice import choose

__all__ = ["pods_of"]

_WORKLOADS = ("deployment", "statefulset", "daemonset")
_PODS, _LINES, _EVENTS = 3, 40, 8
_LINE_CHARS = 300


async def pods_of(clusters: Clusters, alert: AlertSubject) -> str | None:
    """The pods that an alert names. None: it names none.

    Args:
        clusters: The clusters there are.
        alert: The alert.

    Raises:
        KlepaasError: They cannot be read.
    """
    namespace, wanted = alert.named("namespace", names.NAMESPACE), _wanted(alert)
    if namespace is None or wanted is None:
        return None
    cluster = await clusters.cluster(alert.context)
    pods = (await choose(cluster, namespace, wanted)).pods[:_PODS]
    return await _told(cluster, namespace, pods, alert.named("container", names.CONTAINER))


def _wanted(alert: AlertSubject) -> str | None:
    pod = alert.named("pod", names.OBJECT)
    if pod is not None:
        return f"pod/{pod}"
    for kind in _WORKLOADS:
        name = alert.named(kind, names.OBJECT)
        if name is not None:
            return f"{kind}/{name}"
    return None


async def _told(cluster: Cluster, namespace: str, pods: Sequence[Mapping[str, Any]], container: str | None) -> str:
    parts: dict[int, list[str]] = {}

    async def tell(position: int, pod: Mapping[str, Any]) -> None:
        parts[position] = await _pod(cluster, namespace, pod, container)

    await gather(*[partial(tell, position, pod) for position, pod in enumerate(pods)])
    return "\n".join(line for position in sorted(parts) for line in parts[position]) or "It has no pods."


async def _pod(cluster: Cluster, namespace: str, pod: Mapping[str, Any], container: str | None) -> list[str]:
    name = str(pod["metadata"]["name"])
    status = pod.get("status") or {}
    lines = [f"Pod {name} in {namespace}: {status.get('phase', 'unknown')}"]
    states = [one for one in status.get("containerStatuses") or [] if container in (None, one.get("name"))]
    lines += [_container(one) for one in states]
    lines += await _events(cluster, namespace, name)
    for one in states[:_PODS]:
        lines += await _log(cluster, namespace, name, one)
    return lines


def _container(status: Mapping[str, Any]) -> str:
    kind, detail = next(iter((status.get("state") or {"unknown": {}}).items()))
    last = (status.get("lastState") or {}).get("terminated") or {}
    said = [f"  container {status.get('name')}: {kind}"]
    said += [f"reason {detail['reason']}"] if isinstance(detail, dict) and detail.get("reason") else []
    said += [f"{status.get('restartCount', 0)} restarts"]
    said += [f"ended before with {last.get('exitCode')} ({last.get('reason', 'no reason')})"] if last else []
    return ", ".join(said)


async def _events(cluster: Cluster, namespace: str, pod: str) -> list[str]:
    try:
        selector = f"involvedObject.name={pod}"
        listed = await cluster.list(await cluster.resource("events"), namespace, field_selector=selector, limit=100)
    except KlepaasError as exc:
        return [f"  events: {exc.line}"]
    found = sorted(listed.get("items") or [], key=lambda event: _when(event), reverse=True)[:_EVENTS]
    return [
        f"  event {_when(one) or 'at an unknown time'} {one.get('type')} {one.get('reason')}: "
        + message_line(one.get("message"), _LINE_CHARS)
        for one in found
    ]


def _when(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


async def _log(cluster: Cluster, namespace: str, pod: str, status: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    runs = [(False, "last log lines")]
    if status.get("restartCount"):
        runs.append((True, "last log lines of the run before"))
    for previous, title in runs:
        try:
            name = str(status.get("name"))
            found = await last_log_lines(cluster, pod, namespace, name, lines=_LINES, previous=previous)
        except KlepaasError:
            continue
        if found:
            at = datetime.now(UTC).strftime("%H:%M:%S")
            lines.append(f"  container {status.get('name')}, {title} at {at} UTC:")
            lines += [f"    {shorten(line, _LINE_CHARS)}" for line in found]
    return lines
