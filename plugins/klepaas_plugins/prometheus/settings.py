"""What the Prometheus plugin reads from its environment and its table in the settings file.

Nothing here is read from a tool's arguments: no caller can name an address, a header or a file.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from klepaas.settings import SettingsBase
from klepaas_plugins.prometheus.access import Access

__all__ = ["PrometheusSettings"]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
DEFAULT = "default"


class PrometheusSettings(SettingsBase):
    """The plugin's settings; every field is `KLEPAAS_PROMETHEUS_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_PROMETHEUS_")
    table = "prometheus"

    base_url: Annotated[
        str | None,
        Field(description="Address of Prometheus, up to what stands before `/api`; without one there are no tools"),
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
    org_id: Annotated[str | None, Field(description="The tenant (`X-Scope-OrgID`) of Mimir, Thanos or Cortex")] = None
    ca_file: Annotated[Path | None, Field(description="The authority of its certificate; else the system's")] = None
    cert_file: Annotated[Path | None, Field(description="The certificate that it asks of clients")] = None
    key_file: Annotated[Path | None, Field(description="The key of that certificate")] = None
    timeout_s: Annotated[float, Field(gt=0, le=60, description="Limit of one query, in seconds")] = 20.0
    servers: Annotated[
        dict[str, Access],
        Field(
            max_length=50,
            description="More servers by name, a table each: `url`, and the keys from `bearer_token` to `key_file`",
        ),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_servers(self) -> Self:
        for name in self.servers:
            if not _NAME.fullmatch(name) or name == DEFAULT:
                raise ValueError("servers: a name is lower-case letters, digits and '-', and not \"default\"")
        # What is wrong with the one server is to be said here, not at its first use.
        _ = self.by_name
        return self

    @property
    def by_name(self) -> dict[str, Access]:
        """Every server, the one of `base_url` first, as "default"."""
        if self.base_url is None:
            return dict(self.servers)
        own = Access(
            url=self.base_url,
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
        if self.base_url is None and (self.bearer_token or self.username or self.credentials_file):
            yield "KLEPAAS_PROMETHEUS_BASE_URL is not set, so the credentials beside it are not used"
        for name, access in self.by_name.items():
            if access.is_open:
                yield f"the credentials of prometheus/{name} are sent without TLS"
