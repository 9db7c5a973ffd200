"""Writes planned changes: the one place of the product that sends a value to a cluster.

A value goes by server-side apply of the object itself, as field manager `klepaas`. Every write to an object that is
there carries its uid and the resourceVersion of a fresh look, and is made only while what the plan rests on holds.
Where only a status moved the version it is tried again. The server's answer is judged again: where a webhook made more
of the change than was planned, the object is restored.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

import anyio

from klepaas.changes import Action, ObjectChange, RaisedEffect, Risk
from klepaas.effects import Effect
from klepaas.errors import Conflict, KlepaasError, NotFound
from klepaas.output.verdict import NOT_SENT, nothing_changed
from klepaas.plans.describe import describe_risk
from klepaas_plugins.kubernetes.client import AlreadyExists, Cluster, FieldConflict, Resource
from klepaas_plugins.kubernetes.errors import ObjectModified
from klepaas_plugins.kubernetes.write.basis import deletion_basis, differing_parts, fields_basis
from klepaas_plugins.kubernetes.write.compare import compare
from klepaas_plugins.kubernetes.write.drafts import with_version_of_new
from klepaas_plugins.kubernetes.write.merging import without_paths
from klepaas_plugins.kubernetes.write.own_fields import (
    Paths,
    extract,
    others_paths,
    own_paths,
    owners_of,
    path_text,
    to_fields,
)
from klepaas_plugins.kubernetes.write.ownership import Transfer, transferred

__all__ = ["ChangedSincePlan", "Judge", "RaisedEffect", "Written", "refuse_recreation", "write"]

# A rollout's status moves the version several times a second.
ATTEMPTS_MAX = 10
PAUSE_S = 0.02
RESTORE_LIMIT_S = 30.0
_TOKEN_VOLUME = re.compile(r"(kube-api-access-)[a-z0-9]{5}\b")
Judge = Callable[[ObjectChange], Awaitable[Sequence[Risk]]]


class ChangedSincePlan(Conflict):
    """What the change was planned on is not so any more; nothing was sent."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of an object.

    Attributes:
        change: The change as it was made: its fields are those of the server's answer.
        object: The object as the server answered it. None: nothing was sent.
        deviations: What differs from the plan: paths that a webhook or somebody else changed.
        is_gone: Whether a deleted object is gone, and not only ending.
    """

    change: ObjectChange
    object: Mapping[str, Any] | None = field(default=None, repr=False)
    deviations: tuple[str, ...] = ()
    is_gone: bool = False


async def write(cluster: Cluster, change: ObjectChange, *, judge: Judge | None = None) -> Written:
    """Make a planned change, exactly as it was planned.

    Args:
        cluster: The cluster.
        change: The plan.
        judge: Finds the risks of the object as the server answered it. None: removals alone are judged.

    Raises:
        ChangedSincePlan: What the plan rests on differs now; nothing was sent.
        AlreadyExists: Somebody else created the object since.
        RaisedEffect: A webhook made more of it than was planned; the object was restored, or the error says why not.
        Conflict: The plan needs the object to be created again, or others kept changing it.
        KlepaasError: The server refuses the change, or its outcome is unknown.
    """
    if change.action is Action.DELETE:
        return await _delete(cluster, change)
    if change.body is None:
        return Written(change=change)
    refuse_recreation(change)
    identity = change.identity
    resource = await cluster.resource(f"{identity.api_version}/{identity.kind}")
    if change.options.get("is_unseen"):
        before, answer = None, await cluster.apply(change.body)
    elif change.options.get("is_new"):
        before, answer = None, await _create(cluster, change)
    else:
        before, answer = await _update(cluster, resource, change)
    return await _judge_answer(_Place(cluster, resource, change, judge), before, answer)


def refuse_recreation(change: ObjectChange) -> None:
    """Refuse what only a new object could have.

    Args:
        change: The plan.

    Raises:
        Conflict: Fields are immutable.
    """
    fields = [one.path for one in change.fields if one.recreate]
    if fields:
        raise Conflict(
            f"{change.identity.title} needs recreation: {', '.join(fields[:8])} cannot be changed in an object that "
            f"exists; {nothing_changed(NOT_SENT)}",
            next_step="Leave these fields out, or delete the object yourself and apply again",
        )


async def _create(cluster: Cluster, change: ObjectChange) -> dict[str, Any]:
    try:
        return await cluster.apply(with_version_of_new(change.body or {}))
    except (FieldConflict, ObjectModified) as exc:
        raise AlreadyExists(
            f"Cannot create {change.identity.title}: somebody else created it meanwhile; it was left as it is",
            next_step="Read it, then apply again",
        ) from exc


async def _update(cluster: Cluster, resource: Resource, change: ObjectChange) -> tuple[dict[str, Any], dict[str, Any]]:
    """Apply to an object that is there: the object as it was, and as the server answered.

    What others changed between a look and a refused attempt is no part of the change; the owners are those from before
    fields were moved.
    """
    name, namespace = change.identity.name, change.identity.namespace
    transfer = Transfer.of(change.options.get("transfer") or {})
    basis, owners = change.basis, None
    for attempt in range(ATTEMPTS_MAX):
        live = await _look(cluster, resource, change, basis)
        owners = owners or live["metadata"].get("managedFields") or []
        before = {**live, "metadata": {**live["metadata"], "managedFields": owners}}
        try:
            moved = await _transfer(cluster, resource, live, transfer)
            transfer, basis = Transfer(), fields_basis(moved, _paths(basis))
            metadata = moved["metadata"]
            held = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
            body = change.body or {}
            return before, await cluster.apply({**body, "metadata": {**body["metadata"], **held}})
        except ObjectModified:
            await anyio.sleep(PAUSE_S * attempt)
    raise Conflict(
        f"{change.identity.title} was changed by others {ATTEMPTS_MAX} times while klepaas tried to write ({name})",
        next_step=f"Look at who writes it in {namespace or 'the cluster'}, then try again",
    )


async def _look(cluster: Cluster, resource: Resource, change: ObjectChange, basis: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it is now, while what the plan rests on holds.

    Raises:
        ChangedSincePlan: It does not.
    """
    try:
        live: dict[str, Any] | None = await cluster.get(resource, change.identity.name, change.identity.namespace)
    except NotFound:
        live = None
    now = fields_basis(live, _paths(basis))
    if live is None or now != basis:
        raise _changed(change, differing_parts(basis, now))
    return live


