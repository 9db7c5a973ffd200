"""How a server is reached, what is checked about it, and that no secret is told."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from klepaas.errors import KlepaasError
from klepaas.hookspecs import HealthStatus, Level
from klepaas.host import Host
from klepaas.settings import Settings, what_is_wrong
from klepaas.testing import (
    FakeHttp,
    app_with,
    assert_nothing_leaks,
    assert_read_only,
    assert_refuses_hostile_texts,
)
from klepaas_plugins.prometheus import plugin
from klepaas_plugins.prometheus.checks import doctor_checks, health_checks
from klepaas_plugins.prometheus.client import PrometheusServers
from klepaas_plugins.prometheus.settings import PrometheusSettings

from .conftest import Asking
from .fake_prometheus import answer_with, vector

pytestmark = pytest.mark.anyio
ONE = vector({"metric": {"pod": "web"}, "value": [1_795_000_000, "1"]})
SECRET = "s3cr3t-of-prometheus"


def configure(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    for name, value in settings.items():
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"KLEPAAS_PROMETHEUS_{name.upper()}", text)


async def sent(asking: Asking, fake: FakeHttp, **settings: str) -> dict[str, str]:
    answer_with(fake, ONE)
    async with asking(base_url=fake.url, **settings) as session:
        said = await session.call("query_metrics", query="up")
    assert not said.is_error, said.text
    return dict(fake.requests[-1].headers)


async def test_without_a_server_there_are_no_tools(asking: Asking) -> None:
    async with asking() as session:
        assert await session.tools() == []


async def test_a_token_is_sent(asking: Asking, fake: FakeHttp) -> None:
    assert (await sent(asking, fake, bearer_token=SECRET))["authorization"] == f"Bearer {SECRET}"


async def test_name_and_password_are_sent(asking: Asking, fake: FakeHttp) -> None:
    headers = await sent(asking, fake, username="klepaas", password=SECRET)
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == f"klepaas:{SECRET}"


async def test_tenant_and_headers_are_sent(asking: Asking, fake: FakeHttp) -> None:
    headers = await sent(asking, fake, org_id="team-a|team-b", headers=json.dumps({"X-Api-Key": SECRET}))
    assert (headers["x-scope-orgid"], headers["x-api-key"]) == ("team-a|team-b", SECRET)
    assert headers["accept-encoding"] == "identity"


async def test_a_token_that_is_renewed_is_read_anew(asking: Asking, fake: FakeHttp, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first-token\n")
    answer_with(fake, ONE)
    async with asking(base_url=fake.url, credentials_file=str(file)) as session:
        await session.call("query_metrics", query="up")
        file.write_text("second-token\n")
        await session.call("query_metrics", query="up")
        file.unlink()
        gone = await session.call("query_metrics", query="up")
    tokens = [request.headers["authorization"] for request in fake.requests]
    assert tokens == ["Bearer first-token", "Bearer second-token"]
    assert (gone.code, "credentials file" in gone.text) == ("unavailable", True)


async def test_no_answer_and_no_error_holds_a_secret(asking: Asking, fake: FakeHttp) -> None:
    message = f"proxy saw Authorization: Bearer {SECRET} and said no"
    answer_with(fake, {"status": "error", "errorType": "bad_data", "error": message}, status=400)
    async with asking(base_url=fake.url, bearer_token=SECRET) as session:
        refused = await session.call("query_metrics", query="up")
        answer_with(fake, vector({"metric": {"token": SECRET}, "value": [1, "1"]}, warnings=[SECRET]))
        answered = await session.call("query_metrics", query="up")
    assert refused.is_error
    assert not answered.is_error
    assert SECRET not in refused.text + answered.text + str([refused.meta, answered.meta])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "prometheus:9090"}, "begins with http"),
        ({"base_url": f"http://klepaas:{SECRET}@127.0.0.1"}, "holds credentials"),
        ({"base_url": f"http://127.0.0.1/?token={SECRET}"}, "query or a fragment"),
        (
            {"base_url": "http://127.0.0.1", "bearer_token": SECRET, "username": "a", "password": "b"},
            "more than one of",
        ),
        ({"base_url": "http://127.0.0.1", "username": "a"}, "only one of username"),
        ({"base_url": "http://127.0.0.1", "cert_file": "a.pem"}, "only one of cert_file"),
        ({"base_url": "http://127.0.0.1", "headers": {"Host": SECRET}}, "header that cannot be set"),
        ({"base_url": "http://127.0.0.1", "headers": {"X-A": f"{SECRET}\r\nX-B: c"}}, "cannot be sent"),
        ({"servers": {"Not A Name": {"url": "http://127.0.0.1"}}}, "lower-case letters"),
        ({"servers": {"default": {"url": "http://127.0.0.1"}}}, "default"),
        ({"servers": {"a": {"url": "http://127.0.0.1", "pasword": SECRET}}}, "SERVERS.a.pasword"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], words: str
) -> None:
    configure(monkeypatch, **settings)
    with pytest.raises(ValidationError) as caught:
        PrometheusSettings()
    said = what_is_wrong(caught.value)
    assert words in said
    assert SECRET not in said


def test_of_several_servers_without_a_default_one_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, servers={"a": {"url": "http://127.0.0.1:1"}, "b": {"url": "http://127.0.0.1:2"}})
    servers = PrometheusServers.of(Host(Settings()))
    assert servers.names == ["a", "b"]
    assert servers.get("b").name == "prometheus/b"
    with pytest.raises(KlepaasError, match="several Prometheus servers"):
        servers.get()


async def test_health_says_ok_degraded_or_unhealthy(fake: FakeHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, base_url=fake.url, servers={"gone": {"url": "http://127.0.0.1:1"}})
    host = Host(Settings())
    well, gone = health_checks(host)
    assert (well.component, gone.component) == ("prometheus/default", "prometheus/gone")
    answer_with(fake, ONE)
    assert (await well.check()).status is HealthStatus.OK
    answer_with(fake, ONE, date=1_600_000_000)
    off = await well.check()
    assert (off.status, "clock is" in off.reason) == (HealthStatus.DEGRADED, True)
    away = await gone.check()
    assert (away.status, "cannot be reached" in away.reason) == (HealthStatus.UNHEALTHY, True)
    for _ in range(4):
        away = await gone.check()
    assert "left alone" in away.reason
    await host.aclose()


async def test_doctor_says_what_is_wrong_with_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (check,) = doctor_checks(Host(Settings()))
    assert [finding.summary for finding in await check.check()] == ["Prometheus is not configured"]
    servers = {
        "open": {"url": "http://prometheus.example", "bearer_token": SECRET},
        "nofile": {"url": "https://prometheus.example", "credentials_file": str(tmp_path / "none")},
        "noca": {"url": "https://prometheus.example", "ca_file": str(tmp_path / "none")},
        "well": {"url": "https://prometheus.example"},
    }
    configure(monkeypatch, servers=servers)
    found = list(await check.check())
    errors = [finding.summary for finding in found if finding.level is Level.ERROR]
    warnings = [finding.summary for finding in found if finding.level is Level.WARNING]
    assert [text.partition(":")[0] for text in errors] == ["prometheus/nofile", "prometheus/noca"]
    assert warnings == ["the credentials of prometheus/open are sent without TLS"]
    assert SECRET not in str(found)


async def test_the_plugin_keeps_the_promises(monkeypatch: pytest.MonkeyPatch, fake: FakeHttp) -> None:
    configure(monkeypatch, base_url=fake.url, bearer_token=SECRET)
    answer_with(fake, ONE)
    samples = {"what": "alerts", "query": "up"}
    async with app_with(plugin) as app:
        await assert_read_only(app, fake, samples=samples, changes=lambda one: not one.path.startswith("/api/v1/"))
        await assert_refuses_hostile_texts(app, fake, samples=samples)
        await assert_nothing_leaks(app, [SECRET], fake=fake, samples=samples)
