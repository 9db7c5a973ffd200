"""Changes of an application's objects: planned against the cluster, put into words, and made as steps of an operation.

Which fields change hands, what is refused and how a value is sent is the kubernetes plugin's affair (its `write`).
"""

import copy
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from klepaas.changes import Action, ChangeSet, ObjectChange
from klepaas.errors import NotFound
from klepaas.plans.describe import describe_object, describe_warnings, list_fields
from klepaas_plugins.deployments import lookup
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Effect
from klepaas_plugins.kubernetes.client import (
    AlreadyExists,
    ApplyRequest,
    AutoscalerChanges,
    ChangedSincePlan,
    extract_own,
    find_risks,
    judge_again,
    plan_apply,
    write,
)

__all__ = [
    "Replan",
    "change_set",
    "effect_of",
    "is_needed",
    "is_planned",
    "lines_of",
    "notes_of",
    "own_body",
    "plan_object",
    "removal_of",
    "token_of",
]

MAX_LINES = 30
_CAUSE = f"metadata.annotations.{CHANGE_CAUSE}"
Path = tuple[str, ...]
Replan = Callable[[], Awaitable[ObjectChange]]


def own_body(item: Object, kind: str, api_version: str) -> dict[str, Any]:
    """What klepaas wanted of an object so far, as a body to put a wish on.

    Args:
        item: The object as it is, with its managedFields.
        kind: Its kind, which items of lists do not say.
        api_version: Its version.
    """
    own = copy.deepcopy(extract_own({**item, "kind": kind, "apiVersion": api_version}))
    names = {key: item["metadata"][key] for key in ("name", "namespace")}
    metadata = {**(own.get("metadata") or {}), **names}
    return {**own, "apiVersion": api_version, "kind": kind, "metadata": metadata}


async def plan_object(
    place: Place,
    body: Mapping[str, Any],
    *,
    take_ownership: bool = False,
    removed: Iterable[Path] = (),
    is_restoring: bool = False,
    autoscalers: AutoscalerChanges | None = None,
) -> ObjectChange:
    """What applying a whole body would do to its object: what klepaas set and the body lacks is removed.

    Args:
        place: Where the application is.
        body: What klepaas is to own of the object then.
        take_ownership: Whether fields of controllers are taken over too.
        removed: Paths that are to go, whoever set them.
        is_restoring: Whether an earlier state is restored: then a controller's fields are left alone and named.
        autoscalers: What becomes of autoscalers in the same change. None: nothing.

    Raises:
        KlepaasError: It would be refused; the error says why.
    """
    resource = await place.cluster.resource(f"{body['apiVersion']}/{body['kind']}")
    request = ApplyRequest(
        cluster=place.cluster,
        resource=resource,
        body=body,
        take_ownership=take_ownership,
        remove_unnamed=True,
        removed=frozenset(removed),
        is_restoring=is_restoring,
        autoscalers=autoscalers or AutoscalerChanges(),
    )
    return _without_cause(await plan_apply(request))


def _without_cause(change: ObjectChange) -> ObjectChange:
    """The change without the note of why it is made, which alone is no reason to make it.

    That the note goes, beside other changes, stays in it: the writer takes no removal that was not planned.
    """
    others = [one for one in change.fields if one.path != _CAUSE]
    if change.action is not Action.UPDATE or len(others) == len(change.fields):
        return change
    fields = tuple(one for one in change.fields if one.path != _CAUSE or (others and one.is_removal))
    return replace(change, fields=fields, action=Action.UPDATE if fields else Action.NONE)


async def change_set(
    place: Place, title: str, objects: Iterable[ObjectChange], *, notes: Iterable[str] = (), basis: Any = None
) -> ChangeSet:
    """A whole change, each object with what its content does besides.

    Args:
        place: Where the application is.
        title: What it does, in a few words.
        objects: What becomes of each object, in the order in which they are changed.
        notes: What a reader should know besides, one line each.
        basis: What it rests on besides the objects'.
    """
    judged = await find_risks(place.cluster, list(objects))
    return ChangeSet(title=title, objects=judged, notes=tuple(notes), basis=basis)


def is_needed(change: ObjectChange) -> bool:
    """Whether making a change would change anything.

    Args:
        change: The change.
    """
    return change.action is not Action.NONE


