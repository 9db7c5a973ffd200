"""Plans the change of one object: from the object as it is, what klepaas owns of it, a manifest and dry runs.

The body is what klepaas owns in the live object with the manifest on top, so that a manifest changes what it names. The
server computes what becomes of it. Whose fields are lost is computed from managedFields before and after.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import anyio

from klepaas.changes import Action, FieldChange, ObjectChange, ObjectIdentity, Risk
from klepaas.effects import Effect
from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas.offload import offload, size_of
from klepaas_plugins.kubernetes.client import AlreadyExists, Cluster, Resource
from klepaas_plugins.kubernetes.errors import Invalid, ObjectModified
from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.comparing import (
    holds_hidden,
    is_hidden,
    with_encoded_data,
    with_live_secrets,
)
from klepaas_plugins.kubernetes.risks.facts import facts_of
from klepaas_plugins.kubernetes.write.autoscaling import REPLICAS, is_autoscaled, may_set_replicas
from klepaas_plugins.kubernetes.write.basis import fields_basis
from klepaas_plugins.kubernetes.write.compare import compare
from klepaas_plugins.kubernetes.write.immutable import immutable_fields, with_live_fields
from klepaas_plugins.kubernetes.write.managers import Side, judge_manager
from klepaas_plugins.kubernetes.write.merging import (
    Ambiguous,
    merge,
    named_paths,
    null_paths,
    without_nulls,
    without_paths,
)
from klepaas_plugins.kubernetes.write.own_fields import (
    Path,
    Paths,
    entries_of,
    extract_own,
    find,
    own_paths,
    path_text,
    to_fields,
)
from klepaas_plugins.kubernetes.write.ownership import Loss, Transfer, judge_losses, losses_of

__all__ = ["ApplyRequest", "object_title", "plan_apply"]

NAMED_MAX = 20
LOOKS_MAX = 10
PAUSE_S = 0.02
UNSEEN = "the live object may not be read, so what changes in it is not known"
_NO_DRY_RUN = "does not support dry run"


@dataclass(frozen=True, kw_only=True)
class ApplyRequest:
    """What is asked for.

    Attributes:
        cluster: The cluster.
        resource: The kind. None: it is not served yet.
        body: The manifest, with its name, and its namespace where the kind has one; null removes.
        take_ownership: Whether fields of controllers are taken over too.
        remove_unnamed: Whether fields that klepaas set and the manifest does not name are removed.
        create: Whether the object must be new.
        not_served: Why the server cannot try it out. None: it can.
        absent_namespace: Whether a missing namespace is no mistake, since it is made before.
        is_restoring: Whether an earlier state is restored: then a controller's field is left alone and named.
    """

    cluster: Cluster
    resource: Resource | None
    body: Mapping[str, Any]
    take_ownership: bool = False
    remove_unnamed: bool = False
    create: bool = False
    not_served: str | None = None
    absent_namespace: bool = False
    is_restoring: bool = False

    @property
    def name(self) -> str:
        """The object's name."""
        return str((self.body.get("metadata") or {}).get("name"))

    @property
    def namespace(self) -> str | None:
        """The object's namespace. None: the kind has none."""
        found = (self.body.get("metadata") or {}).get("namespace")
        return None if found is None else str(found)

    @property
    def title(self) -> str:
        """The object in words."""
        return object_title(str(self.body.get("kind")), self.name, self.namespace)


@dataclass
class _Draft:
    """A plan on its way.

    Attributes:
        request: What is asked for.
        named: The manifest without its nulls, as the server would store it.
        live: The object as it is. None: there is none, or it may not be read.
        is_seen: Whether it may be read.
        body: What is to be sent.
        after: What the server makes of it.
        claimed: What klepaas would own afterwards.
        gone: The paths that are to go.
        losses: What other managers lose.
        transfer: What changes hands first.
        immutable: Fields that the server never changes.
        not_checked: Why `after` is not the server's.
        notes: Facts about the change.
    """

    request: ApplyRequest
    named: dict[str, Any]
    live: dict[str, Any] | None = None
    is_seen: bool = True
    body: dict[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] | None = None
    claimed: Paths = frozenset()
    gone: Paths = frozenset()
    losses: list[Loss] = field(default_factory=list)
    transfer: Transfer = field(default_factory=Transfer)
    immutable: list[FieldChange] = field(default_factory=list)
    not_checked: str | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)


def object_title(kind: str, name: str, namespace: str | None) -> str:
    """An object as a sentence names it: `deployment/web (namespace shop)`."""
    return ObjectIdentity(kind=kind, name=name, namespace=namespace).title


