"""What of a body is not there yet: what a dry run would change, else what of the body itself differs.

The dry run survives mutating webhooks: what they set in it they have set in the object too. Comparing with the body
does not, so it only stands in where the body is refused.

Source: Kubernetes, "Server-Side Apply", section "Field management"; API conventions, "Metadata" (resourceVersion).
"""

from collections.abc import Mapping
from typing import Any

from klepaas.changes import FieldChange
from klepaas_plugins.deployments.executor.intent import ObjectIntent
from klepaas_plugins.deployments.objects import REVISION
from klepaas_plugins.kubernetes.client import compare

__all__ = ["is_same_intent", "remaining_of", "unwritten_of"]

# What moves by itself, without anybody wanting something else.
_MOVING = frozenset({"resourceVersion", "managedFields", "generation"})
_NAMES = frozenset({"apiVersion", "kind"})


def remaining_of(
    wanted: ObjectIntent, body: Mapping[str, Any], live: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[FieldChange, ...]:
    """What applying a body would still change.

    Values that may not be shown are not compared: until a write is confirmed they count as not written.

    Args:
        wanted: What is wanted of the object.
        body: What would be applied.
        live: The object as it is, with its managedFields.
        after: The object as a dry run answered it.
    """
    return compare(live, after, body if wanted.answer is None else None)


def unwritten_of(body: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """What of a body the object does not have.

    Args:
        body: What would be applied.
        live: The object as it is, with its managedFields.
    """
    differing = compare(live, body)
    return tuple(one for one in differing if one.after is not None and one.path not in _NAMES)


def is_same_intent(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether nothing but a status has moved between two states of an object.

    Args:
        before: The object then.
        now: The object now.
    """
    return _intent_of(before) == _intent_of(now)


def _intent_of(item: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in (item.get("metadata") or {}).items() if name not in _MOVING}
    metadata["annotations"] = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != REVISION}
    return {**{name: value for name, value in item.items() if name not in ("status", "metadata")}, "metadata": metadata}
