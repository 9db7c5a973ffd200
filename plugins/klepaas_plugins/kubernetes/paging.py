"""How a long list is answered: as much as fits the budget, how much is left, and a cursor to go on.

A cursor names the place in one list of one cluster. It carries a digest of the question, so that a cursor of another
question, or one that somebody changed, is refused instead of answering something else.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.output.budget import LIST_BYTES, fit
from klepaas_plugins.kubernetes.sorting import SORT_MAX, Order, in_order

__all__ = ["CURSOR", "Listing", "Page", "cursor_for", "paged", "sorted_page", "token_of"]

# The budget when the caller asked for a number of objects: they know what they ask for.
ASKED_BYTES = 200_000
NOTE_BYTES = 700
SORT_PAGE = 500
_OFFSET = re.compile(r"at\.(\d{1,6})")
_CURSOR = re.compile(r"[0-9a-f]{12}\.[A-Za-z0-9_+/=.~-]{1,1900}")
CURSOR = Check(
    "cursor", lambda value: _CURSOR.fullmatch(value) is not None, "the cursor exactly as an answer gave it", 2000
)


@dataclass(frozen=True)
class Page:
    """A page as it came.

    Attributes:
        lines: One text an object.
        heading: What stands above them. None: nothing.
        token: The server's own cursor. None: this is the last page.
        remaining: How many objects come after it. None: the server does not tell.
        values: What to sort each line by. Empty: it is not sorted.
    """

    lines: list[str]
    heading: str | None = None
    token: str | None = None
    remaining: int | None = None
    values: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Listing:
    """A page as it is answered.

    Attributes:
        text: The heading and the lines; empty when there is no object.
        count: How many objects are in it.
        token: The server's cursor to go on. None: there is nothing more, or no way to it.
        remaining: How many objects are not in it. None: unknown.
        unread: Whether there are objects that were not even looked at.
    """

    text: str
    count: int
    token: str | None
    remaining: int | None
    unread: bool = False


async def paged(
    fetch: Callable[[int, str | None], Awaitable[Page]], *, first: int, limit: int | None, token: str | None
) -> Listing:
    """Ask for a page and keep what fits.

    Where a page is too long it is asked for again, shorter: only the server can give a cursor into its middle.

    Args:
        fetch: Asks for that many objects from that cursor on.
        first: How many to ask for where the caller does not say.
        limit: How many the caller asked for. None: as many as fit.
        token: The server's cursor. None: from the beginning.
    """
    max_bytes = ASKED_BYTES if limit else LIST_BYTES
    page = await fetch(limit or first, token)
    total = _total(page)
    fits = len(page.lines)
    if page.token or _fitting(page, max_bytes) < fits:
        # The note on how to go on needs room too.
        max_bytes -= NOTE_BYTES
        fits = _fitting(page, max_bytes)
    if fits < len(page.lines):
        page = await fetch(fits, token)
        fits = min(_fitting(page, max_bytes), fits)
    lines = page.lines[:fits]
    # A server that does not page sends all of it every time: what is cut off then has no cursor.
    following = page.token if fits == len(page.lines) else None
    left = total - len(lines) if total is not None else page.remaining
    text = "\n".join([*([page.heading] if page.heading else []), *lines]) if lines else ""
    return Listing(fit(text, ASKED_BYTES), len(lines), following, left or None)


async def sorted_page(
    fetch: Callable[[int, str | None], Awaitable[Page]], order: Order, *, limit: int | None, token: str | None
) -> Listing:
    """Read the whole list, to a limit, sort it and keep what fits from the cursor's place on.

    Args:
        fetch: Asks for that many objects from that cursor on.
        order: How to sort.
        limit: How many the caller asked for. None: as many as fit.
        token: Where to go on. None: from the beginning.

    Raises:
        BadRequest: The cursor is none of a sorted list.
    """
    place = _OFFSET.fullmatch(token or "at.0")
    if place is None:
        raise BadRequest("This cursor belongs to another question", next_step="Ask without a cursor")
    start = int(place[1])
    whole = await _all_of(fetch)
    positions = in_order(whole.values, descending=order.descending)[start:]
    lines = [whole.lines[at] for at in positions[:limit]]
    max_bytes = (ASKED_BYTES if limit else LIST_BYTES) - NOTE_BYTES
    kept = lines[: _fitting(Page(lines, whole.heading), max_bytes)]
    left = len(positions) - len(kept)
    text = "\n".join([*([whole.heading] if whole.heading else []), *kept]) if kept else ""
    following = f"at.{start + len(kept)}" if left else None
    return Listing(fit(text, ASKED_BYTES), len(kept), following, left or None, unread=whole.token is not None)


async def _all_of(fetch: Callable[[int, str | None], Awaitable[Page]]) -> Page:
    """Every page as one, as far as sorting reads; its token tells that there is more."""
    whole = Page([])
    token: str | None = None
    while True:
        page = await fetch(SORT_PAGE, token)
        whole.lines.extend(page.lines)
        whole.values.extend(page.values)
        token = page.token
        if token is None or len(whole.lines) >= SORT_MAX:
            return Page(whole.lines, page.heading, token, values=whole.values)


def _total(page: Page) -> int | None:
    if page.token is None:
        return len(page.lines)
    return len(page.lines) + page.remaining if page.remaining is not None else None


def _fitting(page: Page, max_bytes: int) -> int:
    """How many lines fit; at least one, or nobody could ever go on."""
    size_bytes = len((page.heading or "").encode())
    for count, line in enumerate(page.lines):
        size_bytes += len(line.encode()) + 1
        if size_bytes > max_bytes:
            return max(1, count)
    return len(page.lines)


def cursor_for(token: str, *question: str | None) -> str:
    """The cursor that a caller gets.

    Args:
        token: The server's own cursor.
        question: What was asked: cluster, kind, place, selectors.
    """
    return f"{_digest(question)}.{token}"


def token_of(cursor: str | None, *question: str | None) -> str | None:
    """The server's own cursor in a caller's one.

    Args:
        cursor: What the caller sent. None: nothing.
        question: What is asked now.

    Raises:
        BadRequest: It is not the cursor of this question.
    """
    if cursor is None:
        return None
    CURSOR.check(cursor, "cursor")
    digest, _, token = cursor.partition(".")
    if digest != _digest(question):
        raise BadRequest(
            "This cursor belongs to another question",
            next_step="Repeat the call that gave it, with the same parameters, or ask without a cursor",
        )
    return token


def _digest(question: tuple[str | None, ...]) -> str:
    return hashlib.sha256("\x00".join(part or "" for part in question).encode()).hexdigest()[:12]
