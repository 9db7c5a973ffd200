"""Events as the cluster's components report them, counted up instead of repeated."""

from __future__ import annotations

import time

from .model import Json, micro_timestamp, new_uid, timestamp
from .objects import Objects
from .resources import EVENTS, Resource

_SCHEDULER = "default-scheduler"
_EVENTS_PER_NAMESPACE = 2000


class Recorder:
    """Writes events and remembers them, so that the same event again only counts up."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: dict[tuple[str, str, str, str], str] = {}

    def emit(
        self, resource: Resource, obj: Json, kind: str, reason: str, message: str, source: str, *,
        host: str = "", field_path: str = "", count: int = 0, at_s: float | None = None,
    ) -> None:  # fmt: skip
        """Report an event about an object.

        `kind` is Normal or Warning; `count` how often it has happened, 0 for once more than known; `at_s` the Unix time
        of its latest occurrence, None for now.
        """
        meta = obj["metadata"]
        namespace = meta.get("namespace", "default")
        moment_s = time.time() if at_s is None else at_s
        key = meta["uid"], reason, message, field_path
        known = self._objects.store.get(EVENTS, namespace, self._known.get(key, ""))
        if known:
            counted = count or known.get("count", 1) + 1
            if counted != known.get("count"):
                changed = {**known, "count": counted, "lastTimestamp": timestamp(moment_s)}
                self._objects.store.put(EVENTS, changed)
            return
        event = _event(resource, obj, namespace, kind, reason, message, source, host, field_path, moment_s)
        if source != _SCHEDULER and count:
            event["count"] = count
        self._known[key] = self._objects.store.put(EVENTS, event)["metadata"]["name"]
        self._forget(namespace)

    def _forget(self, namespace: str) -> None:
        """Drop the oldest events, so that memory stays bounded."""
        if len(self._known) % 100:
            return
        events = self._objects.store.list(EVENTS, namespace)
        events.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        for event in events[:-_EVENTS_PER_NAMESPACE]:
            self._objects.store.remove(EVENTS, event)
        if len(self._known) > 4 * _EVENTS_PER_NAMESPACE:
            self._known = dict(list(self._known.items())[-2 * _EVENTS_PER_NAMESPACE :])


def _event(
    resource: Resource, obj: Json, namespace: str, kind: str, reason: str, message: str, source: str, host: str,
    field_path: str, moment_s: float,
) -> Json:  # fmt: skip
    meta = obj["metadata"]
    involved = {
        "kind": resource.kind, "namespace": namespace, "name": meta["name"], "uid": meta["uid"],
        "apiVersion": resource.api_version, "resourceVersion": meta["resourceVersion"],
    }  # fmt: skip
    if field_path:
        involved["fieldPath"] = field_path
    name = f"{meta['name']}.{int(moment_s * 1e9):x}{new_uid()[:2]}"
    event: Json = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": namespace, "uid": new_uid(), "creationTimestamp": timestamp(moment_s),
        },
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": kind,
        "reportingComponent": source,
    }  # fmt: skip
    if source == _SCHEDULER:
        action = "Binding" if reason == "Scheduled" else "Scheduling"
        return event | {
            "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": micro_timestamp(moment_s),
            "action": action, "reportingInstance": f"{_SCHEDULER}-sandbox",
        }  # fmt: skip
    return event | {
        "source": {"component": source, **({"host": host} if host else {})},
        "firstTimestamp": timestamp(moment_s), "lastTimestamp": timestamp(moment_s), "count": 1, "eventTime": None,
        "reportingInstance": host,
    }  # fmt: skip
