"""A webhook that can check who sent a notification: signed with a shared secret over the time and the body.

The signature is HMAC-SHA256 over `<time>.<body>`; docs/plugins/notifications.md shows how it is checked.

Source: RFC 2104.
"""

import hashlib
import hmac
import json
import time

from pydantic import SecretStr

from klepaas.host import Host
from klepaas.notifications import Notification, NotificationSink
from klepaas.resilience import Upstreams
from klepaas_plugins.notifications.addresses import resolve
from klepaas_plugins.notifications.posting import ONCE, judge_post, post

__all__ = ["SIGNATURE", "signature", "webhook_sink"]

SIGNATURE = "Klepaas-Signature"


def webhook_sink(host: Host, url: SecretStr, secret: SecretStr, *, allow_private: bool) -> NotificationSink:
    """The sink.

    Args:
        host: The server's settings and shared services.
        url: Where to.
        secret: What is signed with.
        allow_private: Whether that may be in a private network.
    """
    upstream = Upstreams.of(host).get("notifications/webhook", ONCE, judge_post)

    async def send(notification: Notification) -> None:
        body = json.dumps({"version": 1, **notification.to_json()}, ensure_ascii=False).encode()

        async def ask() -> object:
            there = await resolve(url.get_secret_value(), allow_private=allow_private)
            headers = {**_headers(notification, body, secret), "Host": there.host_header}
            return await post(there.url, body, headers, sni=None if there.proxied else there.host)

        await upstream.call(ask, safe=False, what="deliver a notification to the webhook")

    return NotificationSink("webhook", send, timeout_s=20.0, durable=True)


def signature(secret: str, at: int, body: bytes) -> str:
    """The header's value.

    Args:
        secret: The shared secret.
        at: When it is sent, in seconds since 1970.
        body: The request's body.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _headers(notification: Notification, body: bytes, secret: SecretStr) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Klepaas-Notification-Id": notification.id,
        SIGNATURE: signature(secret.get_secret_value(), int(time.time()), body),
    }
