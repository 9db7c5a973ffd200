"""The signed webhook: a receiver can check it, and it leads nowhere that it must not."""

import asyncio
import ipaddress
import ssl
from pathlib import Path

import pytest
from tests.plugins.notifications.certificates import certified
from tests.plugins.notifications.conftest import SIGNING_SECRET, Place

from klepaas.errors import BadRequest
from klepaas.notifications import Notification, Notifications
from klepaas.store.outbox import ParcelState
from klepaas.testing import app_with, client, failing
from klepaas.testing.loopback import Listening
from klepaas_plugins.notifications import plugin
from klepaas_plugins.notifications.addresses import _may_be_asked, objection_to, resolve
from klepaas_plugins.notifications.webhook import signature

pytestmark = pytest.mark.anyio


async def test_each_attempt_is_signed_anew_and_has_the_same_id(hook: Place) -> None:
    hook.fault_next(failing(503))
    async with app_with(plugin) as app, client(app):
        Notifications.of(app.host).send(Notification("deployment_failed", "web failed", "password=hunter2hunter2"))
        await hook.has(1)
    request = hook.arrived[0]
    at = int(request.headers["klepaas-signature"].partition(",")[0].removeprefix("t="))
    assert request.headers["klepaas-signature"] == signature(SIGNING_SECRET, at, request.body)
    assert request.headers["klepaas-notification-id"] == request.json["id"]
    assert (request.json["kind"], request.json["title"]) == ("deployment_failed", "web failed")
    assert b"hunter2" not in request.body
    assert len(hook.proxy.asked) == 2


def test_another_body_or_time_has_another_signature() -> None:
    good = signature("secret", 1, b"{}")
    assert good != signature("secret", 2, b"{}").replace("t=2", "t=1")
    assert good != signature("secret", 1, b"{ }")
    assert good != signature("other", 1, b"{}")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://hooks.example/x",
            "ftp://127.0.0.1/x",
            "https://",
            "https://user:pw@hooks.example/",
            "/x",
            "https://[",
        ),
        "https://hooks.example/#x",
    ],
)
def test_an_address_without_tls_or_with_a_password_is_refused(url: str) -> None:
    assert objection_to(url)


@pytest.mark.parametrize("url", ["https://hooks.example/x?y=1", "http://127.0.0.1:8080/x", "http://localhost/x"])
def test_https_and_this_machine_are_not(url: str) -> None:
    assert objection_to(url) is None


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07::1", True, True),
        ("10.1.2.3", False, True),
        ("192.168.0.1", False, True),
        ("fd00::1", False, True),
        ("100.64.0.1", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("::ffff:10.0.0.1", False, True),
        ("::ffff:169.254.169.254", False, False),
        ("224.0.0.1", False, False),
    ],
)
def test_a_name_may_mean_only_what_is_allowed(address: str, public: bool, private: bool) -> None:
    found = ipaddress.ip_address(address)
    assert _may_be_asked(found, "hooks.example", allow_private=False) is public
    assert _may_be_asked(found, "hooks.example", allow_private=True) is private


async def test_a_private_address_is_refused_until_it_is_allowed() -> None:
    with pytest.raises(BadRequest, match="private network"):
        await resolve("https://10.1.2.3/x", allow_private=False)
    there = await resolve("https://10.1.2.3/x?y=1", allow_private=True)
    assert (there.url, there.host_header) == ("https://10.1.2.3:443/x?y=1", "10.1.2.3")


class TlsReceiver(Listening):
    """A receiver that speaks TLS and answers 200."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.heads: list[str] = []
        self._context = context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(self._context)
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_certificate_is_checked_against_the_name(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certified(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_WEBHOOK_SECRET", SIGNING_SECRET)
    async with TlsReceiver(context) as receiver:
        monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_WEBHOOK_URL", f"https://localhost:{receiver.port}/hook")
        async with app_with(plugin) as app:
            notifications = Notifications.of(app.host)
            (found,) = await notifications.try_once(Notification("test", "x"), notifications.durable)
    assert (found.state is ParcelState.DELIVERED) is trusted
    assert [f"Host: localhost:{receiver.port}" in head for head in receiver.heads] == [True] * trusted
