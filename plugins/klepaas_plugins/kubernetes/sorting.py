"""The order of a list's objects by what stands in them: numbers, quantities, ages and times, or text.

The API server sorts by name only, so sorting reads the whole list, to a limit that the answer tells.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.names import Check
from klepaas_plugins.kubernetes.fieldpaths import FieldPath, path_of

__all__ = ["SORT_BY", "SORT_MAX", "Order", "in_order", "number_of", "order_of"]

SORT_MAX = 5000
_SORT = re.compile(r"-?[A-Za-z.$@{*\[][^\x00-\x1f\x7f]*")
SORT_BY = Check(
    "sort order", lambda text: _SORT.fullmatch(text) is not None, "a column such as AGE, or a path; -AGE reverses", 200
)
_HEADING = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*")
_AGE = re.compile(r"(?:\d{1,12}[ydhms])+")
_AGE_PART = re.compile(r"(?<!\d)(\d+)([ydhms])")
_SECONDS = {"y": 31_536_000, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)(n|u|m|k|[KMGTPE]i?|%)?")
_SCALE = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_LEADING = re.compile(r"(\d{1,15})(?:\D|$)")

Key = tuple[int, float, str]


@dataclass(frozen=True)
class Order:
    """What to sort by.

    Attributes:
        by: A column's heading, or a path.
        descending: Whether the largest comes first.
        path: The path. None: it is a heading.
    """

    by: str
    descending: bool
    path: FieldPath | None = None


def order_of(text: str) -> Order:
    """The order in a text such as `-AGE` or `.metadata.creationTimestamp`.

    Raises:
        BadRequest: It is a path, and not a valid one.
    """
    by = text.removeprefix("-")
    return Order(by, text.startswith("-"), None if _HEADING.fullmatch(by) else path_of(by))


def number_of(quantity: Any) -> float | None:
    """A Kubernetes quantity (`250m`, `1Gi`) as a number. None: it is none."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        return None
    unit = found[2] or ""
    return float(found[1]) * float(_SCALE.get(unit) or _BINARY.get(unit) or 1)


def in_order(values: Sequence[Any], *, descending: bool) -> list[int]:
    """The positions of the values, sorted; those without a value come last either way.

    Args:
        values: One value an object.
        descending: Whether the largest comes first.
    """
    texts = [_text(value) for value in values]
    given = [text for text in texts if text]
    read = _by_number
    if given and all(_AGE.fullmatch(text) for text in given):
        read = _by_age
    filled = [at for at, text in enumerate(texts) if text]
    ordered = sorted(filled, key=lambda at: read(texts[at]), reverse=descending)
    return ordered + [at for at, text in enumerate(texts) if not text]


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None or value in ("<none>", "<unset>", "<unknown>"):
        return ""
    return str(value)


def _by_age(text: str) -> Key:
    return 0, float(sum(int(count) * _SECONDS[unit] for count, unit in _AGE_PART.findall(text))), text


def _by_number(text: str) -> Key:
    number = number_of(text)
    if number is not None:
        return 0, number, ""
    leading = _LEADING.match(text)
    # "3 (5m ago)" and "1/2" are counts with something behind; a timestamp is text that sorts by itself.
    if leading and not re.match(r"\d{4}-\d\d-", text):
        return 0, float(leading[1]), text
    return 1, 0.0, text
