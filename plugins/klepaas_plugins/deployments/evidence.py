"""What backs up a cause: the last lines of the container's log and the newest warning events.

It reads from the cluster under a short limit of its own: evidence that cannot be had must not hide the cause.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import anyio

from klepaas.errors import KlepaasError
from klepaas.output.safe import shorten
from klepaas_plugins.deployments.causes import Cause
from klepaas_plugins.deployments.objects import Object, age, at, items, message_line, newest, one_line, when
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import Cluster, last_log_lines

__all__ = ["Evidence", "Folded", "collect", "fold", "warnings_of"]

_LIMIT_S = 5.0
_LINE_CHARS = 200
_KILLING = ("Liveness probe failed", "Startup probe failed")
# A kubelet names a pod as name_namespace(uid); the name is in the event already.
_POD_UID = re.compile(r"(?: in)? ?(?:pod[= ])?(?<![^\s=])[^\s=_]++_[^\s=(]++\([0-9a-f-]{36}\)")


@dataclass(frozen=True)
class Folded:
    """Warning events that say the same of the same object.

    Attributes:
        subject: The object: "Pod web-1".
        namespace: Its namespace.
        reason: The event's reason.
        message: What the newest of them says.
        count: How often it was seen.
        last: When it was seen last. None: unknown.
    """

    subject: str
    namespace: str
    reason: str
    message: str
    count: int
    last: datetime | None

    def line(self, now: datetime, *, with_namespace: bool = False, max_chars: int = 240) -> str:
        """The events on one line."""
        times = f" x{self.count}" if self.count > 1 else ""
        place = f" in {self.namespace}" if with_namespace else ""
        message = one_line(self.message, max_chars)
        return f"{self.reason}{times} ({age(self.last, now)} ago, {self.subject}{place}): {message}"

    def repeats(self, cause: Cause) -> bool:
        """Whether the events say no more than the cause does."""
        if self.reason == "BackOff" and cause.exit_code is not None:
            return True
        return bool(cause.message) and self.message[-60:] == cause.message[-60:]


@dataclass(frozen=True)
class Evidence:
    """What was found.

    Attributes:
        cause: What it backs up; with the probe's own words where the cause is that it is not ready.
        log: The last log lines.
        events: Warnings about the objects concerned, the most telling first.
    """

    cause: Cause
    log: Sequence[str] = ()
    events: Sequence[Folded] = ()

    @property
    def _telling(self) -> list[Folded]:
        return [event for event in self.events if not event.repeats(self.cause)]

    def lines(self, now: datetime, most_events: int = 1) -> list[str]:
        """The evidence for an answer."""
        found = [f"Event: {event.line(now)}" for event in self._telling[:most_events]]
        return [*found, "Last log lines:", *(f"  {line}" for line in self.log)] if self.log else found


def fold(events: Iterable[Object]) -> list[Folded]:
    """Warning events, those that say the same folded into one, newest first."""
    found: dict[tuple[str, str, str, str], Folded] = {}
    for event in events:
        if event.get("type") != "Warning":
            continue
        one = _read(event)
        # What the readiness probe met must not hide what the liveness probe killed the container for.
        probe = one.message.partition(":")[0] if one.reason == "Unhealthy" else ""
        key = one.namespace, one.subject, one.reason, probe
        found[key] = _merged(found[key], one) if key in found else one
    return sorted(found.values(), key=lambda item: item.last.timestamp() if item.last else 0.0, reverse=True)


def _read(event: Object) -> Folded:
    about = event.get("involvedObject") or {}
    last = newest(
        when(moment)
        for moment in (at(event, "series", "lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    )
    return Folded(
        subject=f"{about.get('kind', '')} {about.get('name', '')}",
        namespace=str(about.get("namespace") or ""),
        reason=str(event.get("reason") or ""),
        message=_POD_UID.sub("", message_line(event.get("message"), 1000)),
        count=int(at(event, "series", "count") or event.get("count") or 1),
        last=last or when(at(event, "metadata", "creationTimestamp")),
    )


def _merged(one: Folded, other: Folded) -> Folded:
    later = max(one, other, key=lambda item: item.last.timestamp() if item.last else 0.0)
    return Folded(later.subject, later.namespace, later.reason, later.message, one.count + other.count, later.last)


async def warnings_of(cluster: Cluster, namespace: str, names: Iterable[str]) -> list[Folded]:
    """The warnings about the objects of these names, newest first; empty where events may not be read."""
    resource = await cluster.resource("events")
    found: list[Object] = []

    async def read(name: str) -> None:
        listed = await cluster.list(resource, namespace, field_selector=f"involvedObject.name={name}", limit=100)
        found.extend(items(listed))

    try:
        await together(*((lambda name=name: read(name)) for name in dict.fromkeys(names)))
    except KlepaasError:
        return fold(found)
    return fold(found)


async def collect(cluster: Cluster, namespace: str, cause: Cause, names: Sequence[str], log_lines: int) -> Evidence:
    """The evidence for a cause.

    Args:
        cluster: The cluster.
        namespace: The namespace.
        cause: The cause.
        names: Objects whose warnings count, the most telling first.
        log_lines: How many log lines at most.
    """
    log: list[str] = []
    events: list[Folded] = []

    async def read_log() -> None:
        log.extend(await _log(cluster, namespace, cause, log_lines))

    async def read_events() -> None:
        events.extend(await warnings_of(cluster, namespace, names))

    with anyio.move_on_after(_LIMIT_S):
        await together(read_log, read_events)
    # An autoscaler often has the workload's name, and its own troubles.
    events = [event for event in events if not event.subject.startswith("HorizontalPodAutoscaler ")]
    events.sort(key=lambda event: _rank(event, names))
    return Evidence(_in_the_probes_words(cause, events), log, events)


def _in_the_probes_words(cause: Cause, events: Sequence[Folded]) -> Cause:
    """That something is not ready, or was killed, says little; what its probe met says why."""
    met = [event.message for event in events if event.reason == "Unhealthy" and event.subject == f"Pod {cause.pod}"]
    killing = [message for message in met if message.startswith(_KILLING)]
    if cause.exit_code is not None and killing and cause.reason != "OOMKilled":
        return replace(cause, message=killing[0])
    if cause.message or cause.exit_code is not None or not met:
        return cause
    return replace(cause, message=met[0])


def _rank(event: Folded, names: Sequence[str]) -> int:
    name = event.subject.partition(" ")[2]
    return list(names).index(name) if name in names else len(names)


async def _log(cluster: Cluster, namespace: str, cause: Cause, lines: int) -> list[str]:
    """The container's last words; the failed run's where it runs again. Empty where there are none to have."""
    if cause.pod is None or cause.container is None or not lines or not _has_run(cause):
        return []
    for previous in (cause.runs_again, not cause.runs_again):
        if previous and not cause.restarts:
            continue
        try:
            found = await last_log_lines(cluster, cause.pod, namespace, cause.container, lines=lines, previous=previous)
        except KlepaasError:
            continue
        if found:
            return [shorten(line, _LINE_CHARS) for line in found]
    return []


def _has_run(cause: Cause) -> bool:
    return cause.exit_code is not None or cause.reason in ("not ready", "never became ready")
