"""A fake Prometheus for what the real one does not do on demand: faults, huge answers, warnings, other dialects."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from klepaas.testing import FakeHttp, HttpRequest
from klepaas.testing.loopback import Listening, read_request

__all__ = ["FloodingPrometheus", "answer_with", "form_of", "matrix", "series_row", "vector"]


def series_row(labels: Mapping[str, str], values: Sequence[tuple[float, float | str]]) -> dict[str, Any]:
    """A row of a range query's answer."""
    return {"metric": dict(labels), "values": [[at, str(value)] for at, value in values]}


def matrix(*rows: Mapping[str, Any], **beside: Any) -> dict[str, Any]:
    """A range query's answer."""
    return {"status": "success", "data": {"resultType": "matrix", "result": list(rows)}, **beside}


def vector(*rows: Mapping[str, Any], **beside: Any) -> dict[str, Any]:
    """An instant query's answer."""
    return {"status": "success", "data": {"resultType": "vector", "result": list(rows)}, **beside}


def answer_with(fake: FakeHttp, document: Any, *, status: int = 200, date: float | None = None) -> None:
    """Let a fake answer every query like this.

    Args:
        fake: The fake.
        document: The answer; bytes are sent as they are.
        status: Its status code.
        date: What its clock says, in seconds since 1970. None: nothing.
    """
    headers = {"Content-Type": "application/json"}
    if date is not None:
        headers["Date"] = formatdate(date, usegmt=True)
    for path in ("/api/v1/query", "/api/v1/query_range", "/api/v1/series"):
        fake.answer("POST", path, document, status=status, headers=headers)


def form_of(request: HttpRequest) -> dict[str, str]:
    """The fields of a request that is a form."""
    return dict(parse_qsl(request.body.decode()))


class FloodingPrometheus(Listening):
    """Answers every query with as many series as a test wants, without ever holding them.

    Args:
        series: How many.
        points: How many points each has.
        start: The time of the first point.
        step_s: From one point to the next, in seconds.
    """

    def __init__(self, series: int, points: int, start: float, step_s: float) -> None:
        super().__init__()
        self._series, self._points, self._start, self._step_s = series, points, start, step_s
        self.sent_bytes = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 \r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        for piece in self._pieces():
            writer.write(piece)
            self.sent_bytes += len(piece)
            await writer.drain()

    def _pieces(self) -> Iterator[bytes]:
        yield b'{"status":"success","data":{"resultType":"matrix","result":['
        times = [self._start + number * self._step_s for number in range(self._points)]
        for number in range(self._series):
            values = ",".join(f'[{at:.3f},"{number % 1000}.25"]' for at in times)
            row = f'{{"metric":{{"__name__":"up","pod":"web-{number:06d}"}},"values":[{values}]}}'
            yield f"{',' if number else ''}{row}".encode()
        yield json.dumps({})[:0].encode() + b"]}}"
