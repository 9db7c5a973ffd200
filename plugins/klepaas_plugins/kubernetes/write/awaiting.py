"""Waits until a cluster serves a kind that another object of the same change has just defined.

A definition is established once its names are accepted; discovery follows. Where its names are taken it never is, which
is said at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anyio

from klepaas.changes import Action, ObjectChange
from klepaas.errors import Conflict, Forbidden, NotFound, TimedOut
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.masking.messages import message_text

__all__ = ["await_kind"]

SERVED_TIMEOUT_S = 20.0
SERVED_PAUSE_S = 0.2
DEFINITION = "CustomResourceDefinition"


async def await_kind(cluster: Cluster, change: ObjectChange, among: Sequence[ObjectChange]) -> None:
    """Wait until the cluster serves an object's kind, where its definition is part of the same change.

    Args:
        cluster: The cluster.
        change: The object.
        among: Every object of the change.

    Raises:
        Conflict: The definition's names are taken, so that it is never served.
        NotFound: The kind is not served, and nothing in the change defines it.
        TimedOut: It is not served in time.
    """
    if change.action is Action.DELETE:
        return
    definition = next((one for one in among if _defines(one, change)), None)
    try:
        with anyio.fail_after(SERVED_TIMEOUT_S):
            while not await _is_served(cluster, change, definition):  # noqa: ASYNC110
                await anyio.sleep(SERVED_PAUSE_S)
    except TimeoutError:
        raise TimedOut(
            f"The cluster does not serve {change.identity.kind} {SERVED_TIMEOUT_S:g} s after its definition was made",
            next_step="Look at the definition's conditions, then apply again",
        ) from None


async def _is_served(cluster: Cluster, change: ObjectChange, definition: ObjectChange | None) -> bool:
    if definition is not None and not await _is_established(cluster, definition):
        return False
    try:
        await cluster.resource(f"{change.identity.api_version}/{change.identity.kind}")
    except NotFound:
        if change.not_checked is None:
            raise
        return False
    return True


def _defines(definition: ObjectChange, change: ObjectChange) -> bool:
    if definition.identity.kind != DEFINITION or definition.body is None:
        return False
    spec: Mapping[str, Any] = definition.body.get("spec") or {}
    kind = (spec.get("names") or {}).get("kind")
    group, _, _ = change.identity.api_version.rpartition("/")
    return (spec.get("group"), kind) == (group, change.identity.kind)


async def _is_established(cluster: Cluster, definition: ObjectChange) -> bool:
    """Whether a definition is established; where it may not be read, only discovery can tell.

    Raises:
        Conflict: Its names are taken.
    """
    identity = definition.identity
    try:
        resource = await cluster.resource(f"{identity.api_version}/{identity.kind}")
        live = await cluster.get(resource, identity.name, None)
    except Forbidden:
        return True
    except NotFound:
        return False
    conditions = {str(one.get("type")): one for one in _conditions(live)}
    refusal = conditions.get("NamesAccepted", {})
    if refusal.get("status") == "False":
        raise Conflict(
            f"{identity.title} is not served: {refusal.get('reason')}: {message_text(refusal.get('message'))}",
            next_step="Remove the definition that has these names, or choose others",
        )
    return bool(conditions.get("Established", {}).get("status") == "True")


def _conditions(live: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = (live.get("status") or {}).get("conditions")
    yield from (one for one in found or () if isinstance(one, Mapping))
