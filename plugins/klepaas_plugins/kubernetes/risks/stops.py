"""Rules about what stops: smaller autoscalers, budgets and quotas of nothing, and pods that lose their place."""

from collections.abc import Iterator

from klepaas.changes import foreign
from klepaas_plugins.kubernetes.risks.model import ABSENT, UNKNOWN, Object, Pair, Rule, child

__all__ = ["STOP_RULES"]


def _find_smaller_autoscaler(pair: Pair) -> Iterator[str]:
    old, new = (
        {one.path: one.value for one in index.named("maxReplicas", "maxReplicaCount")} for index in (pair.old, pair.new)
    )
    running = child(pair.before, "status").get("currentReplicas")
    for path, value in new.items():
        before = old.get(path)
        is_lower = isinstance(value, int) and isinstance(before, int) and value < before
        if is_lower and (not isinstance(running, int) or value < running):
            yield f"an autoscaler stops what is beyond {value} replicas ({foreign(path)}: {before} -> {value})"


def _find_disruption(pair: Pair) -> Iterator[str]:
    if pair.kind != "PodDisruptionBudget":
        return
    old, new = (child(obj, "spec") for obj in (pair.before, pair.after))
    if pair.is_deleted or (
        not pair.is_new
        and (new.get("minAvailable") in (0, "0", "0%") or new.get("maxUnavailable") == "100%")
        and old != new
    ):
        yield f"every pod that {foreign(pair.name)} protects may be evicted at once"


def _find_empty_quota(pair: Pair) -> Iterator[str]:
    if pair.kind != "ResourceQuota" or pair.is_deleted:
        return
    old, new = (child(obj, "spec", "hard") for obj in (pair.before, pair.after))
    none_left = [key for key, value in new.items() if str(value) == "0" and str(old.get(key)) != "0"]
    if none_left:
        yield f"nothing more of {', '.join(map(foreign, none_left))} can be made in the namespace"


def _find_daemon_nodes(pair: Pair) -> Iterator[str]:
    if (pair.group, pair.kind) != ("apps", "DaemonSet") or pair.is_new or pair.is_deleted:
        return
    old, new = (child(obj, "spec", "template", "spec", "nodeSelector") for obj in (pair.before, pair.after))
    if dict(old) != dict(new) and new:
        shown = ", ".join(foreign(f"{key}={value}") for key, value in new.items())
        yield f"stops its pods on all nodes without {shown}"


def _find_new_target(pair: Pair) -> Iterator[str]:
    """An autoscaler that begins to scale a workload with more pods than it allows."""
    new, old = child(pair.after, "spec"), child(pair.before, "spec")
    target, most = child(new, "scaleTargetRef"), new.get("maxReplicas", new.get("maxReplicaCount"))
    if not target or not isinstance(most, int) or dict(target) == dict(child(old, "scaleTargetRef")):
        return
    version, kind, name = (str(target.get(key) or default) for key, default in _TARGET)
    found, title = pair.known.get(version, kind, pair.place, name), f"{foreign(kind)} {foreign(name)}"
    if found is UNKNOWN:
        yield f"not known whether {title} has more than {most} replicas, which an autoscaler would stop"
    elif found is not ABSENT and _replicas(found) > most:
        yield f"an autoscaler stops what {title} has beyond {most} of {_replicas(found)} replicas"


_TARGET = (("apiVersion", "apps/v1"), ("kind", "Deployment"), ("name", ""))


def _replicas(obj: Object) -> int:
    found = child(obj, "spec").get("replicas", 1)
    return found if isinstance(found, int) else 1


def _find_ordinals(pair: Pair) -> Iterator[str]:
    if (pair.group, pair.kind) != ("apps", "StatefulSet") or pair.is_new or pair.is_deleted:
        return
    old, new = (child(obj, "spec", "ordinals").get("start", 0) for obj in (pair.before, pair.after))
    if old != new:
        change = f"ordinals.start: {foreign(old)} -> {foreign(new)}"
        yield f"stops its pods whose number is not among those from {foreign(new)} on ({change})"


STOP_RULES = (
    Rule(code="stops", name="smaller-autoscaler", find=_find_smaller_autoscaler,
         content="a lower `maxReplicas` than what runs"),
    Rule(code="stops", name="disruption-budget", find=_find_disruption, deleted=True,
         content="a PodDisruptionBudget that protects nothing any more"),
    Rule(code="stops", name="empty-quota", find=_find_empty_quota,
         content="a ResourceQuota of 0"),
    Rule(code="stops", name="daemon-nodes", find=_find_daemon_nodes,
         content="another `nodeSelector` of a DaemonSet"),
    Rule(code="stops", name="new-autoscaler", find=_find_new_target,
         content="an autoscaler whose target has more replicas than its `maxReplicas`"),
    Rule(code="stops", name="ordinals", find=_find_ordinals,
         content="another `ordinals.start` of a StatefulSet"),
)  # fmt: skip
