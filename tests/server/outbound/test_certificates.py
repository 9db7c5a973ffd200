"""Whatever klepaas asks over TLS: what is wrong with the server's certificate is named, with its remedy.

One walk over everything that people configure an address for; clusters have a walk of their own.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.kubernetes.secure_api import Authority
from tests.server.external.conftest import guarded, until

from klepaas.app import App
from klepaas.external import ExternalProvider, HttpServer
from klepaas.external.connection import ConnectionState
from klepaas.hookspecs import hookimpl
from klepaas.notifications import Notification, Notifications
from klepaas.testing import app_with, client, scale_timeout
from klepaas_plugins.alertmanager import plugin as alertmanager_plugin
from klepaas_plugins.notifications import plugin as notifications_plugin
from klepaas_plugins.prometheus import plugin as prometheus_plugin
from klepaas_providers.providers import plugin as providers_plugin
from klepaas_providers.slack import plugin as slack_plugin

pytestmark = pytest.mark.anyio
WRITES = {"mode": "writes"}
CASES: dict[str, tuple[dict[str, Any], bool, str, str]] = {
    "expired": ({"days": (-3, -1)}, True, "has expired", "renewed"),
    "early": ({"days": (1, 3)}, True, "is not valid yet", "clock"),
    "other name": ({"loopback": False}, True, "is for another name, not for ", "Use a name that the certificate holds"),
    "not trusted": ({}, False, "is not trusted", "Name the file of the authority that signed it"),
}

Said = str
Ask = Callable[[str, pytest.MonkeyPatch], Awaitable[Said]]


async def _call(plugin: Any, tool: str, **arguments: Any) -> Said:
    async with app_with(plugin, settings=WRITES) as app, client(app) as session:
        said = await session.call(tool, **arguments)
    assert said.is_error, said.text
    return said.text


async def _delivered(app: App) -> Said:
    (found,) = await Notifications.of(app.host).deliver(Notification("test", "x"), scale_timeout(10))
    return str(found.error)


async def _prometheus(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", url)
    return await _call(prometheus_plugin, "query_metrics", query="up")


async def _alertmanager(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_URL", url)
    return await _call(alertmanager_plugin, "list_alerts")


async def _webhook(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_WEBHOOK_URL", f"{url}/hook")
    monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_WEBHOOK_SECRET", "a-secret-of-the-tests")
    async with app_with(notifications_plugin) as app, client(app):
        return await _delivered(app)


async def _slack_notifications(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("KLEPAAS_SLACK_WEBHOOK_URL", f"{url}/services/x")
    async with app_with(notifications_plugin) as app, client(app):
        return await _delivered(app)


async def _mail(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    values = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": url.rpartition(":")[2], "SMTP_SECURITY": "tls"}
    for name, value in {**values, "EMAIL_FROM": "klepaas@acme.example", "EMAIL_TO": '["kim@acme.example"]'}.items():
        monkeypatch.setenv(f"KLEPAAS_NOTIFICATIONS_{name}", value)
    async with app_with(notifications_plugin) as app, client(app):
        return await _delivered(app)


async def _slack_webhook(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("KLEPAAS_SLACK_WEBHOOK_URL", f"{url}/services/x")
    return await _call(slack_plugin, "slack_post_message", text="hello")


async def _external_provider(url: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    @hookimpl
    def klepaas_external_providers(host: Any) -> list[ExternalProvider]:
        return [ExternalProvider("wiki", HttpServer(f"{url}/mcp"), prefix="wiki")]

    async with app_with(providers_plugin, klepaas_external_providers, settings=WRITES) as app, client(app) as session:
        await until(lambda: guarded(app).connection.state is ConnectionState.DOWN)
        return (await session.call("provider_health")).text


ASKS: dict[str, Ask] = {
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "external provider": _external_provider,
    "webhook": _webhook,
    "slack notifications": _slack_notifications,
    "mail": _mail,
    "slack webhook": _slack_webhook,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("asked", ASKS)
async def test_a_certificate_that_is_expired_early_for_another_name_or_not_trusted_is_named_so_by_whatever_asks(
    asked: str, case: str, tmp_path: Path, serve_tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, known, reason, step = CASES[case]
    authority = Authority()
    (tmp_path / "trusted.pem").write_bytes((authority if known else Authority()).pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    async with serve_tls(authority.server(tmp_path, **how)) as port:
        said = await ASKS[asked](f"https://127.0.0.1:{port}", monkeypatch)
    assert f"certificate that {reason}" in said or f"certificate {reason}" in said
    assert step in said
    others = {other for _, _, other, _ in CASES.values()} - {reason}
    assert not any(other in said for other in others)
