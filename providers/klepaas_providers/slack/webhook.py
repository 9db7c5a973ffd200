"""Slack without a server: an incoming webhook, which posts to the one channel it was made for and does nothing else.

The webhook's address is its secret; it stands in no error and no log.

Source: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import SecretStr

from klepaas import names
from klepaas.changes import Action, ChangeSet
from klepaas.host import Host
from klepaas.outbound import open_client
from klepaas.resilience import Kind, Observation, Upstreams, Verdict, classify
from klepaas.tools import Effect, Target, Tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import httpx

__all__ = ["judge", "webhook_tool"]

_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5.0, 10.0


def webhook_tool(host: Host, url: SecretStr) -> Tool:
    """The tool that posts by the webhook.

    Args:
        host: The server's settings and shared services.
        url: The webhook.
    """
    upstream = Upstreams.of(host).get("slack-webhook", classify=judge)

    async def slack_post_message(text: Annotated[str, names.TEXT]) -> str:
        """Post a message to the team's Slack channel."""
        await upstream.call(
            lambda: _post(url, text),
            safe=False,
            what="post to Slack by the incoming webhook",
            verify="Look in the channel before you post it again",
        )
        return "Posted to the channel of the incoming webhook."

    async def plan(text: Annotated[str, names.TEXT]) -> ChangeSet:
        channel = "the channel of the incoming webhook"
        return ChangeSet.of_action(
            "Posting to Slack", kind="message", name=f"in {channel}", action=Action.CREATE, facts=(("text", text),)
        )

    async def targets(_arguments: "Mapping[str, Any]") -> "Sequence[Target]":
        return [Target(context="slack", kind="channel", name="of the incoming webhook")]

    return Tool(
        slack_post_message,
        Effect.WRITE,
        "Post to Slack",
        "slack",
        open_world=True,
        targets=targets,
        plan=plan,
        search_hint="post send write message slack channel",
    )


def judge(seen: Observation) -> Verdict:
    """The verdict on a post: it is done when Slack says so, in two letters.

    Args:
        seen: What an attempt brought.
    """
    verdict = classify(seen)
    if verdict.kind is Kind.OK and getattr(seen.result, "text", "").strip() != "ok":
        return Verdict(Kind.PROTOCOL, reason="did not say that it was done")
    return verdict


async def _post(url: SecretStr, text: str) -> "httpx.Response":
    import httpx

    limits = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    # A link that Slack unfolds is a request to whoever wrote the text.
    message = {"text": text, "unfurl_links": False, "unfurl_media": False}
    async with open_client(url.get_secret_value(), limits) as client:
        answer = await client.post(url.get_secret_value(), json=message)
    if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
        answer.raise_for_status()
    return answer
