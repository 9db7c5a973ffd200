"""One server as an operator names it: how it is reached, and what is said of its tools over whatever a plugin says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from klepaas.external.declaration import ExternalProvider, HttpServer, StdioServer, ToolRule
from klepaas.external.server_options import ServerOptions, ToolChoice

__all__ = ["ConfiguredServer"]


@dataclass(frozen=True)
class ConfiguredServer:
    """One server of the file.

    Attributes:
        name: The name that the file gives it.
        prefix: What its tools' names begin with.
        kind: What it is.
        transport: How it is reached. None: the file leaves that to the plugin which knows this kind.
        env: Its environment, expanded.
        headers: Its headers, expanded.
        problem: Why it cannot be used, in one sentence without secrets. None: it can.
        options: What else the operator says of it.
    """

    name: str
    prefix: str
    kind: str = "generic"
    transport: StdioServer | HttpServer | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    problem: str | None = None
    options: ServerOptions = field(default_factory=ServerOptions)

    def provider(self) -> ExternalProvider:
        """The server as nobody knows it: all that is said of its tools is what the file says."""
        problem = self.problem
        if self.transport is None and problem is None:
            problem = f"{self.name} has neither a command nor a url"
        return ExternalProvider(self.name, self.transport or StdioServer(()), self.prefix, self.kind, problem=problem)

    def applied_to(self, provider: ExternalProvider) -> ExternalProvider:
        """A plugin's declaration of this server, with what the operator says of it.

        Args:
            provider: The declaration.
        """
        said: dict[str, Any] = {"strict": provider.strict or self.options.strict}
        for limit in ("boot_timeout_s", "call_timeout_s"):
            if getattr(self.options, limit) is not None:
                said[limit] = getattr(self.options, limit)

        def rules(upstream_name: str) -> list[ToolRule]:
            return [self._chosen(upstream_name, rule) for rule in provider.rules_for(upstream_name)]

        return replace(provider, tools=rules, **said)

    def _chosen(self, upstream_name: str, rule: ToolRule) -> ToolRule:
        choice = self.options.tools.get(upstream_name, ToolChoice())
        listed = rule.listed
        if self.options.listed is not None:
            names = (upstream_name, rule.name)
            listed = self.options.listed == "all" or any(name in self.options.listed for name in names)
        if choice.listed is not None:
            listed = choice.listed
        return replace(rule, effect=choice.effect or rule.effect, listed=listed)
