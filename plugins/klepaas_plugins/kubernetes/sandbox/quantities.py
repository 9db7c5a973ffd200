"""Resource quantities: read as numbers, written as the API server writes sums of them."""

from __future__ import annotations

import re
from typing import Any

_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Ki": 2**10, "Mi": 2**20,
             "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60, "n": 1e-9, "u": 1e-6}  # fmt: skip


def quantity(text: Any) -> float:
    """A resource quantity as a number, such as `250m` or `1Gi`; 0 for what is none."""
    found = re.fullmatch(r"([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)([A-Za-z]*)", str(text))
    return float(found[1]) * _SUFFIXES.get(found[2], 1.0) if found else 0.0


def quantity_text(name: str, value: float) -> str:
    """A sum of quantities of a resource, as statuses and refusals write it: cpu in millis, bytes in binary units."""
    if name.split(".")[-1] == "cpu":
        millis = round(value * 1000)
        return f"{millis}m" if millis % 1000 else str(millis // 1000)
    size = round(value)
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        unit = int(_SUFFIXES[suffix])
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
