"""Which fields of a live object klepaas has set before, and who owns the others.

A redeploy that names only an image must keep the port and the variables of the one before. What klepaas wanted then is
read from the live object itself (metadata.managedFields), so it needs no memory of its own and survives the server.

Sources: Kubernetes, "Server-Side Apply", sections "Field management" and "Conflicts"; structured-merge-diff, FieldsV1.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, at
from klepaas_plugins.kubernetes.field_keys import fields_of_key, is_value_key

__all__ = ["MANAGER", "foreign", "intent", "is_ours"]

MANAGER = "klepaas"


def is_ours(live: Object) -> bool:
    """Whether klepaas has applied this object before."""
    return bool(_fields_of_ours(live))


def intent(live: Object) -> dict[str, Any]:
    """What klepaas wanted of this object, with the values it has now; empty where klepaas never set a field.

    Fields that klepaas set by patch (a rollback, a restart) count too. The scale subresource does not: a number of
    replicas set there stays as it is while nobody names another.
    """
    fields = _fields_of_ours(live)
    owned = extract(live, fields) if fields else {}
    return owned if isinstance(owned, dict) else {}


def _fields_of_ours(live: Object) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for entry in at(live, "metadata", "managedFields") or ():
        if entry.get("manager") == MANAGER and not entry.get("subresource"):
            fields = _union(fields, entry.get("fieldsV1") or {})
    return fields


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    keys = dict.fromkeys((*one, *other))
    return {key: _union(one.get(key) or {}, other.get(key) or {}) for key in keys}


def extract(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of a value that a FieldsV1 set names.

    Args:
        value: An object, a list or a leaf of the live document.
        fields: The set; an empty one names the whole value.
    """
    if isinstance(value, dict) and fields:
        names = (key[2:] for key in fields if key.startswith("f:"))
        return {name: extract(value[name], fields[f"f:{name}"]) for name in names if name in value}
    if isinstance(value, list) and fields:
        return _extract_items(value, fields)
    return value


def _extract_items(items: list[Any], fields: Mapping[str, Any]) -> list[Any]:
    found = []
    for item in items:
        for key, inner in fields.items():
            if _names(key, item):
                owned = extract(item, {name: deeper for name, deeper in inner.items() if name != "."})
                found.append(owned)
    return found


def _names(key: str, item: Any) -> bool:
    """Whether a FieldsV1 key (`k:{"name":"main"}` or `v:"text"`) names this item of a list."""
    named = fields_of_key(key)
    if named is None or not isinstance(item, dict):
        return is_value_key(key, item)
    return all(item.get(name) == value for name, value in named.items())


def foreign(owners: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the conflicting managers and fields that are somebody else's affair.

    klepaas' own earlier patches are not; neither is the change cause, which by its meaning is written anew by whoever
    changes the object.
    """
    return [(manager, field) for manager, field in owners if manager != MANAGER and not field.endswith(CHANGE_CAUSE)]
