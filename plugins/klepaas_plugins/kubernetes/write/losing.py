"""Settles whose fields a change takes: people's are moved, controllers' are refused, or left alone when restoring."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from klepaas.changes import Risk
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.comparing import is_hidden
from klepaas_plugins.kubernetes.write.autoscaling import REPLICAS, is_autoscalers
from klepaas_plugins.kubernetes.write.drafts import Draft
from klepaas_plugins.kubernetes.write.items import Finder
from klepaas_plugins.kubernetes.write.managers import Side, judge_manager
from klepaas_plugins.kubernetes.write.merging import merge, named_paths, without_paths
from klepaas_plugins.kubernetes.write.own_fields import (
    Path,
    Paths,
    entries_of,
    extract,
    find,
    others_paths,
    own_paths,
    path_text,
    to_fields,
)
from klepaas_plugins.kubernetes.write.ownership import Loss, judge_losses, losses_of
from klepaas_plugins.kubernetes.write.trial import try_apply, try_removals

__all__ = ["reverting_risks", "settle_owners", "takeover_facts"]

LEAVE_ROUNDS_MAX = 3


async def settle_owners(draft: Draft, live: dict[str, Any]) -> None:
    """Find whose fields are lost, refuse or leave a controller's, and see what is moved first.

    Args:
        draft: The plan.
        live: The object as it is.

    Raises:
        FieldConflict: A controller owns some of them.
        KlepaasError: The cluster refuses what is left of the change.
    """
    for _ in range(LEAVE_ROUNDS_MAX):
        _find_losses(draft, live)
        refused = [loss for loss in draft.losses if not _is_person(loss, live)]
        if not draft.request.is_restoring or not refused:
            break
        _leave(draft, live, refused)
        await try_apply(draft, live)
    judge_losses(draft.losses, live, draft.request.title, take_ownership=draft.request.take_ownership)
    await _move(draft, live)


def _find_losses(draft: Draft, live: dict[str, Any]) -> None:
    """Note what other managers lose."""
    after, taken = draft.after or live, _find_taken(draft, live)
    draft.losses = [_judged(draft, loss) for loss in losses_of(live, after, taken=taken, removed=draft.nulls)]


def _judged(draft: Draft, loss: Loss) -> Loss:
    """A loss, stale where an autoscaler's number is in the body: it is there only if none sets it any more."""
    is_stale = loss.path == REPLICAS and is_autoscalers(loss.entry) and find(draft.body, REPLICAS)[0]
    return replace(loss, is_stale=is_stale)


def _leave(draft: Draft, live: dict[str, Any], refused: Sequence[Loss]) -> None:
    """Take out of the body what would take fields from controllers, and put back the items that hold such fields."""
    for loss in refused:
        text = judge_manager(loss.entry.manager, live).text
        draft.notes.append((path_text(loss.path), f"left as it is: {text} owns it now"))
    moved = frozenset(loss.path for loss in refused if loss.must_move)
    draft.body = without_paths(draft.body, moved)
    held = [loss.path for loss in refused if not loss.must_move]
    own = own_paths(live)
    kept = frozenset(path for path in own if any(_item_of(one) == path[: len(_item_of(one))] for one in held))
    if kept:
        draft.body = merge(
            draft.body, extract(live, to_fields(kept), to_fields(others_paths(live))), to_fields(own | draft.claimed)
        )


def _item_of(path: Path) -> Path:
    """The outermost item of a list that a path goes through."""
    at = next((at for at, step in enumerate(path) if step.startswith("k:")), len(path) - 1)
    return path[: at + 1]