async def plan_apply(request: ApplyRequest) -> ObjectChange:
    """What applying a manifest would do to its object; nothing is changed.

    Args:
        request: What is asked for.

    Raises:
        AlreadyExists: The object must be new, and is there.
        FieldConflict: A controller owns fields that would be lost, and they are not to be taken over.
        Conflict: The object is being deleted.
        Forbidden: It may not be read, and what is sent holds hidden values.
        KlepaasError: The server refuses the change, or cannot be asked.
    """
    encoded = with_encoded_data(request.body)
    draft = _Draft(request=request, named=without_nulls(encoded))
    if request.resource is None or request.not_served is not None:
        draft.not_checked = request.not_served or "its kind is not served yet"
        return _unchecked(draft)
    for attempt in range(LOOKS_MAX):
        draft = _Draft(request=request, named=draft.named)
        await _look(draft, request.resource)
        if draft.live is None:
            return await _plan_new(draft)
        await _compose(draft, draft.live, encoded)
        try:
            await _try(draft, draft.live)
        except ObjectModified:
            # A status came between; what is compared is one state of the object with what becomes of it.
            await anyio.sleep(PAUSE_S * attempt)
            continue
        await _judge_owners(draft, draft.live, encoded)
        work = partial(_conclude, draft, draft.live)
        return await offload(work, size_chars=size_of([draft.live, draft.after]))
    raise Conflict(
        f"{request.title} was changed by others {LOOKS_MAX} times while its change was planned", next_step="Try again"
    )


async def _look(draft: _Draft, resource: Resource) -> None:
    request = draft.request
    try:
        draft.live = await request.cluster.get(resource, request.name, request.namespace)
    except NotFound:
        draft.live = None
    except Forbidden:
        draft.is_seen = False
        _refuse_unseen(draft)
    if draft.live is None:
        return
    if request.create:
        raise AlreadyExists(
            f"Cannot create {request.title}: it already exists", next_step="Change it instead, or choose another name"
        )
    metadata = draft.live.get("metadata") or {}
    finalizers = (request.body.get("metadata") or {}).get("finalizers", ())
    if metadata.get("deletionTimestamp") and (finalizers == () or finalizers == metadata.get("finalizers")):
        raise Conflict(
            f"{request.title} is being deleted: what is changed in it would vanish with it",
            next_step="Wait until it is gone, then apply again",
        )


def _refuse_unseen(draft: _Draft) -> None:
    """Refuse values that nobody may see where the live object may not be read.

    Raises:
        Forbidden: What is sent holds such values.
    """
    is_secret = draft.request.body.get("kind") == "Secret"
    if is_secret or (holds_hidden(draft.named) and not draft.request.take_ownership):
        why = "an apply of some keys would remove the others" if is_secret else "who owns them may not be read"
        raise Forbidden(
            f"Cannot change {draft.request.title}: it holds hidden values, the live object may not be read, and {why}",
            next_step="Ask for the right to read it",
        )


async def _plan_new(draft: _Draft) -> ObjectChange:
    """The plan of an object that is not there, or may not be read."""
    request = draft.request
    try:
        after = await request.cluster.apply(draft.named, force=True, dry_run=True)
    except NotFound as exc:
        if not (request.absent_namespace and f'namespaces "{request.namespace}"' in exc.what):
            raise
        draft.not_checked = "its namespace does not exist yet"
        return _unchecked(draft)
    except BadRequest as exc:
        draft.not_checked = _no_dry_run(exc)
        return _unchecked(draft)
    if not draft.is_seen:
        draft.not_checked = UNSEEN
        return _unchecked(draft)
    return ObjectChange(
        identity=_identity(draft),
        action=Action.CREATE,
        facts=facts_of(draft.named),
        after=after,
        body=draft.named,
        basis=fields_basis(None, ()),
        options={"is_new": True},
    )


def _no_dry_run(exc: BadRequest) -> str:
    """Why the server cannot try a change out.

    Raises:
        BadRequest: It can, and refuses the change.
    """
    if _NO_DRY_RUN not in exc.what:
        raise exc
    hook = exc.what.partition(_NO_DRY_RUN)[0].rpartition("webhook ")[2].strip()
    return f"webhook {hook} {_NO_DRY_RUN}"