def _changed(change: ObjectChange, parts: Sequence[str]) -> ChangedSincePlan:
    shown = ", ".join(parts[:8]) or "what it rests on"
    return ChangedSincePlan(
        f"{change.identity.title} is not as it was when the change was planned: {shown}; {nothing_changed(NOT_SENT)}",
        next_step="Call again, to plan the change on what is there now",
    )


def _paths(basis: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [tuple(one[0]) for one in basis.get("fields") or ()]


async def _transfer(cluster: Cluster, resource: Resource, live: dict[str, Any], transfer: Transfer) -> dict[str, Any]:
    """Move fields to klepaas inside managedFields, held to the version that was seen."""
    if transfer.is_empty:
        return live
    metadata = live["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    operations = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/metadata/managedFields", "value": transferred(live, transfer, own_paths(live), now)},
    ]
    return await cluster.json_patch(resource, metadata["name"], metadata.get("namespace"), operations)


@dataclass(frozen=True)
class _Place:
    """Where a change is made, and who judges it."""

    cluster: Cluster
    resource: Resource
    change: ObjectChange
    judge: Judge | None


async def _judge_answer(place: _Place, before: dict[str, Any] | None, answer: dict[str, Any]) -> Written:
    """Compare what the server answered with the plan; where it does more, restore."""
    change = place.change
    hidden = tuple(one for one in change.fields if one.hidden)
    fields = (*(one for one in compare(before, answer) if not one.hidden), *hidden)
    made = replace(change, before=before, after=answer, fields=fields)
    deviations = () if change.not_checked else tuple(one.path for one in compare(change.after, answer))
    raised = _new_removals(change, made)
    if change.not_checked or deviations:
        # What the server answered as it was planned has the risks that were planned.
        raised += await _new_risks(place, made)
    if raised:
        await _restore_and_raise(place, before, answer, raised)
    uid = (answer.get("metadata") or {}).get("uid")
    return Written(
        change=replace(made, identity=replace(change.identity, uid=uid)), object=answer, deviations=deviations
    )


def _new_removals(planned: ObjectChange, made: ObjectChange) -> list[Risk]:
    if planned.options.get("is_new") or planned.options.get("is_unseen"):
        return []
    known = {one.path for one in planned.removals}
    paths = [one.path for one in made.removals if one.path not in known]
    text = f"removes {', '.join(paths[:8])}, which was not planned"
    return [Risk(code="removes-unplanned", text=text, severity=Effect.DESTRUCTIVE)] if paths else []


async def _new_risks(place: _Place, made: ObjectChange) -> list[Risk]:
    if place.judge is None:
        return []
    planned = place.change
    known = {_key(risk, planned) for risk in planned.risks}
    found = await place.judge(made)
    return [risk for risk in found if risk.severity is Effect.DESTRUCTIVE and _key(risk, planned) not in known]


def _key(risk: Risk, planned: ObjectChange) -> tuple[str, ...]:
    """What makes two risks the same; where the server did not compute the plan, defaults may change the words.

    The server draws the name of a pod's token volume anew in each request, a dry run or not.
    """
    if planned.not_checked is not None:
        return (risk.code,)
    return (risk.code, _TOKEN_VOLUME.sub(r"\1", risk.text))


