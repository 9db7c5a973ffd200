"""The log subresource of pods: planted text where there is some, else what the image's behaviour writes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

from .fates import life_of
from .floods import log
from .model import Json, micro_timestamp, seconds_of
from .objects import Objects
from .pod_behaviour import log_lines
from .references import environments
from .resources import CONFIG_MAPS, PODS, SECRETS
from .status import bad_request, integer, not_found


class Logs:
    """Planted logs, and the answers to log requests."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._planted: dict[tuple[str, str], str] = {}
        self._floods: dict[tuple[str, str], int] = {}

    def plant(self, namespace: str, pod_or_prefix: str, text: str) -> None:
        """Make every pod of this name, or whose name begins so, answer with a text."""
        self._planted[namespace, pod_or_prefix] = text

    def flood(self, namespace: str, pod_or_prefix: str, size_bytes: int) -> None:
        """Make every pod of this name, or whose name begins so, answer with a log of a size."""
        self._floods[namespace, pod_or_prefix] = size_bytes

    def flooded(self, namespace: str, name: str, query: Mapping[str, str]) -> AsyncIterator[bytes] | None:
        """A log that is made while it is sent; None for a pod without one.

        Raises:
            ApiError: 404 for no such pod.
        """
        found = [key for key in self._floods if key[0] == namespace and name.startswith(key[1])]
        if not found:
            return None
        if self._objects.store.get(PODS, namespace, name) is None:
            raise not_found(PODS, name)
        return log(self._floods[max(found, key=lambda key: len(key[1]))], query)

    def read(self, namespace: str, name: str, query: Mapping[str, str]) -> str:
        """What a log request answers.

        Raises:
            ApiError: 404 for no such pod, 400 for no such container or one that has not started.
        """
        pod = self._objects.store.get(PODS, namespace, name)
        if pod is None:
            raise not_found(PODS, name)
        container = _container(pod, query.get("container", ""))
        previous = query.get("previous") in ("true", "1")
        started_s = _started_s(pod, container["name"], previous=previous)
        now_s = time.time()
        lines = self._lines(pod, container, started_s, now_s)
        return log_text(lines, query, now_s)

    def _lines(self, pod: Json, container: Json, started_s: float, now_s: float) -> list[tuple[float, str]]:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        found = [key for key in self._planted if key[0] == namespace and name.startswith(key[1])]
        if found:
            text = self._planted[max(found, key=lambda key: len(key[1]))]
            return [(started_s, line) for line in text.splitlines()]
        kinds = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}
        known = environments(pod["spec"], lambda kind, of: self._objects.store.get(kinds[kind], namespace, of))
        life = life_of(pod["spec"], container, known[container["name"]], pod.get("status", {}).get("podIP", ""))
        return log_lines(container, started_s, now_s, life)


def log_text(lines: list[tuple[float, str]], query: Mapping[str, str], now_s: float) -> str:
    """The part of a log that a request's query asks for.

    Raises:
        ApiError: 400 for what is no number or time.
    """
    if "sinceSeconds" in query:
        lines = [line for line in lines if line[0] >= now_s - integer(query["sinceSeconds"])]
    if "sinceTime" in query:
        since_s = _since_s(query["sinceTime"])
        lines = [line for line in lines if line[0] >= since_s]
    if "tailLines" in query:
        count = max(integer(query["tailLines"]), 0)
        lines = lines[max(len(lines) - count, 0) :]
    stamped = query.get("timestamps") in ("true", "1")
    text = "".join(f"{micro_timestamp(at_s)} {line}\n" if stamped else f"{line}\n" for at_s, line in lines)
    if "limitBytes" in query:
        return text.encode()[: max(integer(query["limitBytes"]), 0)].decode(errors="ignore")
    return text


def _since_s(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}"') from error


def _container(pod: Json, wanted: str) -> Json:
    name = pod["metadata"]["name"]
    containers = [*pod["spec"].get("containers", []), *pod["spec"].get("initContainers", [])]
    if not wanted:
        if len(pod["spec"]["containers"]) > 1:
            choices = " ".join(container["name"] for container in pod["spec"]["containers"])
            raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
        return dict(containers[0])
    for container in containers:
        if container["name"] == wanted:
            return dict(container)
    raise bad_request(f"container {wanted} is not valid for pod {name}")


def _started_s(pod: Json, container: str, *, previous: bool) -> float:
    """When the asked-for run of a container began.

    Raises:
        ApiError: 400 when there was none.
    """
    name = pod["metadata"]["name"]
    held = pod.get("status", {})
    statuses = [*(held.get("initContainerStatuses") or ()), *(held.get("containerStatuses") or ())]
    status = next((one for one in statuses if one["name"] == container), None)
    ended = (status or {}).get("lastState", {}).get("terminated")
    if previous:
        if not ended:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return seconds_of(ended["startedAt"])
    state = (status or {}).get("state", {})
    run = state.get("running") or state.get("terminated") or ended
    if run:
        return seconds_of(run["startedAt"])
    reason = state.get("waiting", {}).get("reason", "")
    if reason in ("ContainerCreating", "PodInitializing") or not status:
        if not status and not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {name} does not have a host assigned")
        raise bad_request(
            f'container "{container}" in pod "{name}" is waiting to start: {reason or "ContainerCreating"}'
        )
    why = "trying and failing to pull image" if reason in ("ErrImagePull", "ImagePullBackOff") else reason
    raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')
