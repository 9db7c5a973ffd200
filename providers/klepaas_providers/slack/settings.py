"""What the Slack provider reads from its environment and its table in the settings file.

Nothing here is read from a tool's arguments: no caller can name a server, a program, a token or a webhook.
"""

import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from klepaas.settings import SettingsBase

__all__ = ["REMOTE_URL", "SlackSettings"]

REMOTE_URL = "https://mcp.slack.com/mcp"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}")


class SlackSettings(SettingsBase):
    """The provider's settings; every field is `KLEPAAS_SLACK_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_SLACK_")
    table = "slack"

    bot_token: Annotated[SecretStr | None, Field(description="A bot's token, `xoxb-...`, for a local server")] = None
    user_token: Annotated[
        SecretStr | None,
        Field(description="A user's token, `xoxp-...`; the server that Slack hosts takes no other"),
    ] = None
    team_id: Annotated[
        str | None, Field(pattern=r"^T[A-Z0-9]{2,20}$", description="The workspace, which the server of npm asks for")
    ] = None
    mcp_command: Annotated[
        tuple[str, ...],
        Field(
            description="The program that is a Slack MCP server, as a JSON list: "
            '["slack-mcp-server", "--transport", "stdio"]; else the one that Slack hosts is used'
        ),
    ] = ()
    mcp_url: Annotated[str, Field(description="Address of the hosted MCP server")] = REMOTE_URL
    post_channels: Annotated[
        tuple[str, ...],
        Field(description="Ids of the only channels that slack-mcp-server may post to, as a JSON list; else all"),
    ] = ()
    client_id: Annotated[
        str | None, Field(pattern=r"^[0-9.]{3,64}$", description="Your Slack app, for `klepaas slack login`")
    ] = None
    client_secret: Annotated[SecretStr | None, Field(description="Your Slack app's secret")] = None
    redirect_uri: Annotated[
        str, Field(description="Where Slack sends the browser after a login, as your Slack app has it")
    ] = "http://localhost:3118/callback"
    webhook_url: Annotated[
        SecretStr | None,
        Field(description="An incoming webhook; it can post to one channel and nothing else"),
    ] = None

    @field_validator("mcp_url")
    @classmethod
    def _is_https(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
            raise ValueError("is not an address that begins with https://")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _is_https_too(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            cls._is_https(value.get_secret_value())
        return value

    @field_validator("post_channels")
    @classmethod
    def _are_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_CHANNEL.fullmatch(name) for name in value):
            raise ValueError("has something in it that is not a channel's id, as in C0123ABCD")
        return value

    def concerns(self) -> Iterable[str]:
        """What is allowed and still looks wrong."""
        if self.bot_token and not self.mcp_command and not self.user_token:
            yield "bot_token is set without mcp_command: the server that Slack hosts takes user tokens only"
