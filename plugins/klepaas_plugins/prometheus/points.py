"""Raw points of a range query, page by page: the values as the server wrote them, none rounded.

A cursor names the last time of the window and the place, so that every page is of the same times; it carries a digest
of the question, so that one of another question is refused.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from klepaas.errors import BadRequest
from klepaas.host import Host
from klepaas.output import Answer
from klepaas_plugins.prometheus.asking import Asking, note_on_namespaces, refuse_place, window_of
from klepaas_plugins.prometheus.client import Series, Window
from klepaas_plugins.prometheus.figures import window_text
from klepaas_plugins.prometheus.parameters import CURSOR_FORM
from klepaas_plugins.prometheus.shown import about, labels_text

__all__ = ["answer_points"]

PAGE_BYTES = 8_000
_SERIES_AT_ONCE = 20


@dataclass(frozen=True)
class _Place:
    """Where a page begins."""

    end: float | None
    series: int = 0
    point: int = 0


async def answer_points(host: Host, asking: Asking, cursor: str | None) -> Answer:
    """One page of points, the series in the server's order.

    Args:
        host: The server's settings and shared services.
        asking: What is asked: a query over a range.
        cursor: Where to go on. None: from the beginning.

    Raises:
        BadRequest: It is no query over a range, or the cursor is another question's.
        NotFound: There is no such namespace.
        KlepaasError: The server cannot be asked.
    """
    await refuse_place(host, asking)
    if asking.query is None or asking.range_s is None:
        raise BadRequest("Points are those of a query over a range", next_step="Give query and range_s")
    digest = _digest(asking)
    place = _place_of(cursor, digest, asking.end)
    window = window_of(asking.range_s, place.end, asking.step_s)
    found = await asking.server.range(asking.query, window, keep=_SERIES_AT_ONCE, skip=place.series, in_order=True)
    lines, following = _page(found.series, place, window)
    if following is None and found.more and found.series:
        following = (place.series + len(found.series), 0)
    head = [window_text(window.end, window.range_s, window.step_s)]
    tail = []
    if following is not None:
        cursor = f"{digest}.{window.end:.0f}.{following[0]}.{following[1]}"
        tail = [f"[more; go on with cursor={cursor}]"]
    if not lines and cursor is None:
        note = await note_on_namespaces(host, asking)
        lines = ["No series.", *([note] if note else [])]
    return Answer("\n".join([*head, *(lines or ["No more points."]), *about(found.remarks), *tail]))


def _page(series: Sequence[Series], place: _Place, window: Window) -> tuple[list[str], tuple[int, int] | None]:
    """The lines that fit, and where the next page begins."""
    lines: list[str] = []
    room = PAGE_BYTES
    for number, one in enumerate(series):
        begin = at = place.point if number == 0 else 0
        texts = [_point(*point, window) for point in one.points]
        name = labels_text(one.labels) or "{}"
        room -= len(name.encode()) + 2
        while at < len(texts) and (room > len(texts[at]) or not lines):
            room -= len(texts[at]) + 1
            at += 1
            if room <= 0:
                break
        if at > begin or not texts:
            lines += [f"{name}:", " ".join(texts[begin:at]) or f"{len(one.histograms)} native histograms"]
        if at < len(texts):
            return lines, (place.series + number, at)
    return lines, None


def _point(at: float, value: str, window: Window) -> str:
    form = "%m-%dT%H:%M:%S" if window.range_s > 86400 else "%H:%M:%S"
    fraction = f"{at % 1:.3f}"[1:].rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(at, UTC).strftime(form)}{fraction}={value}"


def _place_of(cursor: str | None, digest: str, end: float | None) -> _Place:
    if cursor is None:
        return _Place(end)
    match = CURSOR_FORM.fullmatch(cursor)
    if match is None or match[1] != digest:
        raise BadRequest(
            "This cursor belongs to another question",
            next_step="Repeat the call that gave it, with the same parameters",
        )
    return _Place(float(match[2]), int(match[3]), int(match[4]))


def _digest(asking: Asking) -> str:
    question = (asking.server.name, asking.query, asking.range_s, asking.step_s, asking.end)
    return hashlib.sha256(repr(question).encode()).hexdigest()[:12]
