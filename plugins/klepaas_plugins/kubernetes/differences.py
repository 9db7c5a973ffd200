"""What differs between an object as it is and as it would be, in lines that a person reads, without secrets.

The values are compared as they may be shown: of a hidden one that is sent it is told that it is, not whether it is new.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.output.line_diff import changed_lines
from klepaas.output.safe import cut_with_count
from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.comparing import is_hidden, item_name, with_encoded_data
from klepaas_plugins.kubernetes.masking.forms import is_masked

__all__ = ["Differences", "differences"]

LINES_MAX = 60
VALUE_MAX_CHARS = 160
_SIZE = re.compile(r"\((\d+ bytes)\)")
# What the server itself keeps up to date; a change there is nobody's wish.
_KEPT_BY_SERVER = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})


@dataclass(frozen=True)
class Differences:
    """What differs.

    Attributes:
        lines: One line a field that differs or is not compared.
        not_compared: How many hidden values were sent, of which it is not told whether they differ.
        changed: Whether anything that may be shown differs.
    """

    lines: list[str]
    not_compared: int
    changed: bool


def differences(before: Mapping[str, Any], after: Mapping[str, Any], sent: Mapping[str, Any]) -> Differences:
    """One line a field that differs; texts of several lines as a diff of their lines.

    Only what may be shown is compared: else whoever may try a manifest could try guesses.

    Args:
        before: The object as it is.
        after: The object as it would be.
        sent: The manifest: hidden values in it are named, and not compared.
    """
    old, new, given = (dict(_leaves(_intent(mask(one)))) for one in (before, after, with_encoded_data(sent)))
    lines: list[str] = []
    not_compared, changed = 0, False
    for path in [*old, *(path for path in new if path not in old)]:
        was, now = old.get(path), new.get(path)
        if was is not None and now is not None and (is_hidden(was) or is_hidden(now) or is_hidden(given.get(path))):
            found = _hidden_lines(path, str(was), str(given[path])) if path in given else []
            not_compared += bool(found)
            changed = changed or (
                bool(found) and not is_masked(str(was)) and not is_masked(str(given[path])) and was != given[path]
            )
        else:
            found = [] if was == now else _lines(path, was, now)
            changed = changed or bool(found)
        lines += found
    left_out = len(lines) - LINES_MAX
    shown = lines if left_out <= 0 else [*lines[:LINES_MAX], f"[{left_out} more lines]"]
    return Differences(shown, not_compared, changed)


def _differ_visibly(was: str, sent: str) -> bool:
    return was != sent and not is_masked(was) and not is_masked(sent)


def _hidden_lines(path: str, was: str, sent: str) -> list[str]:
    """A value that may not be shown, or a text with such a value in it."""
    if is_masked(sent) or is_masked(was):
        size = _SIZE.search(sent)
        return [f"{path}: {f'{size[1]}, ' if size else ''}hidden, not compared"]
    if "\n" in was + sent:
        return [f"{path}: secrets in it are hidden, not compared", *_changed_lines(was, sent)]
    shown = _shown(was) if was == sent else f"{_shown(was)} -> {_shown(sent)}"
    return [f"{path}: {shown}; what is hidden is not compared"]


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
            name = item_name(inner, position)
            seen[name] = seen.get(name, 0) + 1
            again = f"#{seen[name]}" if seen[name] > 1 else ""
            yield from _leaves(inner, f"{path}[{name}{again}]")
    elif value not in ({}, []):
        yield path, value


def _lines(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        return [f"{path}:", *_changed_lines(before, after)]
    if before is None:
        return [f"{path}: {_shown(after)} (new)"]
    if after is None:
        return [f"{path}: {_shown(before)} (removed)"]
    return [f"{path}: {_shown(before)} -> {_shown(after)}"]


def _changed_lines(before: str, after: str) -> list[str]:
    return [f"  {_short(line)}" for line in changed_lines(before, after, context_lines=1)]


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _short(" ".join(text.split()) or '""')


def _short(text: str) -> str:
    return cut_with_count(text, VALUE_MAX_CHARS)
