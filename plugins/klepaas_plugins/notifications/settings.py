"""What the notifications plugin reads from its environment and its table in the settings file.

Nothing here is read from a tool's arguments: no caller can name an address, a channel or a recipient.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from klepaas.configuration import toml_file
from klepaas.configuration.places import find, settings_of
from klepaas.output.redaction import vault
from klepaas.settings import SettingsBase
from klepaas_plugins.notifications.addresses import is_loopback_name, objection_to

__all__ = ["Language", "NotificationSettings", "SmtpSecurity", "slack_webhook"]

_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}|#[\w-]{1,80}")
_MAIL = re.compile(r"[^\s@<>,;:\"\\]{1,64}@[A-Za-z0-9.-]{1,253}")
_ROUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHORTEST_SECRET = 16


class Language(StrEnum):
    """In which language people are told."""

    EN = "en"
    KO = "ko"


class SmtpSecurity(StrEnum):
    """How the way to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class NotificationSettings(SettingsBase):
    """The plugin's settings; every field is `KLEPAAS_NOTIFICATIONS_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_NOTIFICATIONS_")
    table = "notifications"

    language: Annotated[Language, Field(description="en, or ko: the language of the messages")] = Language.EN
    templates_dir: Annotated[
        Path | None, Field(description="Folder with templates of your own, such as `deployment_failed.txt`")
    ] = None
    slack_channels: Annotated[
        dict[str, str],
        Field(
            max_length=50,
            description="Channels for messages by the Slack MCP server, as a JSON object: `default`, and a channel of "
            "its own for a kind (`deployment_failed`), a group of kinds (`deployment`) or an error (`rate_limited`)",
        ),
    ] = Field(default_factory=dict)
    webhook_url: Annotated[SecretStr | None, Field(description="Address that gets signed notifications")] = None
    webhook_secret: Annotated[
        SecretStr | None, Field(description="What they are signed with, 16 characters or more")
    ] = None
    webhook_allow_private: Annotated[bool, Field(description="Whether the webhook may be in a private network")] = False
    smtp_host: Annotated[str | None, Field(description="Mail server; without one there is no e-mail")] = None
    smtp_port: Annotated[int, Field(ge=1, le=65535, description="Port of the mail server")] = 587
    smtp_security: Annotated[SmtpSecurity, Field(description="starttls, tls from the start, or none")] = (
        SmtpSecurity.STARTTLS
    )
    smtp_username: Annotated[str | None, Field(description="For the login")] = None
    smtp_password: Annotated[SecretStr | None, Field(description="For the login")] = None
    smtp_ca_file: Annotated[Path | None, Field(description="The authority of its certificate; else the system's")] = (
        None
    )
    email_from: Annotated[str | None, Field(description="The sender's address")] = None
    email_to: Annotated[
        tuple[str, ...], Field(max_length=20, description="The recipients' addresses, as a JSON list")
    ] = ()

    @field_validator("slack_channels")
    @classmethod
    def _are_channels(cls, value: dict[str, str]) -> dict[str, str]:
        for route, channel in value.items():
            if not _ROUTE.fullmatch(route):
                raise ValueError("has a key that is no kind, group or error code")
            if not _CHANNEL.fullmatch(channel):
                raise ValueError(f"the channel for {route} is neither an id, as in C0123ABCD, nor a #name")
        return value

    @field_validator("email_to")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_MAIL.fullmatch(address) for address in value):
            raise ValueError("has something in it that is no e-mail address")
        return value

    @field_validator("email_from")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _MAIL.fullmatch(value):
            raise ValueError("is no e-mail address")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.webhook_url is not None:
            wrong = objection_to(self.webhook_url.get_secret_value())
            if wrong:
                raise ValueError(f"webhook_url {wrong}")
            if self.webhook_secret is None or len(self.webhook_secret.get_secret_value()) < _SHORTEST_SECRET:
                raise ValueError(f"webhook_url needs a webhook_secret of {_SHORTEST_SECRET} characters or more")
        if self.smtp_host is not None and (self.email_from is None or not self.email_to):
            raise ValueError("smtp_host needs email_from and email_to")
        if (
            self.smtp_security is SmtpSecurity.NONE
            and self.smtp_password
            and not is_loopback_name(self.smtp_host or "")
        ):
            raise ValueError("smtp_security: a password is not sent without TLS")
        return self

    def concerns(self) -> Iterable[str]:
        """What is allowed and still looks wrong."""
        if self.slack_channels and "default" not in self.slack_channels:
            yield "slack_channels has no default: what fits no other key is not sent to Slack"
        if self.smtp_host and self.smtp_security is SmtpSecurity.NONE and not is_loopback_name(self.smtp_host):
            yield "smtp_security is none: notifications cross the network in the clear"
        if (self.smtp_username is None) != (self.smtp_password is None):
            yield "smtp_username and smtp_password belong together"


class _OfSlack(BaseModel):
    """A setting of the Slack provider, whose class no plugin can import; here it is only looked up."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_SLACK_")
    table: ClassVar[str] = "slack"

    webhook_url: Annotated[SecretStr | None, Field(description="An incoming webhook")] = None


def slack_webhook() -> SecretStr | None:
    """The incoming webhook, which the Slack provider's settings describe. None: there is none, or it is none.

    What is wrong with it, the provider says.
    """
    found = find(settings_of(_OfSlack)[0], toml_file.read())
    value = "" if found is None else str(found.value)
    if not value or objection_to(value):
        return None
    vault.keep(value)
    return SecretStr(value)