def _unchecked(draft: _Draft) -> ObjectChange:
    """The plan of an object that the server did not try out: its manifest."""
    risks: tuple[Risk, ...] = ()
    if not draft.is_seen:
        what = "may remove fields that klepaas set before and the manifest does not name"
        risks = (Risk(code="removes-unseen", text=what, severity=Effect.DESTRUCTIVE),)
    return ObjectChange(
        identity=_identity(draft),
        action=Action.CREATE if draft.is_seen else Action.UPDATE,
        facts=facts_of(draft.named),
        risks=risks,
        not_checked=draft.not_checked,
        after=draft.named,
        body=draft.named,
        basis={**fields_basis(None, ()), "is_seen": draft.is_seen},
        options={"is_new": draft.is_seen, "is_unseen": not draft.is_seen},
    )


async def _compose(draft: _Draft, live: dict[str, Any], encoded: Mapping[str, Any]) -> None:
    """Put the body together: what klepaas owns with the manifest on top."""
    request = draft.request
    own = own_paths(live)
    if request.remove_unnamed:
        body = draft.named
    else:
        fields = to_fields(own)
        try:
            body = merge(extract_own(live), encoded, fields)
        except Ambiguous:
            learned = await _learn_keys(draft, live)
            body = merge(extract_own(live), encoded, fields, learned)
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key not in _VERSIONS}
    draft.body = {**body, **_identity_of(draft), "metadata": {**metadata, **_name_of(draft)}}
    if REPLICAS in own or find(draft.body, REPLICAS)[0]:
        await _leave_replicas(draft, live, own)


_VERSIONS = frozenset({"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"})


def _identity_of(draft: _Draft) -> dict[str, Any]:
    return {key: draft.request.body[key] for key in ("apiVersion", "kind")}


def _name_of(draft: _Draft) -> dict[str, Any]:
    metadata = draft.request.body["metadata"]
    return {key: metadata[key] for key in ("name", "namespace") if metadata.get(key) is not None}


