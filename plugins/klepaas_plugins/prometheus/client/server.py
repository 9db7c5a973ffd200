"""One Prometheus, or a server that speaks its API: what can be asked of it, and nothing of how it is shown.

Queries are sent as forms, so that a long one fits, with the time that the server may take. The server's own `limit` is
passed on; servers that do not know it ignore it, and the answer is read only as far as is allowed.

Source: prometheus.io/docs/prometheus/latest/querying/api.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from klepaas.output.safe import safe_label
from klepaas.resilience import UpstreamState
from klepaas_plugins.prometheus.client.choosing import Largest, Objects, Stretch
from klepaas_plugins.prometheus.client.http_api import ApiAnswer, ApiRequest, HttpApi
from klepaas_plugins.prometheus.client.json_stream import Malformed, Take, read_document
from klepaas_plugins.prometheus.client.models import Found, Remarks, Series, Window

__all__ = ["ANSWER_MAX_BYTES", "SERIES_MAX", "PrometheusServer"]

ANSWER_MAX_BYTES = 32 * 1024 * 1024
# A server that knows `limit` sends no more than this; 100,000 small series still fit into what is read.
SERIES_MAX = 100_000
_WHAT = "query Prometheus"
T = TypeVar("T", bound=Take)


@dataclass(frozen=True)
class _Asked:
    """What came of one reading."""

    remarks: Remarks
    left: bool
    took_s: float


class PrometheusServer:
    """Asks one server.

    Args:
        api: How it is reached.
        timeout_s: How long it may take for one query, in seconds.
    """

    def __init__(self, api: HttpApi, timeout_s: float) -> None:
        self.api = api
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """What people call it."""
        return self.api.name

    @property
    def state(self) -> UpstreamState:
        """How it has been lately."""
        return self.api.state

    async def instant(self, promql: str, *, at: float | None = None, keep: int = 40, in_order: bool = False) -> Found:
        """The values of now, or of a time.

        Args:
            promql: The query.
            at: When, in seconds since 1970. None: the server's now.
            keep: How many series are kept.
            in_order: Whether they are the first in the server's order, not the largest.

        Raises:
            BadRequest: The server does not accept the query; the error holds its message.
            QueryTooHeavy: It stopped the query.
            KlepaasError: It failed.
        """
        when = [] if at is None else [("time", f"{at:.3f}")]
        return await self._query("/api/v1/query", [("query", promql), *when], keep, 0, in_order)

    async def range(
        self, promql: str, window: Window, *, keep: int = 40, skip: int = 0, in_order: bool = False
    ) -> Found:
        """The values in a window of time.

        Args:
            promql: The query.
            window: The times.
            keep: How many series are kept.
            skip: How many are passed over first, where they are kept in order.
            in_order: Whether they are the first in the server's order, not the largest; then the rest is not counted.

        Raises:
            BadRequest: The server does not accept the query; the error holds its message.
            QueryTooHeavy: It stopped the query.
            KlepaasError: It failed.
        """
        times = [("start", f"{window.start:.3f}"), ("end", f"{window.end:.3f}"), ("step", f"{window.step_s:g}")]
        return await self._query("/api/v1/query_range", [("query", promql), *times], keep, skip, in_order)

    async def series(self, selectors: Sequence[str], window: Window, most: int) -> list[dict[str, str]]:
        """The labels of series that there are in a window of time.

        Args:
            selectors: What they match, any of these.
            window: The times.
            most: How many at most; the rest is not read.

        Raises:
            KlepaasError: It failed.
        """
        times = [("start", f"{window.start:.3f}"), ("end", f"{window.end:.3f}"), ("limit", str(most))]
        params = [*(("match[]", one) for one in selectors), *times]
        found, _ = await self.rows("POST", "/api/v1/series", params, lambda: Objects(most), _WHAT)
        return found.rows

    async def rows(
        self, method: str, path: str, params: Sequence[tuple[str, str]], taking: Callable[[], T], what: str
    ) -> tuple[T, Remarks]:
        """Read any answer of the API row by row.

        Args:
            method: GET, or POST where the API takes a form.
            path: The path, every part of it checked.
            params: The parameters.
            taking: Makes what takes the rows, anew for each attempt; it says False when it has enough.
            what: What is asked, to go after "Cannot".

        Returns:
            What took the rows, and what is to be said about the answer.

        Raises:
            KlepaasError: It failed.
        """
        taken, asked = await self._read(ApiRequest(method, path, what, params), taking)
        return taken, asked.remarks

    async def ping(self) -> tuple[float, float | None]:
        """Ask for the least: how long it took in seconds, and how far its clock is before ours (None: unknown).

        Raises:
            KlepaasError: It failed.
        """
        request = ApiRequest("POST", "/api/v1/query", "ask Prometheus whether it is well", [("query", "1")])
        _, asked = await self._read(request, lambda: _anything)
        return asked.took_s, asked.remarks.skew_s

    async def _query(self, path: str, params: list[tuple[str, str]], keep: int, skip: int, in_order: bool) -> Found:
        limits = [("timeout", f"{self._timeout_s:g}s"), ("limit", str(SERIES_MAX))]

        def taking() -> Largest | Stretch:
            return Stretch(skip, keep, path.endswith("query")) if in_order else Largest(keep)

        rows, asked = await self._read(ApiRequest("POST", path, _WHAT, [*params, *limits]), taking)
        series, text = _bare(rows)
        found = [_shown(one) for one in series or rows.series]
        more = asked.left or asked.remarks.cut or rows.total >= SERIES_MAX
        return Found(found, rows.total or len(found), more, asked.remarks, text)

    async def _read(self, request: ApiRequest, taking: Callable[[], T]) -> tuple[T, _Asked]:
        async def read(answer: ApiAnswer) -> tuple[T, _Asked]:
            taken = taking()
            document = await read_document(answer.pieces, taken, ANSWER_MAX_BYTES)
            if not (document.cut or document.left) and document.values.get("status") != "success":
                raise Malformed
            return taken, _Asked(Remarks.of(document, answer.skew_s), document.left, answer.took_s)

        return await self.api.ask(request, read)


def _shown(series: Series) -> Series:
    """A series with labels that may be shown, so that they are also compared and sorted as such."""
    labels = {name: safe_label(name, value) for name, value in series.labels.items()}
    return replace(series, labels=labels)


def _anything(_row: Any) -> bool:
    return True


def _bare(rows: Largest | Stretch) -> tuple[list[Series], str | None]:
    """What a query for a number or a string gave: a series without labels, or a text."""
    if len(rows.bare) != 2:
        return [], None
    at, value = rows.bare
    try:
        float(value)
        return [Series({}, [(float(at), str(value))])], None
    except (TypeError, ValueError):
        return [], str(value)
