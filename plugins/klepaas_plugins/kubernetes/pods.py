"""Reading a pod's status: how each container is, in words, and which pod or container is in the worst state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas_plugins.kubernetes.masking.messages import message_line
from klepaas_plugins.kubernetes.wording import age

__all__ = ["Container", "containers", "pod_state", "preferred", "worst_first"]

_STARTING = frozenset({"ContainerCreating", "PodInitializing", ""})
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True)
class Container:
    """A container of a pod.

    Attributes:
        name: Its name.
        state: How it is, in words.
        badness: 0 healthy, more is worse.
        has_log: Whether some run of it has begun.
        has_previous: Whether a run before the present one is known.
        is_regular: Whether it is neither an init nor an ephemeral container.
    """

    name: str
    state: str
    badness: int
    has_log: bool
    has_previous: bool
    is_regular: bool


def containers(pod: Mapping[str, Any]) -> list[Container]:
    """The containers of a pod, regular ones first."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    found: list[Container] = []
    for section, statuses in (
        ("containers", "containerStatuses"),
        ("initContainers", "initContainerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        known = {item.get("name"): item for item in status.get(statuses) or ()}
        for item in spec.get(section) or ():
            found.append(_container(str(item.get("name")), known.get(item.get("name")) or {}, section == "containers"))
    return found


def _container(name: str, status: Mapping[str, Any], regular: bool) -> Container:
    state = status.get("state") or {}
    ended = (status.get("lastState") or {}).get("terminated")
    words, badness = _present(state, status, regular)
    restarts = int(status.get("restartCount") or 0)
    if restarts:
        words += f", {restarts} restart{'s' if restarts > 1 else ''}"
    if ended:
        words += f", the run before ended {age(ended.get('finishedAt'))} ago with {_end(ended)}"
        badness = max(badness, 1)
    begun = "running" in state or "terminated" in state or bool(ended)
    return Container(name, words, badness, begun, bool(ended), regular)


def _present(state: Mapping[str, Any], status: Mapping[str, Any], regular: bool) -> tuple[str, int]:
    """How a container is now, in words, and how bad that is."""
    if "running" in state:
        since = age((state["running"] or {}).get("startedAt"))
        if regular and not status.get("ready", True):
            return f"running for {since}, not ready", 2
        return f"running for {since}", 0
    if "terminated" in state:
        ended = state["terminated"] or {}
        bad = ended.get("exitCode") not in (0, None)
        return f"ended {age(ended.get('finishedAt'))} ago with {_end(ended)}", 4 if bad else 0
    waiting = state.get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    message = message_line(waiting.get("message"))
    return f"waiting: {reason or 'not started'}{f' ({message})' if message else ''}", 1 if reason in _STARTING else 5


def _end(ended: Mapping[str, Any]) -> str:
    reason = ended.get("reason")
    code = f"exit code {ended.get('exitCode')}"
    message = message_line(ended.get("message"), 200)
    return f"{code}{f' ({reason})' if reason else ''}{f': {message}' if message else ''}"


def pod_state(pod: Mapping[str, Any]) -> str:
    """How a pod is, in a few words: what its worst container says, or why it is not scheduled."""
    status = pod.get("status") or {}
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "Terminating"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            why = message_line(condition.get("message")) or condition.get("reason")
            return f"not scheduled: {why or 'no reason given'}"
    if status.get("reason"):
        return f"{status.get('phase')}: {status['reason']} {message_line(status.get('message'))}".strip()
    return str(status.get("phase") or "Unknown")


def _badness(pod: Mapping[str, Any]) -> int:
    deleting = bool((pod.get("metadata") or {}).get("deletionTimestamp"))
    worst = max((container.badness for container in containers(pod)), default=0)
    return -1 if deleting else worst


def worst_first(pods: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The pods, the least healthy first; of equals the newest."""

    def created(pod: Mapping[str, Any]) -> str:
        return str((pod.get("metadata") or {}).get("creationTimestamp") or "")

    newest_first = sorted(pods, key=created, reverse=True)
    return sorted(newest_first, key=_badness, reverse=True)


def preferred(pod: Mapping[str, Any]) -> Container | None:
    """The container whose log is most likely wanted: one that fails, else the annotated one, else the first."""
    found = containers(pod)
    if not found:
        return None
    worst = max(found, key=lambda container: container.badness)
    if worst.badness > 1:
        return worst
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    annotated = [container for container in found if container.name == annotations.get(DEFAULT_CONTAINER)]
    return annotated[0] if annotated else found[0]
