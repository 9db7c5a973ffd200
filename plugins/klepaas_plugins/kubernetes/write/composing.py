"""Puts the body of an apply together: what klepaas owns in the live object with the manifest on top."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from klepaas_plugins.kubernetes.masking.comparing import with_live_secrets
from klepaas_plugins.kubernetes.write.autoscaling import REPLICAS, is_autoscaled, may_set_replicas
from klepaas_plugins.kubernetes.write.drafts import Draft
from klepaas_plugins.kubernetes.write.items import Finder
from klepaas_plugins.kubernetes.write.managers import Side, judge_manager
from klepaas_plugins.kubernetes.write.merging import (
    Ambiguous,
    merge,
    null_paths,
    without_nulls,
    without_paths,
    without_versions,
)
from klepaas_plugins.kubernetes.write.own_fields import (
    Paths,
    entries_of,
    extract_own,
    find,
    own_paths,
    path_text,
    to_fields,
)
from klepaas_plugins.kubernetes.write.unions import with_others_removed

__all__ = ["choose_between", "compose", "leave_replicas_of_new"]

_LEFT = ("spec.replicas", "left to the autoscaler, which sets it")


def choose_between(draft: Draft, live: dict[str, Any], encoded: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with a null for each field that cannot be beside one that it names; what goes is noted.

    Args:
        draft: The plan.
        live: The object as it is.
        encoded: The manifest, with its nulls.
    """
    entries = entries_of(live)
    # A restoration takes nothing from a controller.
    controllers = [one for one in entries if judge_manager(one.manager, live).side is Side.CONTROLLER]
    held = frozenset().union(*(one.paths for one in controllers)) if draft.request.is_restoring else frozenset()
    wanted, left = with_others_removed(encoded, live, lambda path: any(one[: len(path)] == path for one in held))
    draft.notes += [(path_text(path), "left as it is: a controller owns it now") for path in left]
    draft.named = without_versions(without_nulls(wanted)) if left else draft.named
    there = Finder(live)
    removed = frozenset(path for path in draft.request.removed if there.find(path)[0])
    everyone = to_fields(frozenset().union(*(entry.paths for entry in entries)))
    draft.nulls = frozenset(null_paths(wanted, live, everyone)) | removed
    return wanted


async def compose(draft: Draft, live: dict[str, Any], encoded: Mapping[str, Any]) -> None:
    """Put the body together: what klepaas owns with the manifest on top.

    Args:
        draft: The plan.
        live: The object as it is.
        encoded: The manifest, with its nulls.

    Raises:
        KlepaasError: The cluster cannot be asked.
    """
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
    metadata = without_versions(body).get("metadata") or {}
    draft.body = {**body, **_identity_of(draft), "metadata": {**metadata, **_name_of(draft)}}
    if REPLICAS in own or find(draft.body, REPLICAS)[0]:
        await _leave_replicas(draft, live, own)


def _identity_of(draft: Draft) -> dict[str, Any]:
    return {key: draft.request.body[key] for key in ("apiVersion", "kind")}


def _name_of(draft: Draft) -> dict[str, Any]:
    metadata = draft.request.body["metadata"]
    return {key: metadata[key] for key in ("name", "namespace") if metadata.get(key) is not None}


async def _learn_keys(draft: Draft, live: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest's own items are known by, as a dry run of the manifest alone says.

    Raises:
        BadRequest: The manifest leaves out a part of a key, and alone it is not valid.
    """
    sent = with_live_secrets(draft.named, live)
    answer = await draft.request.cluster.apply(sent, force=True, dry_run=True)
    main = next((entry for entry in entries_of(answer) if entry.is_main), None)
    return dict(main.raw.get("fieldsV1") or {}) if main else {}


async def leave_replicas_of_new(draft: Draft) -> None:
    """Take the number of replicas out of a new object that an autoscaler targets from the start.

    Args:
        draft: The plan.
    """
    is_named, wanted = find(draft.named, REPLICAS)
    if not is_named or may_set_replicas(None, wanted) or not await _is_autoscaled(draft, draft.named):
        return
    draft.named = without_paths(draft.named, frozenset({REPLICAS}))
    draft.notes.append(_LEFT)


async def _is_autoscaled(draft: Draft, workload: Mapping[str, Any]) -> bool:
    return await is_autoscaled(draft.request.cluster, workload, draft.request.autoscalers)


async def _leave_replicas(draft: Draft, live: Mapping[str, Any], own: Paths) -> None:
    """Take the number of replicas out of the body while an autoscaler sets it."""
    is_there, wanted = find(draft.body, REPLICAS)
    is_named = find(draft.named, REPLICAS)[0]
    if is_named and may_set_replicas(live, wanted):
        return
    if not find(live, REPLICAS)[0] or not await _is_autoscaled(draft, live):
        return
    draft.has_moving_replicas = True
    draft.body = without_paths(draft.body, frozenset({REPLICAS}))
    if is_named and is_there and wanted != find(live, REPLICAS)[1]:
        draft.notes.append(_LEFT)
    if REPLICAS in own:
        draft.transfer = replace(draft.transfer, to_autoscaler=True)