async def _move(draft: Draft, live: dict[str, Any]) -> None:
    """See what changes hands first, and have the server check what goes only then."""
    request, after = draft.request, draft.after or live
    unnamed = own_paths(live) - draft.claimed if request.remove_unnamed else frozenset()
    kept_by_others = frozenset(path for path in unnamed if _has_other_owner(live, path) and find(after, path)[0])
    shared = losses_of(live, after, taken=(), removed=kept_by_others)
    mine = [loss for loss in shared if request.take_ownership or _is_person(loss, live)]
    staying = {path_text(loss.path): loss.entry.manager for loss in shared if loss not in mine}
    draft.notes += [(path, f"stays: {judge_manager(who, live).text} owns it too") for path, who in staying.items()]
    draft.losses += mine
    draft.gone = draft.nulls | unnamed
    moved = frozenset(loss.path for loss in draft.losses if loss.must_move)
    main = next((entry.paths for entry in entries_of(live) if entry.is_main), frozenset())
    # What nobody owns goes only if it is claimed first.
    orphans = frozenset(path for path in draft.nulls if not _is_owned_whole(live, path, main | moved))
    is_fold = any(entry.is_ours and not entry.is_main for entry in entries_of(live)) or not own_paths(live) <= main
    draft.transfer = replace(draft.transfer, claims=moved | orphans, is_fold=is_fold)
    await try_removals(draft, live, draft.nulls | (unnamed - main) | frozenset(loss.path for loss in mine))


def _has_other_owner(live: Mapping[str, Any], path: Path) -> bool:
    return any(path in entry.paths and not entry.is_ours for entry in entries_of(live))


def _is_owned_whole(live: Mapping[str, Any], path: Path, owned: Paths) -> bool:
    """Whether everything at a path is among some owned paths."""
    if path in owned and not _has_deeper(owned, path):
        return True
    fields: Any = to_fields(owned)
    for step in path:
        fields = fields.get(step) or {}
    value = find(live, path)[1]
    if isinstance(value, list) and len(value) != len([step for step in fields if step != "."]):
        return False
    return all((*path, *one) in owned for one in named_paths(value, fields)) and isinstance(value, dict | list)


def _is_person(loss: Loss, live: Mapping[str, Any]) -> bool:
    return loss.side(live) is Side.PERSON


def _find_taken(draft: Draft, live: Mapping[str, Any]) -> Paths:
    """The paths that get another value, or one that may not be compared."""
    now, then, named, shown = (Finder(one) for one in (live, draft.after, draft.named, mask(draft.named)))
    containers = {path[:length] for path in draft.claimed for length in range(1, len(path))}
    found = []
    for path in draft.claimed:
        was = now.find(path)
        if path[-1].startswith("k:") or not was[0]:
            continue
        if was[1] != then.find(path)[1]:
            found += [] if path in containers else [path]
            continue
        is_shown, text = shown.find(path)
        if named.find(path)[0] and (not is_shown or is_hidden(text)):
            found.append(path)
    return frozenset(found)


def _has_deeper(paths: Paths, path: Path) -> bool:
    return any(len(one) > len(path) and one[: len(path)] == path for one in paths)


def takeover_facts(draft: Draft, live: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Whose fields are taken over, as facts of the change.

    Args:
        draft: The plan.
        live: The object as it is.
    """
    by_manager: dict[str, list[str]] = {}
    for loss in draft.losses:
        by_manager.setdefault(judge_manager(loss.entry.manager, live).text, []).append(path_text(loss.path))
    return [(f"taken over from {name}", ", ".join(dict.fromkeys(paths))) for name, paths in by_manager.items()]


def reverting_risks(draft: Draft, live: Mapping[str, Any]) -> list[Risk]:
    """What a controller would undo although its fields are taken over.

    Args:
        draft: The plan.
        live: The object as it is.
    """
    managers = [judge_manager(loss.entry.manager, live) for loss in draft.losses if not loss.is_stale]
    names = dict.fromkeys(one.text for one in managers if one.side is Side.CONTROLLER)
    return [
        Risk(code="reverted-by-controller", text=f"{name} may write its values again", severity=Effect.WRITE)
        for name in names
    ]
