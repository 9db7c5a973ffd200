"""How a plugin declares an external provider: another MCP server, and what klepaas thinks of each of its tools.

    @hookimpl
    def klepaas_external_providers(host):
        yield ExternalProvider(
            "wiki", StdioServer(("wiki-mcp",), env={"WIKI_TOKEN": token}), "wiki",
            tools={"get_page": ToolRule(Effect.READ, listed=True), "save_page": ToolRule(Effect.WRITE, "save")},
        )

The upstream's own hints decide nothing: a tool without a rule counts as destructive and is not listed. Nothing here
connects; `klepaas.external.connection` does, in the background. This module is imported at every start: it imports no
client.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from klepaas.tools import Effect, Target

if TYPE_CHECKING:
    from klepaas.resilience import Classifier, Policy

__all__ = [
    "PREFIX",
    "Credentials",
    "ExternalProvider",
    "HttpServer",
    "Rules",
    "StdioServer",
    "Supplier",
    "ToolRule",
]

PREFIX = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
PREFIX_MAX_CHARS = 24
# A name is part of a file's path and of a metric's label.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Credentials:
    """What an upstream knows us by, for as long as it is good.

    Attributes:
        values: Variables of a process's environment, or headers of an HTTP server; secrets, which klepaas keeps out of
            every text that leaves it.
        valid_for_s: After how many seconds there will be others: a process is then started again with them. None: they
            do not end.
    """

    values: Mapping[str, str] = field(repr=False)
    valid_for_s: float | None = None


Supplier = Callable[[], Awaitable[Credentials]]


@dataclass(frozen=True)
class StdioServer:
    """An MCP server that klepaas starts and speaks to over its standard streams.

    Attributes:
        command: The program and its arguments; never a shell's line, never a secret.
        env: Its environment besides PATH, HOME, the language and the like; nothing else of klepaas' own is passed on.
        credentials: Gives more of its environment at each start. None: there is no more.
        cwd: Its working folder. None: that of klepaas.
    """

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Supplier | None = field(default=None, repr=False)
    cwd: str | None = None


@dataclass(frozen=True)
class HttpServer:
    """An MCP server that klepaas reaches over streamable HTTP.

    Attributes:
        url: Where it is, from the operator's settings, never from a caller.
        headers: What is sent along; never a caller's own.
        credentials: Gives more headers, asked before each request; it keeps what is still good itself. None: no more.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Supplier | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ToolRule:
    """What klepaas thinks of one tool of an upstream, or of one use of it.

    Several rules may be about one upstream tool, each with other fixed arguments: then each is a tool of its own, so
    that what reads and what destroys stay apart, and names stay while the upstream merges its tools.

    Attributes:
        effect: What a call may do.
        name: Its name after the provider's prefix. None: the upstream's own.
        listed: Whether clients are told of it at once; others are found by search.
        title: A short name for people. None: made from the name.
        description: What the model reads. None: the upstream's, cleaned, cut and marked as the upstream's.
        fixed: Arguments that are always sent so; callers neither see nor give them.
        parameters: The parameters that the list shows besides the required ones. None: all. Others may be given too. A
            mapping says what they are in our words ("" where the name says it), and the upstream's are left out.
        private: Parameters whose text is shown to nobody who confirms a call and stands in no record.
        targets: What a call with these arguments would change. None: the provider as a whole.
        verify: How to find out whether a change was made whose answer never came, as a sentence: "Look with
            github_list_issues". None: look at what there is.
        idempotent: Whether the same call twice is the same as once.
        timeout_s: Longest time of one attempt, in seconds. None: the provider's.
    """

    effect: Effect = Effect.DESTRUCTIVE
    name: str | None = None
    listed: bool = False
    title: str | None = None
    description: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] | Mapping[str, str] | None = None
    private: frozenset[str] = frozenset()
    targets: Callable[[Mapping[str, Any]], Sequence[Target]] | None = None
    verify: str | None = None
    idempotent: bool = False
    timeout_s: float | None = None


Rules = Mapping[str, ToolRule | Sequence[ToolRule]] | Callable[[str], Sequence[ToolRule]]
"""The rules by the upstream's names of its tools. A name without a rule gets `ToolRule()`; an empty sequence leaves the
tool out."""


@dataclass(frozen=True)
class ExternalProvider:
    """Another MCP server.

    Attributes:
        name: Its name, for people, files and metrics: "github", "github-work"; lower-case letters, digits, '-' and '_'.
        transport: How it is reached.
        prefix: What its tools' names begin with, before an underscore.
        kind: What it is: "github", "slack"; "generic" where nobody knows.
        tools: What klepaas thinks of its tools.
        classify: Judges each attempt: a `mcp_types.CallToolResult` as the observation's result, or an exception, among
            them `mcp.shared.exceptions.MCPError` for a JSON-RPC error. None: `klepaas.external.classify.classify_mcp`,
            to which a classifier of its own leaves what it does not know.
        boot_timeout_s: Longest time to start and to answer the first list, in seconds.
        call_timeout_s: Longest time of one attempt of a call, in seconds.
        policy: The limits of its calls. None: made from `call_timeout_s`.
        strict: Whether even what is seen for the first time must be trusted by a person.
        problem: Why it cannot be used at all, in one sentence without secrets: a variable that is not set. It is shown
            then, and nothing is connected. None: it can.
        secrets: Values in its environment or headers that no text may carry out. None: all of its headers and of its
            environment's values.
    """

    name: str
    transport: StdioServer | HttpServer
    prefix: str
    kind: str = "generic"
    tools: Rules = field(default_factory=dict)
    classify: "Classifier | None" = None
    boot_timeout_s: float = 10.0
    call_timeout_s: float = 20.0
    policy: "Policy | None" = None
    strict: bool = False
    problem: str | None = None
    secrets: tuple[str, ...] | None = field(default=None, repr=False)

    def objection(self) -> str | None:
        """What is wrong with the declaration; None: nothing."""
        if not PREFIX.fullmatch(self.prefix) or len(self.prefix) > PREFIX_MAX_CHARS:
            return f"the prefix {self.prefix!r} of its provider {self.name!r} is not a short lower-case word"
        for what, limit_s in (("boot_timeout_s", self.boot_timeout_s), ("call_timeout_s", self.call_timeout_s)):
            if not (math.isfinite(limit_s) and limit_s > 0):
                return f"{what} of its provider {self.name!r} is not a number of seconds above 0"
        return None

    @property
    def key(self) -> str:
        """The name as a file's name and a metric's label may hold it."""
        name = re.sub(r"[^a-z0-9_-]+", "-", self.name.lower()).strip("-_")[:40]
        return name if _NAME.fullmatch(name) else self.prefix

    def rules_for(self, upstream_name: str) -> Sequence[ToolRule]:
        """What klepaas thinks of one tool.

        Args:
            upstream_name: The upstream's own name of it.
        """
        if callable(self.tools):
            return tuple(self.tools(upstream_name))
        found = self.tools.get(upstream_name, ToolRule())
        return (found,) if isinstance(found, ToolRule) else tuple(found)
