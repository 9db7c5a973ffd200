"""The keys by which managedFields name the items of lists: `k:{"name":"web"}` by fields, `v:"text"` by the value.

What is no such key names nothing: a server may send anything.

Source: structured-merge-diff v6, fieldpath/serialize-pe.go.
"""

from collections.abc import Mapping
from typing import Any

from klepaas.foreign_json import parse_json

__all__ = ["fields_of_key", "is_value_key"]


def fields_of_key(key: str) -> Mapping[str, Any] | None:
    """The fields that name an item of a list.

    Args:
        key: A key of FieldsV1.

    Returns:
        Their values by their names; None where the key is none of fields.
    """
    found = _read(key, "k:")
    return found if isinstance(found, dict) else None


def is_value_key(key: str, item: Any) -> bool:
    """Whether a key names an item by its whole value.

    Args:
        key: A key of FieldsV1.
        item: The item.
    """
    return key.startswith("v:") and item is not None and _read(key, "v:") == item


def _read(key: str, prefix: str) -> Any:
    if not key.startswith(prefix):
        return None
    try:
        return parse_json(key[len(prefix) :])
    except ValueError:
        return None
