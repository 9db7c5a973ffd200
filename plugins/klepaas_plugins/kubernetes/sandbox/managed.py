"""metadata.managedFields kept up to date on every write that is not an apply."""

from __future__ import annotations

from .fields import Paths, difference, from_fields_v1, to_fields_v1
from .model import Json, timestamp
from .openapi.schemas import Node

OwnerId = tuple[str, str, str, str]
Owners = dict[OwnerId, tuple[Paths, str | None]]


def owners_of(obj: Json | None) -> Owners:
    """The entries of managedFields by manager, operation, apiVersion and subresource."""
    owners: Owners = {}
    for entry in (obj or {}).get("metadata", {}).get("managedFields") or []:
        owner = entry["manager"], entry["operation"], entry["apiVersion"], entry.get("subresource", "")
        owners[owner] = from_fields_v1(entry.get("fieldsV1") or {}), entry.get("time")
    return owners


def _entry(owner: OwnerId, paths: Paths, time: str | None) -> Json:
    manager, operation, api_version, subresource = owner
    entry: Json = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if time:
        entry["time"] = time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(paths)}
    return {**entry, "subresource": subresource} if subresource else entry


def with_owners(obj: Json, owners: Owners) -> Json:
    """The object with its managedFields written anew, in the API server's order."""
    kept = [(owner, paths, time) for owner, (paths, time) in owners.items() if paths]
    kept.sort(key=lambda item: (item[0][1], item[2] or "", item[0]))
    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    if kept:
        meta["managedFields"] = [_entry(*item) for item in kept]
    return {**obj, "metadata": meta}


def update_owners(old: Json | None, new: Json, manager: str, subresource: str, node: Node, now_s: float) -> Json:
    """The new object with what changed given to its writer and taken from everyone else."""
    owners = owners_of(old)
    before = old or {"metadata": {}, "spec": {}, "status": {}} if not node.custom else old or {"metadata": {}}
    if not old:
        before = {name: part for name, part in before.items() if name in new}
    changed, removed = difference(before, new, node)
    changed.discard(())
    if not changed and not removed:
        return (
            {**new, "metadata": {**new["metadata"], "managedFields": old["metadata"]["managedFields"]}}
            if (old and "managedFields" in old["metadata"])
            else new
        )
    mine = manager, "Update", new["apiVersion"], subresource
    for owner, (paths, time) in list(owners.items()):
        owners[owner] = (paths - removed - (changed if owner != mine else set()), time)
    held = owners.get(mine, (set(), None))[0]
    # The API server writes no time for the scale subresource; see the recordings.
    owners[mine] = (held | changed) - removed, None if subresource == "scale" else timestamp(now_s)
    return with_owners(new, owners)
