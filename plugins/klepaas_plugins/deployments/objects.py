"""Reading Kubernetes objects as the API sends them: plain mappings, with fields that may be absent.

Only access and small facts (age, owner, condition); what a fact means for an application is decided elsewhere.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from klepaas.output import safe

__all__ = [
    "CHANGE_CAUSE",
    "REVISION",
    "Object",
    "age",
    "annotation",
    "at",
    "condition",
    "counted",
    "desired_replicas",
    "images",
    "is_owned_by",
    "items",
    "labels",
    "message_line",
    "name_of",
    "namespace_of",
    "one_line",
    "selector_text",
    "uid",
    "when",
]

Object = Mapping[str, Any]

CHANGE_CAUSE = "kubernetes.io/change-cause"
REVISION = "deployment.kubernetes.io/revision"


def at(value: Any, *path: str) -> Any:
    """The value at a path of keys. None: some step of it is absent or null."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def items(listed: Object) -> list[dict[str, Any]]:
    """The objects of a list; an empty list may come as null."""
    return listed.get("items") or []


def name_of(item: Object) -> str:
    """The object's name."""
    return str(at(item, "metadata", "name") or "")


def namespace_of(item: Object) -> str:
    """The object's namespace, empty where it has none."""
    return str(at(item, "metadata", "namespace") or "")


def uid(item: Object) -> str:
    """The object's uid."""
    return str(at(item, "metadata", "uid") or "")


def labels(item: Object) -> Mapping[str, str]:
    """The object's labels."""
    return at(item, "metadata", "labels") or {}


def annotation(item: Object, key: str) -> str | None:
    """One annotation. None: it has none of this key."""
    value = (at(item, "metadata", "annotations") or {}).get(key)
    return None if value is None else str(value)


def condition(item: Object, kind: str) -> Object:
    """The status condition of this type; empty where there is none."""
    for found in at(item, "status", "conditions") or ():
        if found.get("type") == kind:
            return dict(found)
    return {}


def is_owned_by(item: Object, owner: Object) -> bool:
    """Whether the owner is the object's controller."""
    owners = at(item, "metadata", "ownerReferences") or ()
    return any(reference.get("uid") == uid(owner) and reference.get("controller") for reference in owners)


def desired_replicas(workload: Object) -> int:
    """How many pods are wanted; the API's own default is 1."""
    replicas = at(workload, "spec", "replicas")
    return 1 if replicas is None else int(replicas)


def images(workload: Object) -> list[str]:
    """The images of the pod template's containers, in their order."""
    return [str(item.get("image", "")) for item in at(workload, "spec", "template", "spec", "containers") or ()]


def selector_text(selector: Object) -> str:
    """A label selector object as the API's query takes it.

    Source: apimachinery, LabelSelectorAsSelector.
    """
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(expression.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(expression["operator"], f"!{key}"))
    return ",".join(parts)


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 pod", "3 pods"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str, max_chars: int = 300) -> str:
    """A text of somebody else's on one line of bounded length, without secrets."""
    return safe.one_line(text, max_chars)


def message_line(text: Any, max_chars: int = 300) -> str:
    """A message of the cluster on one line of bounded length, without what it quotes; empty where there is none."""
    from klepaas_plugins.kubernetes.client import masking

    return masking.message_line(text, max_chars)


def when(timestamp: str | None) -> datetime | None:
    """A time of the API as a time. None: there is none, or it is not one."""
    try:
        return datetime.fromisoformat(timestamp).astimezone(UTC) if timestamp else None
    except ValueError:
        return None


def age(moment: str | datetime | None, now: datetime) -> str:
    """How long ago, in the one unit that tells: 45s, 12m, 5h, 9d. "?": unknown."""
    then = when(moment) if isinstance(moment, str) or moment is None else moment
    if then is None:
        return "?"
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def newest(moments: Iterable[datetime | None]) -> datetime | None:
    """The latest of the times that are known."""
    return max((moment for moment in moments if moment is not None), default=None)
