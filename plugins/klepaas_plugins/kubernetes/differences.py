"""What differs between an object as it is and as it would be, in lines that a person reads, without secrets.

The values are compared as they are and shown as they may be shown: that a secret changes is told, not what it is.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas.output.safe import cut_with_count
from klepaas_plugins.kubernetes.masking import mask

__all__ = ["differences"]

LINES_MAX = 60
VALUE_MAX_CHARS = 160
_NAMES_OF_ITEMS = ("name", "containerPort", "port", "mountPath", "key", "ip", "type")
# What the server itself keeps up to date; a change there is nobody's wish.
_KEPT_BY_SERVER = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line a field that differs; texts of several lines as a diff of their lines.

    Args:
        before: The object as it is.
        after: The object as it would be.
    """
    old, new = dict(_leaves(_intent(before))), dict(_leaves(_intent(after)))
    old_shown, new_shown = dict(_leaves(_intent(mask(before)))), dict(_leaves(_intent(mask(after))))
    lines: list[str] = []
    for path in [*old, *(path for path in new if path not in old)]:
        if old.get(path) == new.get(path) or (path not in old_shown and path not in new_shown):
            continue
        lines += _lines(path, old_shown.get(path), new_shown.get(path))
    left_out = len(lines) - LINES_MAX
    return lines if left_out <= 0 else [*lines[:LINES_MAX], f"[{left_out} more lines]"]


def _intent(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = obj.get("metadata")
    kept = {key: value for key, value in (metadata or {}).items() if key not in _KEPT_BY_SERVER}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": kept}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        seen: dict[str, int] = {}
        for position, inner in enumerate(value):
            name = _name(inner, position)
            seen[name] = seen.get(name, 0) + 1
            again = f"#{seen[name]}" if seen[name] > 1 else ""
            yield from _leaves(inner, f"{path}[{name}{again}]")
    elif value not in ({}, []):
        yield path, value


def _name(item: Any, position: int) -> str:
    """What names an item of a list, so that an insertion does not look like a change of all that follow."""
    if isinstance(item, Mapping):
        for field in _NAMES_OF_ITEMS:
            if isinstance(item.get(field), str | int):
                return str(item[field])
    return str(position)


def _lines(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        changed = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]
        return (
            [f"{path}:", *(f"  {_short(line)}" for line in changed)] if changed else [f"{path}: a secret in it differs"]
        )
    if before is None:
        return [f"{path}: {_shown(after)} (new)"]
    if after is None:
        return [f"{path}: {_shown(before)} (removed)"]
    if before == after:
        return [f"{path}: {_shown(before)} (differs)"]
    return [f"{path}: {_shown(before)} -> {_shown(after)}"]


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _short(" ".join(text.split()) or '""')


def _short(text: str) -> str:
    return cut_with_count(text, VALUE_MAX_CHARS)
