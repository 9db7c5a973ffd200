"""What the GitHub provider reads from its environment and its table in the settings file.

Nothing here is read from a tool's arguments: no caller can name a server, a program or a token.
"""

from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from klepaas.settings import SettingsBase

__all__ = ["REMOTE_URL", "TOOLSETS", "GitHubSettings"]

REMOTE_URL = "https://api.githubcopilot.com/mcp/"
# The server's own default has no Actions; releases are part of repos.
TOOLSETS = ("context", "repos", "issues", "pull_requests", "actions", "users")


class GitHubSettings(SettingsBase):
    """The provider's settings; every field is `KLEPAAS_GITHUB_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_GITHUB_")
    table = "github"

    token: Annotated[
        SecretStr | None, Field(description="A personal access token; best a fine-grained one for few repositories")
    ] = None
    app_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="A GitHub App's id")] = None
    app_installation_id: Annotated[
        str | None, Field(pattern=r"^[0-9]{1,20}$", description="The App's installation whose repositories are used")
    ] = None
    app_private_key: Annotated[SecretStr | None, Field(description="The App's private key, PEM")] = None
    host: Annotated[
        str, Field(description="Where GitHub is: `github.com`, `acme.ghe.com`, or the address of an Enterprise Server")
    ] = "github.com"
    mcp_command: Annotated[
        tuple[str, ...],
        Field(
            description="The program that is GitHub's MCP server, as a JSON list: "
            '["github-mcp-server", "stdio"]; else the one that GitHub hosts is used'
        ),
    ] = ()
    mcp_url: Annotated[str | None, Field(description="Address of a hosted MCP server; else GitHub's own")] = None
    toolsets: Annotated[
        tuple[str, ...],
        Field(description="Toolsets of GitHub's MCP server, as a JSON list; few of their tools are listed at once"),
    ] = TOOLSETS

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, value: str) -> str:
        """A host's name, or its address without a path; without TLS only on this machine."""
        parts = urlsplit(value if "://" in value else f"https://{value}")
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.username or parts.password:
            raise ValueError("is not a host's name or its address, as in https://github.acme.example")
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("is an address without TLS")
        return value.rstrip("/")

    @field_validator("mcp_url")
    @classmethod
    def _is_https(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme != "https":
            raise ValueError("is not an address that begins with https://")
        return value

    @field_validator("toolsets")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(name.replace("_", "").isalnum() for name in value):
            raise ValueError("has something in it that is not a toolset's name, or nothing at all")
        return value

    @property
    def address(self) -> str:
        """The host with its scheme."""
        return self.host if "://" in self.host else f"https://{self.host}"

    @property
    def api_url(self) -> str:
        """Where its REST API is, without a final slash."""
        parts = urlsplit(self.address)
        name = parts.hostname or ""
        if name == "github.com" or name.endswith(".ghe.com"):
            return f"https://api.{name}"
        return f"{self.address}/api/v3"

    @property
    def remote_url(self) -> str | None:
        """Where its hosted MCP server is. None: an Enterprise Server has none."""
        name = urlsplit(self.address).hostname or ""
        if self.mcp_url:
            return self.mcp_url
        if name == "github.com":
            return REMOTE_URL
        return f"https://copilot-api.{name}/mcp/" if name.endswith(".ghe.com") else None

    @property
    def is_used(self) -> bool:
        """Whether there are credentials at all."""
        return self.token is not None or self.app_id is not None

    def concerns(self) -> Iterable[str]:
        """What is allowed and still looks wrong."""
        if self.token and self.app_id:
            yield "token and app_id are both set: the token is used"
        if self.token and self.token.get_secret_value().startswith("ghp_"):
            yield "token is a classic one, which is good for all that its owner may do; use a fine-grained one"
