"""Plans the change of one object: from the object as it is, what klepaas owns of it, a manifest and dry runs.

The body is what klepaas owns in the live object with the manifest on top, so that a manifest changes what it names. The
server computes what becomes of it. Whose fields are lost is computed from managedFields before and after.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import anyio

from klepaas.changes import Action, FieldChange, ObjectChange, Risk
from klepaas.effects import Effect
from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas.offload import offload, size_of
from klepaas_plugins.kubernetes.client import AlreadyExists, Resource
from klepaas_plugins.kubernetes.client.warnings import collect_warnings
from klepaas_plugins.kubernetes.errors import ObjectModified
from klepaas_plugins.kubernetes.masking.comparing import holds_hidden, with_encoded_data
from klepaas_plugins.kubernetes.risks import facts_of
from klepaas_plugins.kubernetes.write.autoscaling import REPLICAS
from klepaas_plugins.kubernetes.write.basis import fields_basis
from klepaas_plugins.kubernetes.write.compare import compare
from klepaas_plugins.kubernetes.write.composing import choose_between, compose, leave_replicas_of_new
from klepaas_plugins.kubernetes.write.drafts import ApplyRequest, Draft, identity_of, with_version_of_new
from klepaas_plugins.kubernetes.write.losing import reverting_risks, settle_owners, takeover_facts
from klepaas_plugins.kubernetes.write.merging import named_paths, without_nulls, without_versions
from klepaas_plugins.kubernetes.write.own_fields import Path, entries_of, own_paths, path_text, to_fields
from klepaas_plugins.kubernetes.write.trial import try_apply, why_no_dry_run

__all__ = ["ApplyRequest", "plan_apply"]

NAMED_MAX = 20
LOOKS_MAX = 10
PAUSE_S = 0.02
UNSEEN = "the live object may not be read, so what changes in it is not known"


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
    with collect_warnings() as warnings:
        change = await _plan(request)
    return replace(change, warnings=tuple(warnings)) if warnings else change


async def _plan(request: ApplyRequest) -> ObjectChange:
    encoded = with_encoded_data(request.body)
    draft = Draft(request=request, named=without_versions(without_nulls(encoded)))
    if request.resource is None or request.not_served is not None:
        draft.not_checked = request.not_served or "its kind is not served yet"
        return _unchecked(draft)
    for attempt in range(LOOKS_MAX):
        draft = Draft(request=request, named=draft.named)
        await _look(draft, request.resource)
        if draft.live is None:
            return await _plan_new(draft)
        wanted = choose_between(draft, draft.live, encoded)
        try:
            await compose(draft, draft.live, wanted)
            await try_apply(draft, draft.live)
            await settle_owners(draft, draft.live)
        except ObjectModified:
            # A status came between; what is compared is one state of the object with what becomes of it.
            await anyio.sleep(PAUSE_S * attempt)
            continue
        work = partial(_conclude, draft, draft.live)
        return await offload(work, size_chars=size_of([draft.live, draft.after]))
    raise Conflict(
        f"{request.title} was changed by others {LOOKS_MAX} times while its change was planned", next_step="Try again"
    )


async def _look(draft: Draft, resource: Resource) -> None:
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
    _check_version(request, metadata)
    finalizers = (request.body.get("metadata") or {}).get("finalizers", ())
    if metadata.get("deletionTimestamp") and (finalizers == () or finalizers == metadata.get("finalizers")):
        raise Conflict(
            f"{request.title} is being deleted: what is changed in it would vanish with it",
            next_step="Wait until it is gone, then apply again",
        )


def _check_version(request: ApplyRequest, metadata: Mapping[str, Any]) -> None:
    """Hold the change to the object, and the version of it, that the manifest names.

    Raises:
        Conflict: It is another one.
    """
    named = request.body.get("metadata") or {}
    for key in ("uid", "resourceVersion"):
        if named.get(key) not in (None, metadata.get(key)):
            raise Conflict(
                f"{request.title} has another {key} than the manifest: somebody changed it since it was read",
                next_step=f"Read it again, or leave metadata.{key} out to change what is there now",
            )


def _refuse_unseen(draft: Draft) -> None:
    """Refuse values that nobody may see where the live object may not be read.

    Raises:
        Forbidden: What is sent holds such values.
    """
    if draft.request.create:
        return
    is_secret = draft.request.body.get("kind") == "Secret"
    if is_secret or (holds_hidden(draft.named) and not draft.request.take_ownership):
        why = "an apply of some keys would remove the others" if is_secret else "who owns them may not be read"
        raise Forbidden(
            f"Cannot change {draft.request.title}: it holds hidden values, the live object may not be read, and {why}",
            next_step="Ask for the right to read it",
        )


async def _plan_new(draft: Draft) -> ObjectChange:
    """The plan of an object that is not there, or may not be read."""
    request = draft.request
    is_new = draft.is_seen or request.create
    if is_new:
        await leave_replicas_of_new(draft)
    body = with_version_of_new(draft.named) if is_new else draft.named
    try:
        after = await request.cluster.apply(body, force=True, dry_run=True)
    except ObjectModified as exc:
        raise AlreadyExists(
            f"Cannot create {request.title}: it already exists", next_step="Change it instead, or choose another name"
        ) from exc
    except NotFound as exc:
        if not (request.absent_namespace and f'namespaces "{request.namespace}"' in exc.what):
            raise
        draft.not_checked = "its namespace does not exist yet"
        return _unchecked(draft)
    except BadRequest as exc:
        draft.not_checked = why_no_dry_run(exc)
        return _unchecked(draft)
    if not is_new:
        draft.not_checked = UNSEEN
        return _unchecked(draft)
    return ObjectChange(
        identity=identity_of(draft),
        action=Action.CREATE,
        facts=(*facts_of(draft.named), *draft.notes),
        after=after,
        body=draft.named,
        basis=fields_basis(None, ()),
        options={"is_new": True},
    )


def _unchecked(draft: Draft) -> ObjectChange:
    """The plan of an object that the server did not try out: its manifest."""
    risks: tuple[Risk, ...] = ()
    is_new = draft.is_seen or draft.request.create
    if not is_new:
        what = "may remove fields that klepaas set before and the manifest does not name"
        risks = (Risk(code="removes-unseen", text=what, severity=Effect.DESTRUCTIVE),)
    return ObjectChange(
        identity=identity_of(draft),
        action=Action.CREATE if is_new else Action.UPDATE,
        facts=facts_of(draft.named),
        risks=risks,
        not_checked=draft.not_checked,
        after=draft.named,
        body=draft.named,
        basis={**fields_basis(None, ()), "is_seen": draft.is_seen},
        options={"is_new": is_new, "is_unseen": not is_new},
    )


def _conclude(draft: Draft, live: dict[str, Any]) -> ObjectChange:
    changed = [_needs_recreation(live, one) for one in compare(live, draft.after, draft.named)]
    fields = (*changed, *draft.immutable)
    named = named_paths(draft.named, to_fields(draft.claimed))
    rests_on = own_paths(live) | draft.claimed | draft.gone | named
    if draft.has_moving_replicas or any(loss.is_stale for loss in draft.losses):
        rests_on -= {REPLICAS}
    main = next((entry.paths for entry in entries_of(live) if entry.is_main), frozenset())
    is_idle = not fields and draft.transfer.is_empty and main == draft.claimed and draft.not_checked is None
    return ObjectChange(
        identity=identity_of(draft),
        action=Action.UPDATE if fields else Action.NONE,
        fields=fields,
        facts=(*takeover_facts(draft, live), *draft.notes, *_unnamed_facts(draft, live)),
        risks=tuple(reverting_risks(draft, live)),
        not_checked=draft.not_checked,
        before=live,
        after=draft.after,
        body=None if is_idle else draft.body,
        basis=fields_basis(live, rests_on),
        options={} if draft.transfer.is_empty else {"transfer": draft.transfer.as_data()},
    )


def _needs_recreation(live: Mapping[str, Any], change: FieldChange) -> FieldChange:
    """A hidden value of an immutable object that is certainly another one, since its size is.

    Of one of the same size nothing is said: a dry run must not tell whether a guess is right.
    """
    is_other = change.hidden and change.before != change.after
    return replace(change, recreate=True) if is_other and live.get("immutable") is True else change


def _unnamed_facts(draft: Draft, live: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields that klepaas set before and the manifest does not name."""
    if draft.request.remove_unnamed:
        return []
    named = named_paths(draft.named, to_fields(draft.claimed)) | draft.gone
    above = {one[:length] for one in named for length in range(1, len(one) + 1)}
    left = [path for path in sorted(own_paths(live) & draft.claimed) if path[-1][:2] != "k:" and path not in above]
    whole = frozenset(path for path in named if path[-1][:2] != "k:")
    left = [path for path in left if not any(path[:length] in whole for length in range(1, len(path)))]
    shown = list(dict.fromkeys(path_text(_shortest(path, above)) for path in left))
    if not shown:
        return []
    more = f" and {len(shown) - NAMED_MAX} more" if len(shown) > NAMED_MAX else ""
    return [("not named and kept as klepaas set it", f"{', '.join(shown[:NAMED_MAX])}{more}")]


def _shortest(path: Path, above: set[Path]) -> Path:
    """The shortest beginning of a path that nothing of the manifest lies below."""
    lengths = range(2 if path[0] == "f:metadata" else 1, len(path))
    return next((path[:length] for length in lengths if path[:length] not in above), path)
