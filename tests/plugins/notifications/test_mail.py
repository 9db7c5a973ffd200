"""E-mail: handed over once, with TLS where that is asked, and never believed to be when it was not."""

import base64
from collections.abc import AsyncIterator
from email import message_from_string
from pathlib import Path

import pytest
from tests.plugins.notifications.certificates import certified
from tests.plugins.notifications.smtp_server import SmtpServer

from klepaas.app import App
from klepaas.notifications import Delivery, Notification, Notifications
from klepaas.store.outbox import ParcelState
from klepaas.testing import app_with
from klepaas_plugins.notifications import plugin
from klepaas_plugins.notifications.settings import NotificationSettings

pytestmark = pytest.mark.anyio
PASSWORD = "pl4ntedMailPassword01"
FAILED = Notification("deployment_failed", "web failed\r\nBcc: all@evil.example", "exit code 1\n.\nQUIT")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as one:
        configure(monkeypatch, SMTP_HOST="127.0.0.1", SMTP_PORT=str(one.port), SMTP_SECURITY="none")
        yield one


def configure(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Set the plugin's variables."""
    both = {"EMAIL_FROM": "klepaas@acme.example", "EMAIL_TO": '["ops@acme.example", "kim@acme.example"]', **values}
    for name, value in both.items():
        monkeypatch.setenv(f"KLEPAAS_NOTIFICATIONS_{name}", value)


async def sent(app: App) -> Delivery:
    """What became of one notification."""
    notifications = Notifications.of(app.host)
    (found,) = await notifications.try_once(FAILED, notifications.durable)
    return found


async def test_a_message_arrives_with_nothing_slipped_into_its_head(server: SmtpServer) -> None:
    async with app_with(plugin) as app:
        assert (await sent(app)).state is ParcelState.DELIVERED
    (text,) = server.messages
    message = message_from_string(text.replace("\r\n..", "\r\n."))
    assert message["Bcc"] is None
    assert message["To"] == "ops@acme.example, kim@acme.example"
    assert message["Message-ID"] == f"<{FAILED.id}@acme.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "exit code 1\n.\nQUIT" in body.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("trusted", [True, False])
async def test_starttls_is_insisted_on_and_checked(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certified(tmp_path)
    async with SmtpServer(context) as server:
        configure(monkeypatch, SMTP_HOST="localhost", SMTP_PORT=str(server.port))
        configure(monkeypatch, SMTP_USERNAME="klepaas", SMTP_PASSWORD=PASSWORD)
        if trusted:
            configure(monkeypatch, SMTP_CA_FILE=str(authority))
        async with app_with(plugin) as app:
            found = await sent(app)
    assert (found.state is ParcelState.DELIVERED) is trusted
    assert len(server.logins) == len(server.messages) == trusted
    assert not trusted or base64.b64encode(f"\0klepaas\0{PASSWORD}".encode()).decode() in server.logins[0]
    assert PASSWORD not in repr(found)


async def test_without_starttls_nothing_is_sent(server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, SMTP_SECURITY="starttls", SMTP_USERNAME="klepaas", SMTP_PASSWORD=PASSWORD)
    async with app_with(plugin) as app:
        found = await sent(app)
    assert found.state is ParcelState.FAILED
    assert server.logins == server.messages == []


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "EHLO"])
@pytest.mark.parametrize(("answer", "said"), [("451 later", "for now"), ("550 no", "refuses")])
async def test_a_refusal_is_no_delivery(server: SmtpServer, verb: str, answer: str, said: str) -> None:
    server.refuse = {verb: answer} | ({"HELO": answer} if verb == "EHLO" else {})
    async with app_with(plugin) as app:
        found = await sent(app)
    assert found.state is ParcelState.FAILED
    assert said in str(found.error)
    assert server.messages == []


async def test_a_server_that_hangs_or_is_gone_costs_a_limited_time(
    server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas_plugins.notifications.mail._ANSWER_TIMEOUT_S", 0.3)
    server.hang_at = "DATA"
    async with app_with(plugin) as app:
        assert (await sent(app)).state is ParcelState.FAILED
        await server.stop()
        assert "cannot be reached" in str((await sent(app)).error)


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for values in (
        {"SMTP_HOST": "mail.acme.example", "EMAIL_TO": "[]"},
        {"EMAIL_TO": '["kim"]'},
        {"EMAIL_FROM": "a@b.example\nBcc: c@d.example"},
        {"SMTP_HOST": "mail.acme.example", "SMTP_SECURITY": "none", "SMTP_PASSWORD": PASSWORD},
        {"WEBHOOK_URL": "https://hooks.example/x"},
        {"WEBHOOK_URL": "https://hooks.example/x", "WEBHOOK_SECRET": "short"},
        {"WEBHOOK_URL": "http://hooks.example/x", "WEBHOOK_SECRET": "long-enough-to-be-one"},
        {"SLACK_CHANNELS": '{"default": "general"}'},
    ):
        with monkeypatch.context() as there:
            configure(there, **values)
            with pytest.raises(ValueError, match=r"(?i)channel|mail|webhook|smtp"):
                NotificationSettings()
