"""Each way in which Prometheus fails or answers too much: one clear line, nothing of half an answer, no harm."""

import os
import time
from pathlib import Path

import anyio
import pytest

from klepaas.resilience import Upstreams
from klepaas.testing import (
    Cut,
    FakeHttp,
    HalfOpen,
    Reset,
    Said,
    app_with,
    client,
    failing,
    nonsense,
    rate_limited,
    scale_timeout,
    time_budget,
)
from klepaas.testing.fault_proxy import Fault
from klepaas_plugins.prometheus import plugin

from .conftest import Asking
from .fake_prometheus import FloodingPrometheus, answer_with, form_of, matrix, series_row, vector

pytestmark = pytest.mark.anyio
START = 1_795_000_000.0
END_TIME = "2026-11-18T12:26:40Z"
ONE = vector({"metric": {"pod": "web"}, "value": [START, "1"]})
MIB = 1024 * 1024


def is_one_line(said: Said) -> bool:
    return said.is_error and "\n" not in said.text and len(said.text) < 500


def refusal(kind: str, text: str) -> dict[str, str]:
    return {"status": "error", "errorType": kind, "error": text}


@pytest.mark.parametrize(
    ("status", "document", "code", "words"),
    [
        (400, refusal("bad_data", "1:5: parse error:\nno"), "bad_request", "1:5: parse error: no"),
        (422, refusal("execution", "too many samples"), "bad_request", "too many samples"),
        (503, refusal("timeout", "query timed out"), "timeout", "stopped the query"),
        (401, {"error": "no"}, "unauthorized", "does not accept the credentials"),
        (403, b"<html>secret page</html>", "forbidden", "answered 403"),
        (404, b"404 page not found", "not_found", "404 page not found"),
        (302, b"", "unavailable", "sends us elsewhere"),
        (500, refusal("internal", "block corrupt"), "unavailable", "block corrupt"),
        (200, {"status": "odd"}, "unavailable", "is not this API's"),
        (200, b'{"status":"success","data":{"result":[[[["x"]]]', "unavailable", "broke off in the middle"),
    ],
)
async def test_an_answer_that_is_none_is_one_clear_line(
    asking: Asking, fake: FakeHttp, status: int, document: object, code: str, words: str
) -> None:
    answer_with(fake, document, status=status)
    async with asking(base_url=fake.url) as session:
        said = await session.call("query_metrics", query="up")
    assert (said.code, is_one_line(said), words in said.text) == (code, True, True), said.text
    assert "<html>" not in said.text


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Cut(200), "unavailable", "broke off"),
        (Reset(200), "unavailable", "broke off"),
        (nonsense(), "unavailable", "is not this API's"),
        (failing(502), "unavailable", "answered 502"),
        (rate_limited(40), "rate_limited", "Retry in"),
        (HalfOpen(), "timeout", "no answer within 1 s"),
    ],
)
async def test_a_broken_network_is_one_clear_line(
    asking: Asking, fake: FakeHttp, fault: Fault, code: str, words: str
) -> None:
    answer_with(fake, ONE)
    fake.fault = fault
    began_at = time.monotonic()
    async with asking(base_url=fake.url, timeout_s="1") as session:
        said = await session.call("query_metrics", query="up")
    assert (said.code, is_one_line(said), words in said.text) == (code, True, True), said.text
    assert time.monotonic() - began_at < time_budget(10, "a fault would be tried again for too long")


async def test_nobody_there_is_one_clear_line_and_soon_nobody_is_asked(asking: Asking) -> None:
    async with asking(base_url="http://127.0.0.1:1") as session:
        first = await session.call("query_metrics", query="up")
        for _ in range(5):
            last = await session.call("list_metrics")
    assert (first.code, is_one_line(first), "cannot be reached" in first.text) == ("unavailable", True, True)
    assert (last.code, "left alone for now" in last.text) == ("circuit_open", True)


async def test_a_fault_that_passes_is_not_seen(asking: Asking, fake: FakeHttp) -> None:
    answer_with(fake, ONE)
    fake.fault_next(Reset(100))
    async with asking(base_url=fake.url) as session:
        said = await session.call("query_metrics", query="up")
    assert (said.is_error, len(fake.requests)) == (False, 2)


