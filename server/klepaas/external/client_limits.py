"""What clients drop of a server's tools without a word: long names, and names of properties in other letters.

Claude Code drops a tool one of whose properties does not fit; others cut long names or drop the tool. klepaas still
serves such a tool, since other clients take it, and says which it is. Properties whose names no client would take are
left out of the schema (`klepaas.external.wording`), so the names are read from the server's own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas.external.offers import Offer
from klepaas.output.quoting import quote

__all__ = ["client_limits"]

# Clients add a name of their own for the server in front, and take 64 characters.
NAME_MAX_CHARS = 60
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_DEPTH_MAX = 16


def client_limits(offer: Offer) -> list[str]:
    """Why some clients would drop a tool or cut its name, each in one sentence. Empty: none would.

    Args:
        offer: The tool.
    """
    found = []
    if len(offer.name) > NAME_MAX_CHARS:
        found.append(
            f"{offer.name} has a name of {len(offer.name)} characters; some clients take {NAME_MAX_CHARS} at most"
        )
    names = sorted({name for name in _properties(offer.definition.schema, 0) if not _PROPERTY.fullmatch(name)})
    if names:
        listed = ", ".join(map(quote, names[:3]))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        found.append(f"{offer.name} has properties that are left out, or for which clients drop it: {listed}{more}")
    return found


def _properties(schema: Any, depth: int) -> Iterator[str]:
    """The names of all properties, at any depth."""
    if depth > _DEPTH_MAX:
        return
    if isinstance(schema, list):
        for item in schema:
            yield from _properties(item, depth + 1)
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            yield from map(str, properties)
        for key, item in schema.items():
            if key == "properties" and isinstance(item, Mapping):
                yield from _properties(list(item.values()), depth + 1)
            elif key not in ("default", "enum", "const", "examples"):
                yield from _properties(item, depth + 1)
