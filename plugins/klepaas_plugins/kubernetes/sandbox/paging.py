"""Pages of a list, and the tokens that lead from one to the next.

Later pages show the present, not the moment of the first page.
"""

from __future__ import annotations

import base64
import json

from .model import Json
from .status import ApiError, bad_request

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def page(
    found: list[Json], meta: Json, limit: int, token: str, *, selected: bool, oldest: int = 0
) -> tuple[list[Json], Json]:
    """One page of a list, and its metadata.

    `oldest` is the version that the history of the objects reaches back to.

    Raises:
        ApiError: 400 for a token that is none, 410 for one that is too old.
    """
    if token:
        start, version = _decode(token)
        if 0 < version < oldest:
            fresh = _token(start, -1)
            error = ApiError(410, _EXPIRED, "Expired")
            error.body["metadata"] = {"continue": fresh}
            raise error
        found = [obj for obj in found if page_key(obj) >= start]
        if version > 0:
            meta = {"resourceVersion": str(version)}
    if not limit or len(found) <= limit:
        return found, meta
    meta = {**meta, "continue": token_of(page_key(found[limit - 1]), meta["resourceVersion"])}
    if not selected:
        meta["remainingItemCount"] = len(found) - limit
    return found[:limit], meta


def page_key(obj: Json) -> str:
    """What objects are sorted by in a list."""
    meta = obj["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def token_of(last: str, version: str) -> str:
    """The token of the page after the object with a sort key."""
    return _token(f"{last}\u0000", int(version))


def start_of(token: str) -> str:
    """The sort key a token's page begins at; empty for no token.

    Raises:
        ApiError: 400.
    """
    return _decode(token)[0] if token else ""


def _token(start: str, version: int) -> str:
    said = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(token: str) -> tuple[str, int]:
    why = "start key or resourceVersion is missing"
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        why = f"invalid character {_quoted(raw[:1])} looking for beginning of value"
        said = json.loads(raw)
        return str(said["start"]), int(said["rv"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {why}") from error


def _quoted(byte: bytes) -> str:
    """A byte as Go quotes a character."""
    letter = byte.decode("latin-1")
    return f"'{letter}'" if letter.isascii() and letter.isprintable() else f"'\\u{ord(letter or ' '):04x}'"
