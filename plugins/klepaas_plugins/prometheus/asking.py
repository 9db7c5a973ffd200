"""What `query_metrics` does: a query or a ready-made question, over a window or at one time, in figures.

How a server is asked is the client's affair, how series are shown `shown`'s, raw points `points`'.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from klepaas.errors import BadRequest
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.output.budget import fit
from klepaas_plugins.prometheus.client import PrometheusServer, Window
from klepaas_plugins.prometheus.figures import POINTS_MAX, clock, duration, step_for, window_text
from klepaas_plugins.prometheus.questions import Candidate, Chosen, Place, Question, candidates, chosen, selectors
from klepaas_plugins.prometheus.shown import now_table, remarks_lines, summary_table

__all__ = ["Asking", "Figures", "answer_query", "ask", "note_on_namespaces", "refuse_place", "window_of"]

ANSWER_BYTES = 10_000
RATE_WINDOW_S = 300.0
QUESTION_RANGE_S = 3600.0
# Series looked at to see how a metric names what is asked about.
_LOOKED_AT = 200
# The namespaces that a query names exactly.
_NAMESPACES = re.compile(r"""\bnamespace\s*=\s*(["'`])([a-z0-9][-a-z0-9]{0,62})\1""")
# Whoever writes these wants the server's order.
_ORDERED = ("sort", "topk", "bottomk", "limitk")


@dataclass(frozen=True)
class Asking:
    """What is asked.

    Attributes:
        server: Whom.
        query: PromQL. None: a question is asked.
        question: The ready-made question. None: a query is asked.
        place: What the question is about.
        range_s: How far back, in seconds. None: the one time, or the last hour for a question.
        end: The last time, in seconds since 1970. None: now.
        step_s: From one time to the next, in seconds. None: as fits the range.
        limit: Most series.
    """

    server: PrometheusServer
    query: str | None
    question: Question | None
    place: Place
    range_s: float | None
    end: float | None
    step_s: float | None
    limit: int


@dataclass(frozen=True)
class Figures:
    """What was found.

    Attributes:
        text: For the answer.
        series: How many series there are.
    """

    text: str
    series: int


def window_of(range_s: float, end: float | None, step_s: float | None) -> Window:
    """The times of a range query.

    Args:
        range_s: How long, in seconds.
        end: The last time. None: now.
        step_s: From one time to the next, in seconds. None: as fits the range.

    Raises:
        BadRequest: It would be more points than a server gives.
    """
    step = step_s or step_for(range_s)
    if range_s / step > POINTS_MAX:
        raise BadRequest(
            f"{duration(range_s)} with a step of {duration(step)} is more than {POINTS_MAX} points",
            next_step="Leave step_s out, or ask for a shorter range",
        )
    # Whole seconds, so that a cursor can name the same times again.
    last = float(int(time.time() if end is None else end))
    return Window(last - range_s, last, step)


async def answer_query(host: Host, asking: Asking) -> Answer:
    """The answer in figures; see `ask`.

    Args:
        host: The server's settings and shared services.
        asking: What is asked.

    Raises:
        NotFound: There are no series, since there is no such namespace.
    """
    if asking.query is not None:
        await refuse_place(host, asking)
    found = await ask(asking)
    note = "" if found.series else await note_on_namespaces(host, asking)
    return Answer(f"{found.text}\n{note}" if note else found.text)


async def note_on_namespaces(host: Host, asking: Asking) -> str:
    """What to say of the namespaces that a question or query names; called where no series was found.

    Raises:
        NotFound: The question is about a namespace that does not exist.
    """
    from klepaas_plugins.kubernetes.client import missing_namespaces

    if asking.place.namespace is not None:
        return await missing_namespaces(host, [asking.place.namespace], refuse=True)
    return await missing_namespaces(host, (found[2] for found in _NAMESPACES.finditer(asking.query or "")))


async def refuse_place(host: Host, asking: Asking) -> None:
    """Refuse what goes with a question beside a query; a namespace that does not exist is named first.

    Raises:
        NotFound: There is no such namespace.
        BadRequest: An application, namespace or node was given.
    """
    if asking.place == Place():
        return
    note = await note_on_namespaces(host, asking) if asking.place.namespace is not None else ""
    raise BadRequest(
        "app_name, namespace and node go with a question", next_step="Put them into the query", details=note or None
    )


async def ask(asking: Asking) -> Figures:
    """The answer in figures.

    Args:
        asking: What is asked.

    Raises:
        BadRequest: The server does not accept the query, or it fits nothing.
        KlepaasError: The server cannot be asked.
    """
    if (asking.query is None) == (asking.question is None):
        raise BadRequest("Give either query or question", next_step="Leave one of them out")
    if asking.question is not None:
        return await _answer_question(asking, asking.question)
    query = asking.query or ""
    if asking.range_s is None:
        return await _now(asking, query, [])
    window = window_of(asking.range_s, asking.end, asking.step_s)
    return await _over(asking, query, window, [window_text(window.end, window.range_s, window.step_s)])


async def _answer_question(asking: Asking, question: Question) -> Figures:
    window = window_of(asking.range_s or QUESTION_RANGE_S, asking.end, asking.step_s)
    ways = candidates(question, asking.place)
    found = await _first_of(ways, asking.server, window)
    if found is None:
        metrics = ", ".join(dict.fromkeys(one.expression.metric for one in ways))
        text = f"No data on {question} of {asking.place.text}: there are no series of it in {metrics}"
        return Figures(f"{text}. list_metrics shows what there is.", 0)
    candidate, way = found
    expression = candidate.expression
    rate_s = max(RATE_WINDOW_S, 2 * window.step_s)
    query = candidate.promql(way, duration_exact(rate_s), duration_exact(window.range_s))
    title = f"{question} of {asking.place.text}, {expression.unit}"
    if expression.now:
        asked = Asking(**{**vars(asking), "end": window.end})
        return await _now(asked, query, [f"{title}, {duration(window.range_s)}", f"query: {query}"])
    head = [f"{title}, {window_text(window.end, window.range_s, window.step_s)}", f"query: {query}"]
    return await _over(asking, query, window, head)


async def _first_of(ways: Sequence[Candidate], server: PrometheusServer, window: Window) -> Chosen | None:
    """The best candidate of which there are series. None: there is none.

    One after the other: asked for together, a metric with many series would hide the others.
    """
    for one in ways:
        found = chosen([one], await server.series(selectors([one]), window, _LOOKED_AT))
        if found is not None:
            return found
    return None


async def _now(asking: Asking, query: str, head: list[str]) -> Figures:
    in_order = query.lstrip().startswith(_ORDERED)
    found = await asking.server.instant(query, at=asking.end, keep=asking.limit, in_order=in_order)
    if found.text is not None:
        return Figures(found.text, 0)
    lines = list(head)
    if found.series and found.series[0].points:
        lines.append(f"at {clock(found.series[0].points[-1][0], 0)} UTC")
    if found.series and max(len(one.points) for one in found.series) > 1:
        raise BadRequest(
            "This query gives raw samples", next_step="Leave [...] out and give range_s; points=true shows the points"
        )
    lines += now_table(found) if found.series else ["No series."]
    lines += remarks_lines(found, len(found.series), "in the query's order" if in_order else "the largest")
    return _figures(lines, found.total)


async def _over(asking: Asking, query: str, window: Window, head: list[str]) -> Figures:
    found = await asking.server.range(query, window, keep=asking.limit)
    lines = [*head, *(summary_table(found, window) if found.series else ["No series."])]
    lines += remarks_lines(found, len(found.series), "those with the highest MAX")
    return _figures(lines, found.total)


def _figures(lines: list[str], total: int) -> Figures:
    text = fit("\n".join(lines), ANSWER_BYTES, "Lower limit, or aggregate with sum by (...)")
    return Figures(text, total)


def duration_exact(seconds: float) -> str:
    """A duration as PromQL takes it, in whole seconds."""
    return f"{max(1, round(seconds))}s"
