"""Two monitoring servers that differ only in secrets get equal answers from the tools that ask them.

A walk over every tool that asks Prometheus or Alertmanager, with the parameters that select, compare, sort, search or
count. Left out is what PromQL itself compares: a query is evaluated by the server, which may be asked anything, and the
fake evaluates none (`docs/security.md`, "Redaction").
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from klepaas.output.redaction import MARK
from klepaas.testing import FakeHttp, Session, app_with, client, scale_timeout
from klepaas_plugins.alertmanager import plugin as alertmanager
from klepaas_plugins.prometheus import plugin as prometheus

from .monitoring_world import SILENCE_ID, serve_secrets, serving_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

# Of one length; one sorts before all else that a label holds, one after it.
SECRETS = ("Aa1firstSecret0001xK", "zz9lastSecretB0002yP")
GUESSES = (*SECRETS, "Aa1", "secret", "redacted", MARK, "shop")
_TIMES = re.compile(r"until [-0-9: ]+ UTC|\b(?:\d+[dhms]){1,2}\b")
# What both servers answered, for all tests here.
_ANSWERS: dict[str, dict[str, str]] = {}


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to ask that selects, compares, sorts, searches or counts."""
    for query in ("shop_up", "sort(shop_up)"):
        for limit in (1, 3, 40):
            yield "query_metrics", {"query": query, "limit": limit}
            yield "query_metrics", {"query": query, "range_s": 600, "end_time": "2023-11-14T22:23:20Z", "limit": limit}
    points = {"query": "shop_up", "range_s": 600, "end_time": "2023-11-14T22:23:20Z", "points": True}
    yield "query_metrics", points
    yield "list_metrics", {"metric": "shop_up"}
    for label in ("token", "instance", "job"):
        for limit in (1, 2, 3, 50):
            yield "list_metrics", {"label": label, "limit": limit}
    for what in ("alerts", "rules", "targets"):
        for limit in (1, 2, 50):
            yield "inspect_prometheus", {"what": what, "limit": limit}
    yield from guessed()
    for what in ("alerts", "groups", "silences"):
        yield "list_alerts", {"what": what}
    yield "expire_silence", {"silence_id": SILENCE_ID}


def guessed() -> Iterator[tuple[str, dict[str, Any]]]:
    """The same with guesses."""
    for guess in GUESSES:
        yield "list_metrics", {"search": guess}
        for label in ("token", "instance", "job"):
            yield "list_metrics", {"label": label, "search": guess}
        for what in ("alerts", "rules", "targets"):
            yield "inspect_prometheus", {"what": what, "search": guess}
        address = f"postgres://app:{guess}@db:5432/app"
        for matcher in (f"token={guess}", f"token!={guess}", f"token=~{guess[:3]}.*", f"job={address}",
                        f"instance=~.*{guess}.*", f"job!~.*{guess}.*"):  # fmt: skip
            for what in ("alerts", "groups", "silences"):
                yield "list_alerts", {"what": what, "matchers": [matcher]}
        silence = {"matchers": ["alertname=ShopDown", f"token=~{guess}.*"], "duration_min": 5, "comment": "x"}
        yield "silence_alerts", silence


async def answers(secret: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    async with FakeHttp() as fake:
        serve_secrets(fake, secret)
        for name, value in serving_settings(fake).items():
            monkeypatch.setenv(name, value)
        settings = {"mode": "writes", "policy": ({"decision": "auto"},)}
        async with app_with(prometheus, alertmanager, settings=settings) as app, client(app) as session:
            return {f"{tool} {json.dumps(args)}": await _said(session, tool, args) for tool, args in questions()}


async def _said(session: Session, tool: str, arguments: dict[str, Any]) -> str:
    said = await session.call(tool, **arguments)
    return _TIMES.sub("~", f"{said.is_error} {said.meta} {said.text}")


@pytest.fixture
async def both(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], dict[str, str]]:
    for secret in SECRETS:
        if secret not in _ANSWERS:
            _ANSWERS[secret] = await answers(secret, monkeypatch)
    return _ANSWERS[SECRETS[0]], _ANSWERS[SECRETS[1]]


async def test_equal_questions_to_servers_that_differ_in_secrets_get_equal_answers_without_them(
    both: tuple[dict[str, str], dict[str, str]],
) -> None:
    one, other = both
    differing = [f"{asked}\n{text}\n{other[asked]}" for asked, text in one.items() if text != other[asked]]
    assert not differing, f"{len(differing)} of {len(one)}:\n" + "\n\n".join(differing[:5])
    for found, secret in zip(both, SECRETS, strict=True):
        assert not [asked for asked, text in found.items() if secret[:6] in text and secret[:3] not in asked]
    assert sum(text.startswith("False") for text in one.values()) > len(one) * 3 // 4, "most were answered, not refused"


async def test_matchers_and_searches_still_find_what_is_shown(both: tuple[dict[str, str], dict[str, str]]) -> None:
    one, _ = both
    assert "shop_up" in one['list_metrics {"search": "shop"}']
    assert "shop:80" in one['list_metrics {"label": "instance", "search": "shop"}']
    shown = one['list_alerts {"what": "alerts", "matchers": ["job!~.*shop.*"]}']
    assert "5 alerts" in shown
    assert "1 alerts not compared" in shown, "an alert whose label is hidden is named as not compared"
    assert "3 alerts not compared" in one['list_alerts {"what": "alerts", "matchers": ["token=shop"]}']


def test_the_walk_asks_every_tool_that_asks_a_monitoring_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from klepaas.app import create_app
    from klepaas.settings import Mode, Settings

    monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_URL", "http://127.0.0.1:1")
    asked = {tool for tool, _ in questions()}
    tools = {
        entry.tool.name
        for entry in create_app(Settings(mode=Mode.WRITES)).catalogue
        if entry.plugin.name in ("prometheus", "alertmanager")
    }
    # They read what klepaas received and stored without secrets, and select by state and number alone.
    assert tools - asked <= {"get_notifications", "acknowledge_notification"}
    assert asked <= tools
