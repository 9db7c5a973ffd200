"""What the Alertmanager plugin reads from its environment and its table in the settings file.

Nothing here is read from a tool's arguments or from a webhook: no caller can name an address, a header or a file.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from klepaas.http.routes import TOKEN_MIN_CHARS
from klepaas.settings import SettingsBase
from klepaas_plugins.prometheus.client import Access

__all__ = ["DEFAULT", "AlertmanagerSettings"]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
DEFAULT = "default"


class AlertmanagerSettings(SettingsBase):
    """The plugin's settings; every field is `KLEPAAS_ALERTMANAGER_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_ALERTMANAGER_")
    table = "alertmanager"

    url: Annotated[
        str | None,
        Field(description="Address of Alertmanager, up to what stands before `/api`; without one it is not asked"),
    ] = None
    bearer_token: Annotated[SecretStr | None, Field(description="A token that is sent to it")] = None
    credentials_file: Annotated[
        Path | None, Field(description="A file with such a token, read anew at each request, so that it may be renewed")
    ] = None
    username: Annotated[str | None, Field(description="For basic authentication")] = None
    password: Annotated[SecretStr | None, Field(description="For basic authentication")] = None
    headers: Annotated[
        dict[str, SecretStr], Field(description='More headers: {"X-Api-Key": "..."}; the values count as secrets')
    ] = Field(default_factory=dict)
    org_id: Annotated[str | None, Field(description="The tenant (`X-Scope-OrgID`) of Mimir or Cortex")] = None
    ca_file: Annotated[Path | None, Field(description="The authority of its certificate; else the system's")] = None
    cert_file: Annotated[Path | None, Field(description="The certificate that it asks of clients")] = None
    key_file: Annotated[Path | None, Field(description="The key of that certificate")] = None
    timeout_s: Annotated[float, Field(gt=0, le=60, description="Limit of one request, in seconds")] = 10.0
    servers: Annotated[
        dict[str, Access],
        Field(
            max_length=50,
            description="More servers by name, a table each: `url`, and the keys from `bearer_token` to `key_file`",
        ),
    ] = Field(default_factory=dict)
    webhook_token: Annotated[
        SecretStr | None,
        Field(
            description="What Alertmanager shows when it posts to `/hooks/alertmanager`, at least 16 characters; "
            "without it nothing is received"
        ),
    ] = None
    webhook_per_minute: Annotated[
        int, Field(ge=1, le=10_000, description="How many messages of Alertmanager are taken in a minute")
    ] = 300
    evidence: Annotated[
        bool, Field(description="Whether evidence is frozen when an alert fires: rollout, pods, logs, key series")
    ] = True
    contexts: Annotated[
        dict[str, str],
        Field(
            max_length=200,
            description="The context of each cluster, by the label `cluster` of its alerts, where they differ",
        ),
    ] = Field(default_factory=dict)
    keep_days: Annotated[float, Field(gt=0, le=3650, description="Days without news after which one is forgotten")] = (
        30.0
    )
    keep_most: Annotated[
        int, Field(ge=10, le=100_000, description="How many notifications are kept; of more the oldest go")
    ] = 5000

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for name in self.servers:
            if not _NAME.fullmatch(name) or name == DEFAULT:
                raise ValueError("servers: a name is lower-case letters, digits and '-', and not \"default\"")
        if self.webhook_token is not None:
            token = self.webhook_token.get_secret_value()
            if len(token) < TOKEN_MIN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
                raise ValueError(
                    f"webhook_token is not at least {TOKEN_MIN_CHARS} printable ASCII characters without spaces"
                )
        # What is wrong with the one server is to be said here, not at its first use.
        _ = self.by_name
        return self

    @property
    def by_name(self) -> dict[str, Access]:
        """Every server, the one of `url` first, as "default"."""
        if self.url is None:
            return dict(self.servers)
        own = Access(
            url=self.url,
            bearer_token=self.bearer_token,
            credentials_file=self.credentials_file,
            username=self.username,
            password=self.password,
            headers=self.headers,
            org_id=self.org_id,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
        )
        return {DEFAULT: own, **self.servers}

    def concerns(self) -> Iterable[str]:
        """Credentials without a server, or without TLS."""
        if self.url is None and (self.bearer_token or self.username or self.credentials_file):
            yield "KLEPAAS_ALERTMANAGER_URL is not set, so the credentials beside it are not used"
        for name, access in self.by_name.items():
            if access.is_open:
                yield f"the credentials of alertmanager/{name} are sent without TLS"
