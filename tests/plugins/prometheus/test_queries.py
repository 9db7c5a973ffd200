"""What the tools answer from a real Prometheus: every number is one computed from the raw data, in few tokens."""

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from tests.plugins.monitoring_servers import needs, prometheus, scrape

from klepaas.testing import ERAS, Era, Said, Session, app_with, client, scale_timeout
from klepaas_plugins.prometheus import plugin
from klepaas_plugins.prometheus.figures import number

from .conftest import POINTS, SERIES, STEP_S, Asking, Backfilled

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]
TOKENS_MAX = 1_500
RANGE_S = (POINTS - 1) * STEP_S


def tokens(text: str) -> int:
    """How many tokens a text has at most, counted conservatively."""
    return math.ceil(len(text.encode()) / 3)


def rows_of(text: str) -> dict[str, list[str]]:
    """The table's rows by their first cell."""
    lines = [line.split("\t") for line in text.splitlines() if "\t" in line]
    return {cells[0]: cells[1:] for cells in lines[1:]}


def line_rise(values: list[float]) -> float:
    """The rise of the straight line, computed naively."""
    mean_at, mean = (len(values) - 1) / 2, sum(values) / len(values)
    slope = sum((at - mean_at) * (value - mean) for at, value in enumerate(values)) / sum(
        (at - mean_at) ** 2 for at in range(len(values))
    )
    return slope * (len(values) - 1)


async def ranged(session: Session, backfilled: Backfilled, query: str, **more: object) -> str:
    said = await session.call("query_metrics", query=query, range_s=RANGE_S, end_time=backfilled.end_time, **more)
    assert not said.is_error, said.text
    return said.text


@pytest.mark.parametrize("era", ERAS)
async def test_forty_series_of_121_points_cost_few_tokens_and_every_number_is_true(
    backfilled: Backfilled, monkeypatch: pytest.MonkeyPatch, era: Era
) -> None:
    monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", backfilled.server.url)
    async with app_with(plugin) as app, client(app, era) as session:
        text = await ranged(session, backfilled, "usage")
    assert tokens(text) < TOKENS_MAX
    rows = rows_of(text)
    assert set(rows) == set(backfilled.values)
    assert len(rows) == SERIES
    for pod, values in backfilled.values.items():
        last, low, high, mean, trend, notes = rows[pod]
        wanted = [values[-1], min(values), max(values), math.fsum(values) / len(values)]
        assert [last, low, high, mean] == [number(value) for value in wanted]
        if trend != "flat":
            assert float(trend) == pytest.approx(line_rise(values), rel=5e-4)
        _check_the_changes(notes, values, backfilled)