def effect_of(
    place: Place,
    change: ObjectChange,
    replan: Replan,
    name: str | None = None,
    *,
    among: Sequence[ObjectChange] = (),
) -> Effect:
    """Making a planned change, as a step of an operation.

    Args:
        place: Where the application is.
        change: The change.
        replan: Plans the same change on what is there now: so it is seen whether it was made.
        name: The step's name. None: "apply KIND NAME".
        among: All objects of the plan, by which the server's answer is judged as the plan was. Empty: this one alone.
    """

    async def find() -> Mapping[str, Any] | None:
        return None if _is_to_send(await replan()) else {}

    async def do() -> Mapping[str, Any] | None:
        try:
            await write(place.cluster, change, judge=judge_again(place.cluster, among or [change]))
        except (AlreadyExists, ChangedSincePlan):
            # A request of an earlier attempt may have come in late: then what is there is what was wanted.
            if await find() is None:
                raise
        return None

    identity = change.identity
    return Effect(name or f"apply {identity.kind} {identity.name}", do, find, _is_to_send(change))


def _is_to_send(change: ObjectChange) -> bool:
    """Whether a change is to be made: that a new autoscaler's number becomes its own changes no value."""
    return is_needed(change) or bool((change.options.get("transfer") or {}).get("to_autoscaler"))


def token_of(changes: ChangeSet, salt: str | None = None) -> str:
    """What stands for a change that was planned: the same would be sent, and rests on the same.

    Args:
        changes: The change; by which context its cluster is reached does not count.
        salt: Of the token that it is to be compared with. None: a new one.
    """
    salt = secrets.token_hex(16) if salt is None else salt
    objects = [
        [
            [one.identity.api_version, one.identity.kind, one.identity.namespace, one.identity.name],
            [one.action.value, one.body, one.basis, dict(one.options)],
        ]
        for one in changes.objects
    ]
    text = json.dumps(objects, sort_keys=True, separators=(",", ":"), default=str)
    return f"{salt}:{hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def is_planned(changes: ChangeSet, token: str) -> bool:
    """Whether a change is the one that a token stands for.

    Args:
        changes: The change.
        token: As `token_of` gave it.
    """
    return hmac.compare_digest(token_of(changes, token.partition(":")[0]), token)


def removal_of(place: Place, change: ObjectChange) -> Effect:
    """Deleting an object as it was planned, as a step of an operation.

    Args:
        place: Where the application is.
        change: The deletion.
    """
    identity = change.identity

    async def find() -> Mapping[str, Any] | None:
        kind = f"{identity.api_version}/{identity.kind}"
        item = await lookup.find(place.cluster, kind, identity.name, place.namespace)
        is_going = item is None or item["metadata"].get("deletionTimestamp") or item["metadata"]["uid"] != identity.uid
        return {} if is_going else None

    async def do() -> Mapping[str, Any] | None:
        try:
            await write(place.cluster, change)
        except (ChangedSincePlan, NotFound):
            if await find() is None:
                raise
        return None

    return Effect(f"remove {identity.kind} {identity.name}", do, find)


def lines_of(changes: ChangeSet) -> list[str]:
    """What a change changes, in lines of an answer: "Changed: ..." and "Created: ...".

    Args:
        changes: The change.
    """
    touched = [change for change in changes.objects if is_needed(change)]
    updated = [change for change in touched if change.action is Action.UPDATE]
    found = [f"{_prefix(change, updated)}{line}" for change in updated for line in list_fields(change)]
    more = [f"and {len(found) - MAX_LINES} more"] if len(found) > MAX_LINES else []
    lines = [f"Changed: {'; '.join([*found[:MAX_LINES], *more])}"] if found else []
    for action, word in ((Action.CREATE, "Created"), (Action.DELETE, "Removed")):
        named = [f"{one.identity.kind} {one.identity.name}" for one in touched if one.action is action]
        lines += [f"{word}: {', '.join(named)}"] if named else []
    return lines


def notes_of(changes: ChangeSet) -> list[str]:
    """Whose fields a change takes over, and what it leaves to others, in lines of an answer.

    Args:
        changes: The change.
    """
    return [
        line[0].upper() + line[1:]
        for change in changes.objects
        if change.action is Action.UPDATE
        for line in _facts(change)
    ] + _warnings_of(changes)


def _warnings_of(changes: ChangeSet) -> list[str]:
    """What the cluster warned of, with the object's name where there are several."""
    touched = [change for change in changes.objects if is_needed(change)]
    return [f"{_prefix(change, touched)}{line}" for change in touched for line in describe_warnings(change)]


def _facts(change: ObjectChange) -> list[str]:
    plain = replace(change, fields=(), risks=(), warnings=())
    return [line.strip() for line in describe_object(plain).lines[1:]]


def _prefix(change: ObjectChange, updated: list[ObjectChange]) -> str:
    return f"{change.identity.kind} {change.identity.name}: " if len(updated) > 1 else ""
