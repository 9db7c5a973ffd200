"""Has the server compute what becomes of an object, by dry runs; where it cannot, the manifest stands for it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.errors import Invalid
from klepaas_plugins.kubernetes.masking.comparing import with_live_secrets
from klepaas_plugins.kubernetes.write.autoscaling import REPLICAS
from klepaas_plugins.kubernetes.write.compare import compare
from klepaas_plugins.kubernetes.write.drafts import Draft
from klepaas_plugins.kubernetes.write.immutable import immutable_fields, with_live_fields
from klepaas_plugins.kubernetes.write.merging import merge, named_paths, without_paths
from klepaas_plugins.kubernetes.write.own_fields import Path, Paths, entries_of, find, own_paths, to_fields
from klepaas_plugins.kubernetes.write.unions import with_others_removed

__all__ = ["learn_paths", "try_apply", "try_removals", "why_no_dry_run"]

_NO_DRY_RUN = "does not support dry run"


async def try_apply(draft: Draft, live: dict[str, Any]) -> None:
    """Have the server compute what becomes of the object.

    Args:
        draft: The plan.
        live: The object as it is.

    Raises:
        ObjectModified: The object has another version by now.
        KlepaasError: The server refuses the change.
    """
    sent = _trial_body(draft, live)
    try:
        draft.after = await _try_immutable(draft, live, sent)
    except BadRequest as exc:
        if isinstance(exc, Invalid) and draft.nulls:
            await _try_whole(draft, live, exc)
            return
        draft.not_checked = why_no_dry_run(exc)
        fields = to_fields(frozenset().union(*(entry.paths for entry in entries_of(live))))
        draft.claimed = named_paths(draft.body, fields)
        merged, removed = merge(live, draft.body, fields), _let_go(live, draft.claimed)
        draft.after = without_paths(merged, removed) if draft.request.remove_unnamed else merged
        return
    main = next((entry for entry in entries_of(draft.after) if entry.is_main), None)
    draft.claimed = main.paths if main else frozenset()


def why_no_dry_run(exc: BadRequest) -> str:
    """Why the server cannot try a change out.

    Args:
        exc: What it answered to a dry run.

    Raises:
        BadRequest: It can, and refuses the change.
    """
    if _NO_DRY_RUN not in exc.what:
        raise exc
    hook = exc.what.partition(_NO_DRY_RUN)[0].rpartition("webhook ")[2].strip()
    return f"webhook {hook} {_NO_DRY_RUN}"


async def learn_paths(cluster: Cluster, obj: Mapping[str, Any], live: Mapping[str, Any] | None) -> Paths:
    """The paths of an object: the server says what the items of its lists are known by.

    Args:
        cluster: The cluster.
        obj: The object.
        live: The object as it is. None: there is none.

    Raises:
        KlepaasError: The server refuses the object.
    """
    # Beside what is there now it may be invalid, where one thing excludes the other.
    sent, without = with_others_removed(obj, live or {}, lambda _: True)
    answer = await cluster.apply(sent, force=True, dry_run=True)
    found = next((entry.paths for entry in entries_of(answer) if entry.is_main), frozenset[Path]())
    holders = {path[:-1] for path in without}
    more = named_paths(obj, to_fields(found)) if holders else ()
    return found | {path for path in more if any(path[: len(holder)] == holder for holder in holders)}


def _trial_body(draft: Draft, live: dict[str, Any]) -> dict[str, Any]:
    """What a dry run sends: a hidden value would answer whether it is the one that is there."""
    sent = with_live_secrets(draft.body, live)
    held = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
    sent["metadata"] = {**sent["metadata"], **held}
    if draft.transfer.to_autoscaler:
        sent["spec"] = {**(sent.get("spec") or {}), "replicas": find(live, REPLICAS)[1]}
    return sent


async def _try_immutable(draft: Draft, live: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
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
        wanted = merge(after, sent, to_fields(frozenset().union(*(entry.paths for entry in entries_of(after)))))
        draft.immutable = [replace(one, recreate=True) for one in compare(after, wanted, draft.named)]
        return after
    raise refusal


async def _try_whole(draft: Draft, live: dict[str, Any], refusal: Invalid) -> None:
    """Try the object without what is to go, since an apply would leave beside the rest what others own of that.

    Raises:
        Invalid: It is refused so as well; then the first refusal says why.
    """
    resource, request = draft.request.resource, draft.request
    sent = with_live_secrets(draft.body, live)
    fields = to_fields(frozenset().union(*(entry.paths for entry in entries_of(live))))
    claimed = named_paths(draft.body, fields)
    wanted = without_paths(merge(live, sent, fields), draft.nulls | _let_go(live, claimed))
    if resource is None:
        raise refusal
    try:
        draft.after = await request.cluster.json_patch(
            resource, request.name, request.namespace, list(_replacements(live, wanted)), dry_run=True
        )
    except Invalid:
        raise refusal from None
    draft.claimed = claimed


def _let_go(live: Mapping[str, Any], claimed: Paths) -> Paths:
    """What klepaas owns, and would not own any more; a whole of which parts are named is not let go."""
    named = {path[:length] for path in claimed for length in range(1, len(path) + 1)}
    return frozenset(path for path in own_paths(live) if path not in named)


async def try_removals(draft: Draft, live: dict[str, Any], paths: Paths) -> None:
    """Have the server check the removal of what others own still, which no dry run of an apply shows.

    Args:
        draft: The plan.
        live: The object as it is.
        paths: What is to go.

    Raises:
        KlepaasError: The server refuses the removal.
    """
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


def _stays(draft: Draft, live: Mapping[str, Any], path: Path) -> bool:
    """Whether others keep what lies at a path after all that changes hands."""
    taken = frozenset(loss.path for loss in draft.losses)
    entries = (entry for entry in entries_of(live) if not entry.is_ours and entry.subresource != "status")
    return any(one[: len(path)] == path and one not in taken for entry in entries for one in entry.paths)


def _replacements(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The operations of a JSON patch that make one object of another."""
    for key in {**before, **after}:
        if key in ("status", "apiVersion", "kind"):
            continue
        if key == "metadata":
            for name in ("labels", "annotations", "finalizers", "ownerReferences"):
                yield from _replacement(f"/metadata/{name}", before[key].get(name), after[key].get(name))
        else:
            yield from _replacement(f"/{key}", before.get(key), after.get(key))


def _replacement(pointer: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    if after is None and before is not None:
        yield {"op": "remove", "path": pointer}
    elif after is not None:
        yield {"op": "add", "path": pointer, "value": after}