async def test_wrong_promql_and_heavy_queries_do_not_open_the_breaker(
    fake: FakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", fake.url)
    answer_with(fake, {"status": "error", "errorType": "timeout", "error": "query timed out"}, status=503)
    async with app_with(plugin) as app, client(app) as session:
        for _ in range(8):
            said = await session.call("query_metrics", query="up")
        (state,) = Upstreams.of(app.host).snapshot()
    # Each was sent once: a query that was stopped is not sent again.
    assert (said.code, state.failures, len(fake.requests)) == ("timeout", 0, 8)


async def test_the_server_is_told_how_long_it_may_take_and_how_much_is_wanted(asking: Asking, fake: FakeHttp) -> None:
    answer_with(fake, ONE)
    async with asking(base_url=f"{fake.url}/", timeout_s="27") as session:
        await session.call("query_metrics", query="up{a='&b=c'}")
    (request,) = fake.requests
    assert (request.method, request.path, request.query) == ("POST", "/api/v1/query", ())
    assert form_of(request) == {"query": "up{a='&b=c'}", "timeout": "27s", "limit": "100000"}


async def test_warnings_and_missing_parts_are_named(asking: Asking, fake: FakeHttp) -> None:
    beside = {"warnings": ["store b\nis away"], "infos": ["counter?"], "isPartial": True}
    answer_with(fake, {**ONE, **beside})
    async with asking(base_url=fake.url) as session:
        said = await session.call("query_metrics", query="up")
    assert "[the server warns: store b is away]" in said.text
    assert "[the server warns: counter?]" in said.text
    assert "[the answer is partial" in said.text


@pytest.mark.parametrize(("off_s", "words"), [(-125, "2m"), (3600, "ahead of"), (2, None)])
async def test_a_clock_that_is_off_is_named(asking: Asking, fake: FakeHttp, off_s: float, words: str | None) -> None:
    answer_with(fake, ONE, date=time.time() + off_s)
    async with asking(base_url=fake.url) as session:
        said = await session.call("query_metrics", query="up")
    assert ("the server's clock is" in said.text) is (words is not None)
    assert words is None or words in said.text


async def test_native_histograms_nan_and_infinities_are_named(asking: Asking, fake: FakeHttp) -> None:
    histogram = {"count": "12", "sum": "3.5", "buckets": [[0, "0.1", "1", "12"]]}
    rows = [
        {"metric": {"pod": "a"}, "histograms": [[START, histogram], [START + 30, histogram]]},
        series_row({"pod": "b"}, [(START, "NaN"), (START + 30, "+Inf"), (START + 60, "2")]),
    ]
    answer_with(fake, matrix(*rows))
    async with asking(base_url=fake.url) as session:
        said = await session.call("query_metrics", query="x", range_s=60, step_s=30, end_time=END_TIME)
    assert "native histogram, count 12, sum 3.5" in said.text
    assert "b\t2\t2\t+Inf\t2\tflat\t" in said.text
    assert "1 NaN; 1 Inf" in said.text


async def test_what_labels_say_is_data_and_stays_in_its_line(asking: Asking, fake: FakeHttp) -> None:
    answer_with(fake, vector({"metric": {"pod": "x\nIgnore\t\x1b[31m", "a": "b"}, "value": [START, "1"]}))
    async with asking(base_url=fake.url) as session:
        said = await session.call("query_metrics", query="up")
    assert "\x1b" not in said.text
    assert "pod=x Ignore" in said.text


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell its memory so")
async def test_an_answer_of_a_hundred_megabytes_is_cut_off_in_little_memory(asking: Asking) -> None:
    before_bytes, peaks = _memory_bytes(), [0]

    async def watch() -> None:
        while True:
            peaks.append(_memory_bytes())
            await anyio.sleep(0.02)

    async with FloodingPrometheus(40_000, 121, START, 30) as flood, anyio.create_task_group() as group:
        group.start_soon(watch)
        async with asking(base_url=flood.url, timeout_s="40") as session:
            said = await session.call("query_metrics", query="up", range_s=3600, limit=5)
        group.cancel_scope.cancel()
    assert not said.is_error, said.text
    assert "[the answer was cut off after 3" in said.text
    assert "[5 of more than " in said.text
    assert flood.sent_bytes < 50 * MIB
    assert max(peaks) - before_bytes < 60 * MIB


def _memory_bytes() -> int:
    """What this process holds of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_hundred_thousand_series_cost_time_and_memory_in_proportion(asking: Asking) -> None:
    took_s: dict[int, float] = {}
    for count in (10_000, 100_000):
        async with (
            FloodingPrometheus(count, 1, START, 30) as flood,
            asking(base_url=flood.url, timeout_s="40") as session,
        ):
            began_at = time.monotonic()
            with anyio.fail_after(scale_timeout(50)):
                said = await session.call("query_metrics", query="up", range_s=60, end_time=END_TIME, limit=3)
            took_s[count] = time.monotonic() - began_at
        assert f"[3 of {'more than ' if count >= 100_000 else ''}{count} series shown" in said.text, said.text
        assert "999.2" in said.text
    assert took_s[100_000] < 20 * max(took_s[10_000], time_budget(0.1, "cost would grow faster than the answer"))
    assert took_s[100_000] < time_budget(30, "cost would grow faster than the answer")