async def _learn_keys(draft: _Draft, live: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest's own items are known by, as a dry run of the manifest alone says.

    Raises:
        BadRequest: The manifest leaves out a part of a key, and alone it is not valid.
    """
    sent = with_live_secrets(draft.named, live)
    answer = await draft.request.cluster.apply(sent, force=True, dry_run=True)
    main = next((entry for entry in entries_of(answer) if entry.is_main), None)
    return dict(main.raw.get("fieldsV1") or {}) if main else {}


async def _leave_replicas(draft: _Draft, live: Mapping[str, Any], own: Paths) -> None:
    """Take the number of replicas out of the body while an autoscaler sets it."""
    is_there, wanted = find(draft.body, REPLICAS)
    is_named = find(draft.named, REPLICAS)[0]
    if is_named and may_set_replicas(live, wanted):
        return
    if not await is_autoscaled(draft.request.cluster, live):
        return
    draft.body = without_paths(draft.body, frozenset({REPLICAS}))
    if is_named and is_there and wanted != find(live, REPLICAS)[1]:
        draft.notes.append(("spec.replicas", "left to the autoscaler, which sets it"))
    if REPLICAS in own:
        draft.transfer = replace(draft.transfer, to_autoscaler=True)


async def _try(draft: _Draft, live: dict[str, Any]) -> None:
    """Have the server compute what becomes of the object."""
    sent = _trial_body(draft, live)
    try:
        draft.after = await _try_immutable(draft, live, sent)
    except BadRequest as exc:
        draft.not_checked = _no_dry_run(exc)
        fields = to_fields(frozenset().union(*(entry.paths for entry in entries_of(live))))
        removed = own_paths(live) - named_paths(draft.body, fields)
        merged = merge(live, draft.body, fields)
        draft.after = without_paths(merged, removed) if draft.request.remove_unnamed else merged
        draft.claimed = named_paths(draft.body, fields)
        return
    main = next((entry for entry in entries_of(draft.after) if entry.is_main), None)
    draft.claimed = main.paths if main else frozenset()


def _trial_body(draft: _Draft, live: dict[str, Any]) -> dict[str, Any]:
    """What a dry run sends: a hidden value would answer whether it is the one that is there."""
    sent = with_live_secrets(draft.body, live)
    held = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
    sent["metadata"] = {**sent["metadata"], **held}
    if draft.transfer.to_autoscaler:
        sent["spec"] = {**(sent.get("spec") or {}), "replicas": find(live, REPLICAS)[1]}
    return sent


async def _try_immutable(draft: _Draft, live: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """A dry run; where it is refused for immutable fields alone, one more with these as they are."""
    cluster = draft.request.cluster
    try:
        return await cluster.apply(sent, force=True, dry_run=True)
    except Invalid as exc:
        found = immutable_fields(exc)
        if found is None:
            raise
        refusal = exc
    for attempt in (found, [(path, frozenset[str]()) for path, _ in found]):
        held = with_live_fields(sent, live, attempt)
        try:
            after = await cluster.apply(held, force=True, dry_run=True)
        except Invalid:
            continue
        wanted = _overlay(after, held, sent)
        draft.immutable = [replace(one, recreate=True) for one in compare(after, wanted, draft.named)]
        return after
    raise refusal


def _overlay(after: Any, held: Any, sent: Any) -> dict[str, Any]:
    """The object as it would be with the immutable fields as they are wished for."""
    result = dict(after)
    for key, value in sent.items():
        if value != held.get(key):
            there = result.get(key)
            both = isinstance(there, Mapping) and isinstance(value, Mapping) and isinstance(held.get(key), Mapping)
            result[key] = _overlay(there, held[key], value) if both else value
    return result


async def _judge_owners(draft: _Draft, live: dict[str, Any], encoded: Mapping[str, Any]) -> None:
    """Find whose fields are lost, refuse a controller's, and see what is moved first."""
    request, after = draft.request, draft.after or live
    everyone = to_fields(frozenset().union(*(entry.paths for entry in entries_of(live))))
    nulls = frozenset(null_paths(encoded, live, everyone))
    unnamed = own_paths(live) - draft.claimed if request.remove_unnamed else frozenset()
    kept_by_others = frozenset(path for path in unnamed if _has_other_owner(live, path) and find(after, path)[0])
    taken = frozenset(path for path in draft.claimed if _is_taken(draft, live, path))
    draft.losses = losses_of(live, after, taken=taken, removed=nulls)
    judge_losses(draft.losses, live, request.title, take_ownership=request.take_ownership)
    shared = losses_of(live, after, taken=(), removed=kept_by_others)
    mine = [loss for loss in shared if request.take_ownership or _is_person(loss, live)]
    staying = {path_text(loss.path): loss.entry.manager for loss in shared if loss not in mine}
    draft.notes += [(path, f"stays: {judge_manager(who, live).text} owns it too") for path, who in staying.items()]
    draft.losses += mine
    draft.gone = nulls | unnamed
    moved = frozenset(loss.path for loss in draft.losses if loss.must_move)
    # What nobody owns goes only if it is claimed first.
    orphans = frozenset(path for path in nulls if not _is_owned(live, path))
    main = next((entry.paths for entry in entries_of(live) if entry.is_main), frozenset())
    is_fold = any(entry.is_ours and not entry.is_main for entry in entries_of(live)) or not own_paths(live) <= main
    draft.transfer = replace(draft.transfer, claims=moved | orphans, is_fold=is_fold)
    await _try_removals(draft, live, nulls | (unnamed - main) | frozenset(loss.path for loss in mine))


def _has_other_owner(live: Mapping[str, Any], path: Path) -> bool:
    return any(path in entry.paths and not entry.is_ours for entry in entries_of(live))


def _is_owned(live: Mapping[str, Any], path: Path) -> bool:
    return any(one[: len(path)] == path for entry in entries_of(live) for one in entry.paths)


def _is_person(loss: Loss, live: Mapping[str, Any]) -> bool:
    return judge_manager(loss.entry.manager, live).side is Side.PERSON


def _is_taken(draft: _Draft, live: Mapping[str, Any], path: Path) -> bool:
    """Whether a path gets another value, or one that may not be compared."""
    if path[-1].startswith("k:"):
        return False
    was, now = find(live, path), find(draft.after, path)
    if was[0] and was[1] != now[1]:
        return not _has_deeper(draft.claimed, path)
    is_named, shown = find(mask(draft.named), path)
    return was[0] and find(draft.named, path)[0] and (not is_named or is_hidden(shown))


def _has_deeper(paths: Paths, path: Path) -> bool:
    return any(len(one) > len(path) and one[: len(path)] == path for one in paths)


async def _try_removals(draft: _Draft, live: dict[str, Any], paths: Paths) -> None:
    """Have the server check the removal of what others own still, which no dry run of an apply shows."""
    there = frozenset(path for path in paths if find(draft.after, path)[0] and not _stays(draft, live, path))
    resource = draft.request.resource
    if not there or resource is None:
        return
    wanted = without_paths(draft.after, there)
    operations = list(_replacements(draft.after or {}, wanted))
    if draft.not_checked is not None or not operations:
        draft.after = wanted
        return
    draft.after = await draft.request.cluster.json_patch(
        resource, draft.request.name, draft.request.namespace, operations, dry_run=True
    )


def _stays(draft: _Draft, live: Mapping[str, Any], path: Path) -> bool:
    """Whether others keep what lies at a path after all that changes hands."""
    taken = frozenset(loss.path for loss in draft.losses)
    entries = (entry for entry in entries_of(live) if not entry.is_ours and entry.subresource != "status")
    return any(one[: len(path)] == path and one not in taken for entry in entries for one in entry.paths)


def _replacements(before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """The operations of a JSON patch that make one object of another."""
    for key in before:
        if key in ("status", "apiVersion", "kind"):
            continue
        if key == "metadata":
            for name in ("labels", "annotations", "finalizers", "ownerReferences"):
                yield from _replacement(f"/metadata/{name}", before[key].get(name), after[key].get(name))
        else:
            yield from _replacement(f"/{key}", before[key], after.get(key))


def _replacement(pointer: str, before: Any, after: Any) -> Any:
    if after is None and before is not None:
        yield {"op": "remove", "path": pointer}
    elif after is not None:
        yield {"op": "add", "path": pointer, "value": after}


def _conclude(draft: _Draft, live: dict[str, Any]) -> ObjectChange:
    changed = compare(live, draft.after, draft.named)
    fields = (*changed, *draft.immutable)
    named = named_paths(draft.named, to_fields(draft.claimed))
    rests_on = own_paths(live) | draft.claimed | draft.gone | named
    if draft.transfer.to_autoscaler or (draft.notes and draft.notes[0][0] == "spec.replicas"):
        rests_on -= {REPLICAS}
    main = next((entry.paths for entry in entries_of(live) if entry.is_main), frozenset())
    is_idle = not fields and draft.transfer.is_empty and main == draft.claimed and draft.not_checked is None
    return ObjectChange(
        identity=_identity(draft),
        action=Action.UPDATE if fields else Action.NONE,
        fields=fields,
        facts=(*_takeovers(draft, live), *draft.notes, *_unnamed_facts(draft, live)),
        risks=tuple(_reverts(draft, live)),
        not_checked=draft.not_checked,
        before=live,
        after=draft.after,
        body=None if is_idle else draft.body,
        basis=fields_basis(live, rests_on),
        options={} if draft.transfer.is_empty else {"transfer": draft.transfer.as_data()},
    )


def _identity(draft: _Draft) -> ObjectIdentity:
    request = draft.request
    uid = ((draft.live or {}).get("metadata") or {}).get("uid")
    return ObjectIdentity(
        kind=str(request.body.get("kind")),
        name=request.name,
        namespace=request.namespace,
        context=request.cluster.context,
        api_version=str(request.body.get("apiVersion")),
        uid=uid,
    )


def _takeovers(draft: _Draft, live: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Whose fields are taken over."""
    by_manager: dict[str, list[str]] = {}
    for loss in draft.losses:
        by_manager.setdefault(judge_manager(loss.entry.manager, live).text, []).append(path_text(loss.path))
    return [(f"taken over from {name}", ", ".join(dict.fromkeys(paths))) for name, paths in by_manager.items()]


def _reverts(draft: _Draft, live: Mapping[str, Any]) -> list[Risk]:
    """What a controller would undo although its fields are taken over."""
    managers = [judge_manager(loss.entry.manager, live) for loss in draft.losses]
    names = dict.fromkeys(one.text for one in managers if one.side is Side.CONTROLLER)
    return [
        Risk(code="reverted-by-controller", text=f"{name} may write its values again", severity=Effect.WRITE)
        for name in names
    ]


def _unnamed_facts(draft: _Draft, live: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields that klepaas set before and the manifest does not name."""
    if draft.request.remove_unnamed:
        return []
    named = named_paths(draft.named, to_fields(draft.claimed)) | draft.gone
    left = [path for path in sorted(own_paths(live) & draft.claimed) if path[-1][:2] != "k:"]
    left = [path for path in left if not any(path[: len(one)] == one or one[: len(path)] == path for one in named)]
    shown = list(dict.fromkeys(path_text(_shortest(path, named)) for path in left))
    if not shown:
        return []
    more = f" and {len(shown) - NAMED_MAX} more" if len(shown) > NAMED_MAX else ""
    return [("unchanged, set by klepaas before and not named", f"{', '.join(shown[:NAMED_MAX])}{more}")]


def _shortest(path: Path, named: Paths) -> Path:
    """The shortest beginning of a path that nothing of the manifest lies below."""
    for length in range(2 if path[0] == "f:metadata" else 1, len(path)):
        if not any(one[:length] == path[:length] for one in named):
            return path[:length]
    return path