async def _restore_and_raise(
    place: _Place, before: dict[str, Any] | None, answer: dict[str, Any], raised: Sequence[Risk]
) -> NoReturn:
    title = place.change.identity.title
    try:
        with anyio.CancelScope(shield=True), anyio.fail_after(RESTORE_LIMIT_S):
            done = await _restore(place, before, answer)
    except (KlepaasError, TimeoutError) as exc:
        why = exc.what if isinstance(exc, KlepaasError) else f"no answer within {RESTORE_LIMIT_S:g} s"
        done = f"it could not be restored: {why}"
    error = RaisedEffect(
        f"{title} was changed further while it was written, so that it does more than was planned: "
        f"{'; '.join(map(describe_risk, raised))}; {done}",
        next_step="Look at the mutating webhooks of the cluster before you try again",
    )
    error.risks = tuple(raised)
    raise error


async def _restore(place: _Place, before: dict[str, Any] | None, answer: dict[str, Any]) -> str:
    """Undo a write; what was done, in words."""
    metadata, change = answer["metadata"], place.change
    if before is None:
        if change.options.get("is_unseen"):
            return "it could not be restored: the object before it may not be read"
        await place.cluster.delete(place.resource, metadata["name"], metadata.get("namespace"), uid=metadata["uid"])
        return "it was deleted again"
    transfer = Transfer.of(change.options.get("transfer") or {})
    body = _former_body(before, own_paths(before) | transfer.claims)
    held = {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
    body = {**body, "metadata": {**(body.get("metadata") or {}), **held}}
    try:
        await place.cluster.apply(body)
    except FieldConflict:
        return await _restore_the_rest(place, body, own_paths(before) | transfer.claims)
    return "it was restored to what it was before"


async def _restore_the_rest(place: _Place, body: dict[str, Any], own: Paths) -> str:
    """Undo a write but for the fields that others have taken since; what was done, in words."""
    metadata = body["metadata"]
    live = await place.cluster.get(place.resource, metadata["name"], metadata.get("namespace"))
    theirs = others_paths(live)
    left = sorted(path for path in own if path in theirs and not path[-1].startswith("k:"))
    await place.cluster.apply(without_paths(body, frozenset(left)))
    owners = sorted({one.manager for path in left for one in owners_of(live, path) if not one.is_ours})
    shown = ", ".join(map(path_text, left[:8]))
    return f"it was restored to what it was before, except {shown}, which {', '.join(owners)} set meanwhile"


def _former_body(before: Mapping[str, Any], own: Paths) -> dict[str, Any]:
    found = extract(before, to_fields(own), to_fields(others_paths(before) - own)) if own else {}
    return {**found, "apiVersion": before["apiVersion"], "kind": before["kind"]}


async def _delete(cluster: Cluster, change: ObjectChange) -> Written:
    """Delete an object, while it is the one that was planned for."""
    identity = change.identity
    resource = await cluster.resource(f"{identity.api_version}/{identity.kind}")
    for attempt in range(ATTEMPTS_MAX):
        # What was planned on a moment ago is looked at again where the server says that it has changed since.
        live = await _look_at_deleted(cluster, resource, change, change.before if attempt == 0 else None)
        try:
            ended = await cluster.delete(
                resource,
                identity.name,
                identity.namespace,
                uid=live["metadata"]["uid"],
                resource_version=live["metadata"]["resourceVersion"],
                propagation=_propagation(change),
            )
        except ObjectModified:
            await anyio.sleep(PAUSE_S * attempt)
        except (Conflict, NotFound):
            # It is another one by now, or gone: the next look says so.
            if attempt:
                raise
        else:
            is_ending = ended.get("kind") != "Status" and (ended.get("metadata") or {}).get("deletionTimestamp")
            return Written(change=change, object=ended, is_gone=not is_ending)
    raise Conflict(f"{identity.title} was changed by others {ATTEMPTS_MAX} times; it was not deleted")


def _propagation(change: ObjectChange) -> Literal["Background", "Foreground", "Orphan"]:
    found = change.options.get("propagation")
    return "Foreground" if found == "Foreground" else "Orphan" if found == "Orphan" else "Background"


def _is_versioned(seen: Mapping[str, Any]) -> bool:
    """Whether a deletion of what was seen can be held to it."""
    metadata = seen.get("metadata") or {}
    return bool(metadata.get("uid") and metadata.get("resourceVersion"))


async def _look_at_deleted(
    cluster: Cluster, resource: Resource, change: ObjectChange, seen: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    live = seen if seen is not None and _is_versioned(seen) else None
    if live is None:
        with suppress(NotFound):
            live = await cluster.get(resource, change.identity.name, change.identity.namespace)
    planned = {key: value for key, value in change.basis.items() if key != "facts"}
    now = deletion_basis(live)
    if live is None or now != planned:
        raise _changed(change, differing_parts(planned, now))
    wanted = change.options.get("resource_version")
    if wanted is not None and wanted != live["metadata"]["resourceVersion"]:
        raise ChangedSincePlan(
            f"{change.identity.title} has another resourceVersion; nothing was deleted",
            next_step="Read it again: somebody changed it since",
        )
    return live