def _check_the_changes(notes: str, values: list[float], backfilled: Backfilled) -> None:
    changes = re.findall(r"(\d\d:\d\d) ([0-9.]+)>([0-9.]+)", notes)
    jumps = values[POINTS // 2 + 3] - values[POINTS // 2 - 3] > 3
    assert len(changes) == (1 if jumps else 0)
    for moment, before, after in changes:
        at = backfilled.start + POINTS // 2 * STEP_S
        assert moment == time.strftime("%H:%M", time.gmtime(at))
        first, second = values[: POINTS // 2], values[POINTS // 2 :]
        assert (before, after) == (number(math.fsum(first) / len(first)), number(math.fsum(second) / len(second)))


async def test_what_all_series_have_in_common_is_said_once(asking: Asking, backfilled: Backfilled) -> None:
    async with asking(base_url=backfilled.server.url) as session:
        text = await ranged(session, backfilled, "usage")
    assert text.count("namespace=shop") == 1
    assert "all: usage job=cadvisor namespace=shop" in text


async def test_the_largest_are_shown_and_the_others_are_counted(asking: Asking, backfilled: Backfilled) -> None:
    async with asking(base_url=backfilled.server.url) as session:
        text = await ranged(session, backfilled, "usage", limit=5)
    largest = sorted(backfilled.values, key=lambda pod: max(backfilled.values[pod]), reverse=True)[:5]
    assert list(rows_of(text)) == largest
    assert "[5 of 40 series shown, those with the highest MAX; narrow the query or raise limit]" in text


async def test_values_of_one_time_are_a_table(asking: Asking, backfilled: Backfilled) -> None:
    async with asking(base_url=backfilled.server.url) as session:
        said = await session.call("query_metrics", query="topk(2, usage)", end_time=backfilled.end_time)
        bottom = await session.call("query_metrics", query="sort(usage)", end_time=backfilled.end_time, limit=3)
        one = await session.call("query_metrics", query="1+1")
        words = await session.call("query_metrics", query='"some text"')
        none = await session.call("query_metrics", query="nothing_of_this_name")
    last = {pod: values[-1] for pod, values in backfilled.values.items()}
    largest = sorted(last, key=lambda pod: last[pod], reverse=True)
    assert rows_of(said.text) == {pod: [number(last[pod])] for pod in largest[:2]}
    assert list(rows_of(bottom.text)) == sorted(last, key=lambda pod: last[pod])[:3]
    assert rows_of(one.text) == {"{}": ["2"]}
    assert (words.text, none.text) == ("some text", "No series.")


async def test_raw_points_come_page_by_page_and_none_is_lost(asking: Asking, backfilled: Backfilled) -> None:
    found: dict[str, list[float]] = {}
    times: set[str] = set()
    pages, cursor = 0, None
    async with asking(base_url=backfilled.server.url) as session:
        while pages == 0 or cursor:
            more: dict[str, object] = {"cursor": cursor} if cursor else {}
            text = await ranged(session, backfilled, "usage", points=True, **more)
            assert len(text.encode()) < 9_000
            _collect(text, found, times)
            cursor = (re.findall(r"cursor=(\S+)\]", text) or [None])[0]
            pages += 1
    assert found == backfilled.values
    assert len(times) == POINTS
    assert pages > 5


def _collect(text: str, found: dict[str, list[float]], times: set[str]) -> None:
    for name, points in re.findall(r"pod=(\S+):\n(.*)", text):
        for point in points.split():
            at, _, value = point.partition("=")
            times.add(at)
            found.setdefault(name, []).append(float(value))


async def test_a_cursor_of_another_question_is_refused(asking: Asking, backfilled: Backfilled) -> None:
    async with asking(base_url=backfilled.server.url) as session:
        text = await ranged(session, backfilled, "usage", points=True)
        cursor = re.findall(r"cursor=(\S+)\]", text)[0]
        said = await session.call("query_metrics", query="usage * 2", range_s=RANGE_S, cursor=cursor)
    assert (said.is_error, said.code) == (True, "bad_request")
    assert "belongs to another question" in said.text


async def test_a_question_needs_no_promql(asking: Asking, backfilled: Backfilled) -> None:
    place = {"app_name": "web", "namespace": "shop", "end_time": backfilled.end_time}
    async with asking(base_url=backfilled.server.url) as session:
        cpu = await session.call("query_metrics", question="cpu", **place)
        errors = await session.call("query_metrics", question="errors", **place)
        latency = await session.call("query_metrics", question="latency", **place)
    # 15 s of CPU each 30 s; and the pods of web-admin are another application's.
    assert "cpu of application web, namespace shop, cores" in cpu.text
    assert "web-admin" not in cpu.text.partition("query:")[2].partition("\n")[2]
    # LAST and MAX; the first rates see less than five minutes.
    assert _only_row(cpu.text)[0:3:2] == ["0.5", "0.5"]
    assert _only_row(errors.text)[0:3:2] == ["10", "10"]
    assert "% of requests failed" in errors.text
    assert latency.text.startswith("No data on latency of application web, namespace shop")
    assert not latency.is_error


def _only_row(text: str) -> list[str]:
    (row,) = rows_of(text).values()
    return row


async def test_a_query_and_a_question_exclude_each_other(asking: Asking, backfilled: Backfilled) -> None:
    async with asking(base_url=backfilled.server.url) as session:
        both = await session.call("query_metrics", query="up", question="cpu")
        neither = await session.call("query_metrics")
        place = await session.call("query_metrics", query="up", app_name="web")
        node = await session.call("query_metrics", question="restarts", node="all")
        fine = await session.call("query_metrics", query="up", range_s=86400 * 365, step_s=1)
    assert {said.code for said in (both, neither, place, node, fine)} == {"bad_request"}


async def test_metrics_are_found_by_name_and_their_labels_and_values_listed(
    asking: Asking, backfilled: Backfilled
) -> None:
    async with asking(base_url=backfilled.server.url) as session:
        every = await session.call("list_metrics")
        some = await session.call("list_metrics", search="HTTP req")
        none = await session.call("list_metrics", search="teapot")
        labels = await session.call("list_metrics", metric="usage")
        values = await session.call("list_metrics", metric="http_requests_total", label="code")
        pods = await session.call("list_metrics", label="pod", limit=3)
        missing = await session.call("list_metrics", metric="teapot")
    assert list(rows_of(every.text)) == ["container_cpu_usage_seconds_total", "http_requests_total", "usage"]
    assert list(rows_of(some.text)) == ["http_requests_total"]
    assert "No metric has 'teapot'" in none.text
    assert "labels: job, namespace, pod" in labels.text
    assert values.text.splitlines() == ["200", "500"]
    assert pods.text.endswith("[38 more: add words to search, or raise limit]")
    assert missing.code == "not_found"


async def test_several_servers_are_told_apart(asking: Asking, backfilled: Backfilled, tmp_path: Path) -> None:
    with prometheus(tmp_path) as other:
        servers = f'{{"other": {{"url": "{other.url}"}}}}'
        async with asking(base_url=backfilled.server.url, servers=servers) as session:
            here = await session.call("list_metrics")
            there = await session.call("list_metrics", server="other")
            nowhere = await session.call("list_metrics", server="third")
    assert "usage" in here.text
    assert "usage" not in there.text
    assert (nowhere.code, "There are: default, other" in nowhere.text) == ("not_found", True)


RULES: list[Mapping[str, object]] = [
    {
        "name": "web",
        "rules": [
            {
                "alert": "WebDown",
                "expr": "up == 0",
                "labels": {"severity": "critical"},
                "annotations": {"summary": "{{ $labels.job }} does not answer"},
            },
            {"alert": "Slow", "expr": "vector(1) > 0", "for": "10m"},
            {"alert": "Never", "expr": "vector(0) > 1"},
            {"record": "web:up:sum", "expr": "sum(up)"},
        ],
    }
]


async def _alerts(session: Session, wanted: str) -> Said:
    """The alerts, once there are these."""
    with anyio.fail_after(scale_timeout(30)):
        while True:
            said = await session.call("inspect_prometheus", what="alerts")
            if wanted in said.text:
                return said
            await anyio.sleep(0.3)


async def test_alerts_rules_and_targets_show_trouble_first(asking: Asking, tmp_path: Path) -> None:
    needs("prometheus")
    # Nobody listens on port 1.
    with prometheus(tmp_path, scrape_configs=[scrape("web", 1)], rule_groups=RULES) as server:
        async with asking(base_url=server.url) as session:
            alerts = await _alerts(session, "1 firing, 1 pending")
            rules = await session.call("inspect_prometheus", what="rules")
            targets = await session.call("inspect_prometheus", what="targets")
            searched = await session.call("inspect_prometheus", what="rules", search="never")
            health = await session.call("query_metrics", query="up")
    first, second = list(rows_of(alerts.text).items())
    assert (first[0], first[1][0], first[1][2]) == ("WebDown", "firing", "0")
    assert re.fullmatch(r"\d+(ms|s)", first[1][1])
    assert first[1][3:] == ["instance=127.0.0.1:1 job=web severity=critical", "web does not answer"]
    assert (second[0], second[1][0]) == ("Slow", "pending")
    assert rules.text.startswith("alerting rules: 1 firing, 1 pending, 1 inactive")
    assert list(rows_of(rules.text)) == ["WebDown", "Slow", "Never"]
    assert rows_of(rules.text)["Slow"][2] == "10m"
    assert list(rows_of(searched.text)) == ["Never"]
    assert targets.text.startswith("1 down")
    assert "connection refused" in targets.text
    assert rows_of(health.text) or "up" in health.text
