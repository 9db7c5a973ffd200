"""Cells of a server's table: columns of a custom kind may print any field of its objects, under any heading.

A cell is compared with the object that it prints: what masking the object hides is hidden in the cell. Where a row has
no object, the heading and the column's JSONPath tell, as far as the server says it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from klepaas.output.masking.field_names import is_reference
from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.masking.values import is_hidden_value
from klepaas_plugins.kubernetes.masking.forms import is_harmless, masked
from klepaas_plugins.kubernetes.masking.objects import mask, mask_value

__all__ = ["mask_cells"]

# What an API server says of a column whose definition has no description of its own.
_PATH = re.compile(r"\(in JSONPath format\): (?P<path>.{1,500})")
_QUOTED = re.compile(r"[\"']([^\"']{1,200})[\"']")
_FIELD = re.compile(r"[A-Za-z_][\w-]{0,200}")
_SHORTEST_CHARS = 3
# Columns that kinds have in common, and that print no value of anybody.
_COMMON = frozenset({"name", "namespace", "age", "created at", "status", "ready", "phase", "state", "reason", "type"})


def mask_cells(
    columns: Sequence[tuple[str, str]], cells: Sequence[Any], obj: Mapping[str, Any] | None, *, custom: bool
) -> list[Any]:
    """The cells of one row without the secrets of its object.

    Args:
        columns: The heading and the description of each column.
        cells: The values of the row.
        obj: The whole object. None: it is not known.
        custom: Whether the kind is a custom one, whose columns print what its author chose.
    """
    hidden = dict(_hidden(obj, mask(obj))) if obj is not None and custom else {}
    judged = custom and obj is None
    looks = bool(hidden) or judged
    longest_first = sorted(hidden, key=len, reverse=True)
    return [
        _cell(column, cell, hidden, longest_first, judged=judged)
        if looks or secrecy(column[0]) is not Secrecy.PLAIN
        else cell
        for column, cell in zip([*columns, *[("", "")] * len(cells)], cells, strict=False)
    ]


def _cell(
    column: tuple[str, str], cell: Any, hidden: Mapping[str, str], longest_first: Sequence[str], *, judged: bool
) -> Any:
    heading, description = column
    if not isinstance(cell, str):
        return masked(str(cell)) if str(cell) in hidden and not isinstance(cell, bool) and cell is not None else cell
    if is_hidden_value(secrecy(heading), cell, in_configuration=True):
        return masked(cell)
    for old in longest_first:
        cell = cell.replace(old, hidden[old])
    return _judged(heading, description, cell) if judged else cell


def _judged(heading: str, description: str, cell: str) -> str:
    """A cell without its object: by the path of its column; where nobody says it, a value of any form may be one."""
    found = _PATH.search(description)
    if found is None:
        return cell if heading.lower() in _COMMON or is_harmless(cell) else masked(cell)
    return mask_value(_name_of(found["path"]), cell)


def _name_of(path: str) -> str:
    """The name in a path that tells most of what it leads to."""
    quoted = next((name for name in _QUOTED.findall(path) if secrecy(name) is not Secrecy.PLAIN), None)
    fields = _FIELD.findall(_QUOTED.sub("", path))
    last = fields[-1] if fields else ""
    around = next((field for field in reversed(fields[:-1]) if secrecy(field) is not Secrecy.PLAIN), None)
    return quoted or (last if around is None or is_reference(last) else around)


def _hidden(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """The values that masking an object changed, each with what it became."""
    waiting = [(before, after)]
    while waiting:
        old, new = waiting.pop()
        if isinstance(old, Mapping):
            inner = new if isinstance(new, Mapping) else {}
            waiting += [(value, inner[key]) for key, value in old.items() if key in inner]
        elif isinstance(old, list) and isinstance(new, list):
            waiting += list(zip(old, new, strict=False))
        elif old != new and len(str(old)) >= _SHORTEST_CHARS:
            yield str(old), str(new)
