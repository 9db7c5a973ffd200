"""Notifications in Slack: by a Slack MCP server that is configured, to a channel by kind, or by an incoming webhook.

Nothing is posted but to the operator's channels. Values in a message mention nobody and format nothing; links are not
unfolded: the webhook says so, and by a server, which cannot be asked that, they are written so that they are none.

Source: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from klepaas.errors import BadRequest, Forbidden, Unavailable
from klepaas.external.externals import Externals
from klepaas.host import Host
from klepaas.notifications import Notification, NotificationSink
from klepaas.resilience import Kind, Observation, Upstreams, Verdict
from klepaas_plugins.notifications.posting import ONCE, judge_post, post
from klepaas_plugins.notifications.wording import Dialect, Wording

if TYPE_CHECKING:
    from klepaas.external.guarded import Guarded

__all__ = ["channel_for", "has_server", "server_sink", "webhook_sink"]

_POST = "post_message"
# A server that is starting for the first time gets its time.
_SERVER_TIMEOUT_S = 60.0
_ERRORS = ("deployment_failed", "deployment_rolled_back", "circuit_breaker_opened", "health_alert")


def webhook_sink(host: Host, url: SecretStr, wording: Wording) -> NotificationSink:
    """The sink that posts by the incoming webhook, to the webhook's one channel.

    Args:
        host: The server's settings and shared services.
        url: The webhook.
        wording: What is written.
    """
    upstream = Upstreams.of(host).get("notifications/slack", ONCE, _judge)

    async def send(notification: Notification) -> None:
        text = _message(*await wording.of(notification, Dialect.SLACK))
        body = json.dumps({"text": text, "unfurl_links": False, "unfurl_media": False}).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        await upstream.call(
            lambda: post(url.get_secret_value(), body, headers), safe=False, what="post a notification to Slack"
        )

    return NotificationSink("slack", send, timeout_s=20.0, durable=True)


def server_sink(host: Host, channels: Mapping[str, str], wording: Wording) -> NotificationSink:
    """The sink that posts by a Slack MCP server.

    Args:
        host: The server's settings and shared services.
        channels: The channels by kind, group of kinds or error, and `default`.
        wording: What is written.
    """

    async def send(notification: Notification) -> None:
        channel = channel_for(notification, channels)
        if channel is None:
            return
        text = _message(*await wording.of(notification, Dialect.SLACK_WITHOUT_LINKS))
        await _post(_server(host), channel, text)

    return NotificationSink("slack", send, timeout_s=_SERVER_TIMEOUT_S, durable=True)


def channel_for(notification: Notification, channels: Mapping[str, str]) -> str | None:
    """The channel of a notification: by its error code, its kind, its group, else the default one. None: there is none.

    Args:
        notification: The notification; the fact `code` is its error code.
        channels: The channels.
    """
    group = notification.kind.partition("_")[0]
    wanted = [str(notification.facts.get("code", "")), notification.kind]
    wanted += ["error"] if notification.kind in _ERRORS else []
    return next((channels[name] for name in (*wanted, group, "default") if name in channels), None)


def has_server(host: Host) -> bool:
    """Whether a Slack MCP server is configured; connects nothing."""
    return any(declared.provider.kind == "slack" for declared in Externals.of(host).declared)


def _message(title: str, text: str) -> str:
    return f"{title}\n{text}" if text else title


def _judge(seen: Observation) -> Verdict:
    """A webhook's post is done when Slack says so, in two letters."""
    verdict = judge_post(seen)
    if verdict.kind is Kind.OK and getattr(seen.result, "text", "").strip() != "ok":
        return Verdict(Kind.PROTOCOL, reason="did not say that it was done")
    return verdict


def _server(host: Host) -> "Guarded":
    found = [one for one in Externals.of(host).servers if one.provider.kind == "slack"]
    if not found:
        raise Unavailable("No Slack MCP server is configured any more")
    return found[0]


async def _post(server: "Guarded", channel: str, text: str) -> None:
    """Post by a server's own tool, in the parameters that it has.

    Raises:
        KlepaasError: It was not posted, or nobody knows.
    """
    if server.listing is None:
        await server.connection.started()
    offer = server.offers.get(_name(server)) or next(
        (one for one in server.offers.values() if one.name == _name(server)), None
    )
    if offer is None:
        raise Unavailable(f"{server.provider.name} offers no tool to post with, or is not there yet", retry_after_s=10)
    if not offer.open:
        raise Forbidden(f"{offer.name} is closed until a person trusts it")
    properties: Mapping[str, Any] = offer.definition.schema.get("properties", {})
    where = next((name for name in ("channel_id", "channel") if name in properties), None)
    what = next((name for name in ("text", "payload", "message") if name in properties), None)
    if where is None or what is None:
        raise BadRequest(f"{offer.name} takes other parameters than any Slack server that is known")
    plain = {"content_type": "text/plain"} if "content_type" in properties else {}
    await server.call(offer, {where: channel, what: text, **plain})


def _name(server: "Guarded") -> str:
    return f"{server.provider.prefix}_{_POST}"
