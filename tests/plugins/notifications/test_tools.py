"""The tools say what became of an alert, and reach nobody that the operator did not name."""

import re
import sys
from pathlib import Path

import anyio
import pytest
from tests.plugins.notifications.conftest import SIGNING_SECRET, Place

from klepaas.app import App
from klepaas.hookspecs import HealthStatus, Level
from klepaas.notifications import Notification, Notifications
from klepaas.resilience import NotSent, Policy, Upstreams
from klepaas.testing import HttpAnswer, app_with, assert_declared_well, assert_read_only, client, failing, scale_timeout
from klepaas_plugins.notifications import checks, plugin

pytestmark = pytest.mark.anyio
WRITES = {"mode": "writes"}
ALERT = {"component": "kubernetes/prod", "status": "unhealthy", "message": "the API server hangs <!channel>"}


async def test_an_alert_arrives_and_the_answer_says_where(slack: Place, hook: Place) -> None:
    async with app_with(plugin, settings=WRITES) as app, client(app) as session:
        said = await session.call("send_health_alert", **ALERT)
    assert said.text == "slack: delivered\nwebhook: delivered"
    by_path = {request.path: request.json for request in slack.arrived}
    assert "kubernetes/prod is unhealthy" in by_path["/services/hook"]["text"]
    assert "<!channel>" not in by_path["/services/hook"]["text"]
    assert by_path["/hook"]["facts"]["status"] == "unhealthy"


async def test_what_is_not_delivered_is_never_called_sent(
    slack: Place, hook: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas.deliveries.FIRST_WAIT_S", 5.0)
    monkeypatch.setattr("klepaas.deliveries.LONGEST_WAIT_S", 5.0)
    async with app_with(plugin, settings=WRITES) as app, client(app) as session:
        slack.fault = failing(503)
        said = await session.call("send_health_alert", **ALERT)
        assert not said.is_error
        assert len(re.findall("not delivered yet, it will be tried again", said.text)) == 2
        slack.fault = HttpAnswer(400, {}, b"no")
        refused = await session.call("send_health_alert", **{**ALERT, "status": "degraded"})
    assert refused.code == "unavailable"
    assert refused.text.count("NOT delivered") == 2


async def test_the_same_alert_is_not_sent_twice_in_a_row(slack: Place) -> None:
    async with app_with(plugin, settings=WRITES) as app, client(app) as session:
        await session.call("send_health_alert", **ALERT)
        again = await session.call("send_health_alert", **ALERT)
    assert again.code == "rate_limited"
    assert len(slack.arrived) == 1


async def opened(app: App) -> None:
    """A breaker that opens."""
    upstream = Upstreams.of(app.host).get("prometheus/main", Policy(fail_max=2, attempts=1))

    async def fail() -> None:
        raise NotSent("Prometheus cannot be reached")

    for _ in range(3):
        with pytest.raises(Exception, match="rometheus"):
            await upstream.call(fail, safe=True, what="ask")


async def test_a_breaker_that_opens_is_told_by_itself_and_on_demand(slack: Place) -> None:
    async with app_with(plugin, settings=WRITES) as app, client(app) as session:
        await opened(app)
        await slack.has(1)
        assert "Circuit breaker open: prometheus/main" in slack.arrived[0].json["text"]
        said = await session.call("send_circuit_breaker_alert", upstream="prometheus/main")
        assert said.text == "slack: delivered"
        assert "failed 2 times in a row" in slack.arrived[1].json["text"]
        unknown = await session.call("send_circuit_breaker_alert", upstream="nobody")
    assert unknown.code == "not_found"
    assert "prometheus/main" in unknown.text


async def test_it_is_declared_as_the_kit_wants(slack: Place) -> None:
    async with app_with(plugin) as app:
        await assert_read_only(app, slack)
        assert_declared_well(app)


async def test_doctor_and_health_say_what_is_wrong(
    slack: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_with(plugin) as app, client(app):
        assert [finding.level for finding in await checks.look(app.host)] == [Level.OK]
        assert (await checks.health(app.host)).status is HealthStatus.OK
        slack.fault = HttpAnswer(400, {}, b"no")
        await Notifications.of(app.host).deliver(Notification("test", "x"), 5)
        assert (await checks.health(app.host)).status is HealthStatus.DEGRADED
        (tmp_path / "test.txt").write_text("{{ nobody }}")
        monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_TEMPLATES_DIR", str(tmp_path))
        monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_SLACK_CHANNELS", '{"default": "C0123"}')
        found = " ".join(finding.summary for finding in await checks.look(app.host))
    assert "test.txt: there is no 'nobody'" in found
    assert "no Slack MCP server; the incoming webhook is used" in found
    assert "1 notifications were given up" in found


async def test_the_command_tries_each_place_and_says_what_became_of_it(
    slack: Place, hook: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "none")
    command = [sys.executable, "-m", "klepaas", "notifications", "test"]
    with anyio.fail_after(scale_timeout(50)):
        good = await anyio.run_process(command, check=False)
        slack.fault = failing(503)
        bad = await anyio.run_process([*command, "--sink", "webhook"], check=False)
    assert (good.returncode, good.stdout) == (0, b"slack: delivered\nwebhook: delivered\n")
    assert bad.returncode == 1
    assert bad.stdout.startswith(b"webhook: NOT delivered: ")
    assert SIGNING_SECRET.encode() not in bad.stdout + bad.stderr
