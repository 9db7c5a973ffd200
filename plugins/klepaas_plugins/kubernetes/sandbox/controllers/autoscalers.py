"""HorizontalPodAutoscalers: without metrics they say so, with metrics they scale by resource utilization or value.

Only resource metrics are looked at; behaviour, stabilization windows and other kinds of metrics are not done. As in a
cluster, an autoscaler looks once a period (`Timing.autoscaler_s`), for the first time a period after it was made.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.metrics import Metrics
from klepaas_plugins.kubernetes.sandbox.model import Json, timestamp
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, Objects, Write
from klepaas_plugins.kubernetes.sandbox.pods import is_ready
from klepaas_plugins.kubernetes.sandbox.quantities import quantity, quantity_text
from klepaas_plugins.kubernetes.sandbox.resources import AUTOSCALERS, PODS, Resource
from klepaas_plugins.kubernetes.sandbox.scales import rescale, scale_of
from klepaas_plugins.kubernetes.sandbox.selectors import selector_match
from klepaas_plugins.kubernetes.sandbox.status import ApiError
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, set_condition

_SOURCE = "horizontal-pod-autoscaler"
_TOLERANCE = 0.1
_NO_METRICS = (
    "failed to get {0} utilization: unable to get metrics for resource {0}: unable to fetch metrics from resource "
    "metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
)


class AutoscalerController(Base):
    """Looks at autoscalers and sets the replicas of what they point to."""

    def __init__(self, objects: Objects, recorder: Recorder, metrics: Metrics) -> None:
        super().__init__(objects, recorder)
        self._metrics = metrics
        self._due_s: dict[Key, float] = {}

    def concerns(self, change: Change) -> Iterable[Key]:
        """Autoscalers."""
        if change.resource is not AUTOSCALERS or change.type == "DELETED":
            return ()
        return [key_of(change.object)]

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Look once, when it is time to."""
        found = self.store.get(AUTOSCALERS, namespace, name)
        if found is None:
            self._due_s.pop((namespace, name), None)
            return None
        again_s = time.time() + self.timing.autoscaler_s
        due_s = self._due_s.setdefault((namespace, name), again_s)
        if time.time() < due_s:
            return due_s
        self._due_s[namespace, name] = again_s
        reference = found["spec"].get("scaleTargetRef") or {}
        resource = self.objects.registry.of_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
        try:
            if resource is None or "scale" not in resource.subresources:
                raise ApiError(404, f'no matches for kind "{reference.get("kind")}" in group ""')
            target = self.objects.get(resource, namespace, reference.get("name", ""))
        except ApiError as error:
            said = f"the HPA controller was unable to get the target's current scale: {error}"
            self._report(found, {}, [("AbleToScale", False, "FailedGetScale", said)])
            self._event(found, "Warning", "FailedGetScale", str(error))
            return again_s
        if self._is_settled_without_metrics(found, resource, target):
            return again_s
        if self._metrics.served:
            self._scale(found, resource, target)
        else:
            self._without_metrics(found, target)
        return again_s

    def _is_settled_without_metrics(self, found: Json, resource: Resource, target: Json) -> bool:
        """Leave a target of zero replicas alone, and bring one that is out of bounds back; False for any other."""
        spec, now = found["spec"], int(target["spec"].get("replicas", 0))
        if not now:
            able = "the HPA controller was able to get the target's current scale"
            disabled = "scaling is disabled since the replica count of the target is zero"
            conditions = [
                ("AbleToScale", True, "SucceededGetScale", able), ("ScalingActive", False, "ScalingDisabled", disabled),
            ]  # fmt: skip
            self._report(found, {}, conditions)
            return True
        bounded = min(max(now, spec.get("minReplicas", 1)), spec["maxReplicas"])
        if bounded == now:
            return False
        bound = "above Spec.MaxReplicas" if bounded < now else "below Spec.MinReplicas"
        self._rescale(found, resource, target, bounded, f"Current number of replicas {bound}")
        status = {"currentReplicas": now, "desiredReplicas": bounded, "lastScaleTime": timestamp(time.time())}
        able = f"the HPA controller was able to update the target scale to {bounded}"
        self._report(found, status, [("AbleToScale", True, "SucceededRescale", able)])
        return True

    def _rescale(self, found: Json, resource: Resource, target: Json, replicas: int, why: str) -> None:
        scale = {**scale_of(resource, target), "spec": {"replicas": replicas}}
        rescale(self.objects, resource, target, scale, Write(CONTROLLER))
        self._event(found, "Normal", "SuccessfulRescale", f"New size: {replicas}; reason: {why}")

    def _without_metrics(self, found: Json, target: Json) -> None:
        metric: Json = next(iter(found["spec"].get("metrics") or ()), {})
        why = _NO_METRICS.format((metric.get("resource") or {}).get("name", "cpu"))
        able = "the HPA controller was able to get the target's current scale"
        conditions = [
            ("AbleToScale", True, "SucceededGetScale", able),
            ("ScalingActive", False, "FailedGetResourceMetric",
             f"the HPA was unable to compute the replica count: {why}"),
        ]  # fmt: skip
        current = {"currentReplicas": target["spec"].get("replicas", 0), "currentMetrics": [{"type": ""}]}
        self._report(found, current, conditions)
        self._event(found, "Warning", "FailedGetResourceMetric", why)
        name = (metric.get("resource") or {}).get("name", "cpu")
        first = f"first error is: failed to get {name} resource metric value: {why}"
        said = f"invalid metrics (1 invalid out of 1), {first}"
        self._event(found, "Warning", "FailedComputeMetricsReplicas", said)

    def _scale(self, found: Json, resource: Resource, target: Json) -> None:
        spec = found["spec"]
        now = int(target["spec"].get("replicas", 0))
        match = selector_match(target["spec"].get("selector"))
        pods = [
            pod
            for pod in self.store.list(PODS, target["metadata"].get("namespace", ""))
            if match(pod["metadata"].get("labels") or {}) and is_ready(pod)
        ]
        wanted, shown = 0, []
        for metric in spec.get("metrics") or ():
            if metric.get("type") == "Resource" and pods:
                count, current = self._proposal(metric["resource"], pods, now)
                wanted = max(wanted, count)
                shown.append(current)
        bounded = min(max(wanted or now, spec.get("minReplicas", 1)), spec["maxReplicas"]) if now else 0
        conditions = _conditions(bounded, wanted or now, now)
        status: Json = {"currentReplicas": now, "desiredReplicas": bounded, "currentMetrics": shown or None}
        if bounded != now:
            status["lastScaleTime"] = timestamp(time.time())
            why = "All metrics below target"
            if wanted > now:
                why = "cpu resource utilization (percentage of request) above target"
            self._rescale(found, resource, target, bounded, why)
        self._report(found, status, conditions)

    def _proposal(self, metric: Json, pods: list[Json], now: int) -> tuple[int, Json]:
        """The replicas a metric asks for, and its present value as a status shows it."""
        name, target = metric["name"], metric.get("target") or {}
        used = sum(quantity(self._metrics.of_pod(pod).get(name, "0")) * len(pod["spec"]["containers"]) for pod in pods)
        average = used / len(pods)
        current: Json = {"averageValue": quantity_text(name, average)}
        if target.get("averageUtilization"):
            asked = sum(_requested(pod, name) for pod in pods) or math.inf
            utilization = 100 * used / asked
            current["averageUtilization"] = round(utilization)
            ratio = utilization / target["averageUtilization"]
        else:
            ratio = average / (quantity(target.get("averageValue", "1")) or 1.0)
        count = now if abs(ratio - 1) <= _TOLERANCE else math.ceil(ratio * len(pods))
        return count, {"type": "Resource", "resource": {"name": name, "current": current}}

    def _report(self, found: Json, status: Json, conditions: list[tuple[str, bool, str, str]]) -> None:
        old = found.get("status") or {}
        held = [{"lastUpdateTime": "", **one} for one in old.get("conditions") or ()]
        kinds = {kind for kind, *_ in conditions}
        held = [one for one in held if one["type"] in kinds]
        for kind, holds, reason, message in conditions:
            held = set_condition(held, kind, holds, reason, message)
        bare = [{key: value for key, value in one.items() if key != "lastUpdateTime"} for one in held]
        made = {"desiredReplicas": 0, "currentMetrics": None, **_kept(old), **status, "conditions": bare}
        live = self.store.get(AUTOSCALERS, *key_of(found))
        if live is not None:
            self.objects.set_status(AUTOSCALERS, live, made)

    def _event(self, found: Json, kind: str, reason: str, message: str) -> None:
        self.recorder.emit(AUTOSCALERS, found, kind, reason, message, _SOURCE)


def _kept(status: Json) -> Json:
    return {"lastScaleTime": status["lastScaleTime"]} if "lastScaleTime" in status else {}


def _requested(pod: Json, name: str) -> float:
    parts = [container.get("resources") or {} for container in pod["spec"]["containers"]]
    return sum(quantity({**(one.get("limits") or {}), **(one.get("requests") or {})}.get(name, "0")) for one in parts)


def _conditions(bounded: int, wanted: int, now: int) -> list[tuple[str, bool, str, str]]:
    able = ("ReadyForNewScale", "recommended size matches current size")
    if bounded != now:
        able = ("SucceededRescale", f"the HPA controller was able to update the target scale to {bounded}")
    active = "the HPA was able to successfully calculate a replica count from cpu resource utilization"
    limited = (False, "DesiredWithinRange", "the desired count is within the acceptable range")
    if wanted > bounded:
        limited = (True, "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    elif wanted < bounded:
        limited = (True, "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    return [
        ("AbleToScale", True, *able),
        ("ScalingActive", True, "ValidMetricFound", f"{active} (percentage of request)"),
        ("ScalingLimited", *limited),
    ]
