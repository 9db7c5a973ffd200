"""Server-side apply: merge by ownership, conflicts, force, removal of what is no longer applied.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from typing import Any

from .fields import Path, Paths, applied, below, children, items_of, path_text
from .managed import OwnerId, Owners, owners_of, with_owners
from .model import Json, timestamp
from .openapi.schemas import Node
from .status import ApiError


def apply_patch(
    live: Json | None, patch: Json, manager: str, *, force: bool, node: Node, now_s: float, subresource: str = ""
) -> Json:
    """The object after the patch, with its managedFields; `live` itself when nothing changes.

    Raises:
        ApiError: 409 when other managers own what the patch changes and `force` is false.
    """
    mine: OwnerId = manager, "Apply", patch["apiVersion"], subresource
    claimed = applied(patch, node)
    owners = owners_of(live)
    if live is None:
        owners[mine] = claimed, timestamp(now_s)
        return with_owners(patch, owners)
    conflicts = _conflicts(live, patch, claimed, owners, mine, node)
    if conflicts and not force:
        raise _conflict_error(conflicts, owners)
    before = owners.get(mine, (set(), None))
    merged: Json = _merge(live, patch, node)
    for owner, path in conflicts:
        paths, time = owners[owner]
        owners[owner] = paths - {path}, time
    others = set().union(*(paths for owner, (paths, _) in owners.items() if owner != mine))
    gone = before[0] - _with_parents(claimed)
    merged = _remove(merged, gone, others, node)
    merged = _remove_hollow(merged, gone, others | claimed, node)
    unchanged = before[0] == claimed and not conflicts
    owners[mine] = claimed, before[1] if unchanged else timestamp(now_s)
    meta = {**merged["metadata"], "managedFields": live["metadata"].get("managedFields")}
    if unchanged and {**merged, "metadata": meta} == live:
        return live
    owners = _forget_removed(owners, live, merged, node)
    owners[mine] = claimed, timestamp(now_s)
    return with_owners(merged, owners)


def _find(value: Any, path: Path, node: Node) -> tuple[bool, Any]:
    for step in path:
        found = children(value, node)
        if found is None or step not in found:
            return False, None
        value, node = found[step], below(node, step)
    return True, value


def _conflicts(
    live: Json, patch: Json, claimed: Paths, owners: Owners, mine: OwnerId, node: Node
) -> list[tuple[OwnerId, Path]]:
    changed = []
    for path in sorted(claimed):
        wanted, held = _find(patch, path, node)[1], _find(live, path, node)
        if path[-1][:2] != "k:" and held[0] and held[1] != wanted:
            changed.append(path)
    return [
        (owner, path)
        for owner, (paths, _) in sorted(owners.items())
        if owner != mine
        for path in changed
        if path in paths
    ]


def _manager_text(owner: OwnerId, time: str | None) -> str:
    manager, operation, api_version, subresource = owner
    text = f'"{manager}"' + (f' with subresource "{subresource}"' if subresource else "")
    if operation == "Update":
        text += f" using {api_version}" + (f" at {time}" if time else "")
    return text


def _conflict_error(conflicts: list[tuple[OwnerId, Path]], owners: Owners) -> ApiError:
    texts = [(_manager_text(owner, owners[owner][1]), path_text(path)) for owner, path in conflicts]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": where} for who, where in texts
    ]
    if len(texts) == 1:
        message = f"Apply failed with 1 conflict: conflict with {texts[0][0]}: {texts[0][1]}"
    else:
        lines: list[str] = []
        for who in dict.fromkeys(who for who, _ in texts):
            lines += [f"conflicts with {who}:", *(f"- {where}" for other, where in texts if other == who)]
        message = f"Apply failed with {len(texts)} conflicts: " + "\n".join(lines)
    return ApiError(409, message, "Conflict", {"causes": causes})


def _merge(live: Any, patch: Any, node: Node) -> Any:
    if isinstance(patch, dict) and isinstance(live, dict):
        if node.atomic:
            return patch
        merged = dict(live)
        for name, value in patch.items():
            merged[name] = _merge(live[name], value, below(node, f"f:{name}")) if name in live else value
        return merged
    if isinstance(patch, list) and isinstance(live, list):
        before, after = items_of(live, node), items_of(patch, node)
        if before is not None and after is not None:
            merged_items = {key: _merge(item, after.get(key, item), node.items) for key, item in before.items()}
            return [{**after, **merged_items}[key] for key in _merged_order(list(before), list(after))]
    return patch


def _merged_order(live: list[str], patch: list[str]) -> list[str]:
    """The order of a merged list: the items of the patch as it has them, the others where they stand between them.

    Source: structured-merge-diff, mergingWalker.visitListItems.
    """
    shared = [key for key in patch if key in set(live)]
    merged: list[str] = []
    rest = list(patch)
    for key in live:
        if key not in patch:
            merged.append(key)
        elif shared and key == shared[0]:
            end = rest.index(key) + 1
            merged, rest, shared = [*merged, *rest[:end]], rest[end:], shared[1:]
    return [*merged, *rest]


def _remove(obj: Json, gone: Paths, others: Paths, node: Node) -> Json:
    held = {path[:length] for path in others for length in range(1, len(path) + 1)}
    # A list item goes as a whole, with what others own in it, unless somebody else owns the item itself.
    items = {path for path in gone if path[-1][:2] == "k:"}
    for path in sorted(items - others, key=len):
        obj = _without(obj, path, node)
    for path in sorted(gone - items, key=len, reverse=True):
        if path not in held and not _is_key(path):
            obj = _without(obj, path, node)
    return obj


def _forget_removed(owners: Owners, live: Json, merged: Json, node: Node) -> Owners:
    """The owners without the paths that the merge took out of the object."""
    return {
        owner: (
            {path for path in paths if _find(merged, path, node)[0] or not _find(live, path, node)[0]},
            time,
        )
        for owner, (paths, time) in owners.items()
    }


def _remove_hollow(obj: Json, gone: Paths, owned: Paths, node: Node) -> Json:
    """The object without the fields of which nobody owns anything any more: only defaults are left in them.

    Source: structured-merge-diff, Set.EnsureNamedFieldsAreMembers, Updater.prune.
    """
    held = {path[:length] for path in owned for length in range(1, len(path) + 1)}
    parents = {path[:length] for path in gone for length in range(1, len(path)) if path[length - 1][:2] == "f:"}
    for path in sorted(parents - held, key=len):
        if len(path) > 1:
            obj = _without(obj, path, node)
    return obj


def _with_parents(paths: Paths) -> Paths:
    """The paths and every field above one of them.

    Source: structured-merge-diff, Set.EnsureNamedFieldsAreMembers.
    """
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


def _is_key(path: Path) -> bool:
    """Whether a path names a field that is part of its list item's key."""
    return len(path) > 1 and path[-2][:2] == "k:" and path[-1][2:] in json.loads(path[-2][2:])


def _without(value: Any, path: Path, node: Node) -> Any:
    """The value without what lies at a path; what becomes empty on the way goes too."""
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        items = items_of(value, node)
        if items is None or step not in items:
            return value
        if rest:
            items[step] = _without(items[step], rest, node.items)
        return [item for key, item in items.items() if key != step or rest]
    name = step[2:]
    if not isinstance(value, dict) or name not in value:
        return value
    child = _without(value[name], rest, below(node, step)) if rest else None
    if child or (rest and value[name] == child):
        return {**value, name: child}
    return {key: item for key, item in value.items() if key != name}
