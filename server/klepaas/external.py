"""External providers: other MCP servers whose tools klepaas will offer as its own, behind the same gate.

Only their declaration and the place where it is collected: no connection is made yet. Used from the sixth issue on.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klepaas.host import Host
    from klepaas.plugins import Plugin, Plugins

__all__ = ["ExternalProvider", "HttpServer", "StdioServer", "collect"]

_PREFIX = re.compile(r"[a-z][a-z0-9]{0,15}")


@dataclass(frozen=True)
class StdioServer:
    """An MCP server that klepaas starts and speaks to over its standard streams.

    Attributes:
        command: The program and its arguments; never a shell's line, never a secret.
        env: Its environment; nothing of klepaas' own is passed on.
    """

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class HttpServer:
    """An MCP server that klepaas reaches over streamable HTTP.

    Attributes:
        url: Where it is, from the operator's settings, never from a caller.
        headers: What is sent along; never a caller's own.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ExternalProvider:
    """Another MCP server.

    Attributes:
        name: Its name, for people.
        transport: How it is reached.
        prefix: What its tools' names begin with, before an underscore.
    """

    name: str
    transport: StdioServer | HttpServer
    prefix: str


def collect(plugins: "Plugins", host: "Host", tool_names: Iterable[str]) -> list[ExternalProvider]:
    """The providers of all plugins; a plugin whose prefix is taken is left out.

    Args:
        plugins: The plugins to ask.
        host: What they get.
        tool_names: The tools that there are already.
    """
    taken = {name.partition("_")[0] for name in tool_names}
    found: dict[str, tuple[Plugin, list[ExternalProvider]]] = {}
    for contribution in plugins.contributions("klepaas_external_providers", ExternalProvider, host=host):
        found.setdefault(contribution.plugin.name, (contribution.plugin, []))[1].append(contribution.item)
    accepted: list[ExternalProvider] = []
    for plugin, providers in found.values():
        reason = _objection(providers, taken)
        if reason:
            plugins.fail(plugin, reason)
            continue
        accepted += providers
        taken |= {provider.prefix for provider in providers}
    return accepted


def _objection(providers: list[ExternalProvider], taken: set[str]) -> str | None:
    """Why a plugin's providers cannot be offered; all of them or none, as with tools."""
    seen = set(taken)
    for provider in providers:
        if not _PREFIX.fullmatch(provider.prefix):
            return f"the prefix {provider.prefix!r} of its provider {provider.name!r} is not a short lower-case word"
        if provider.prefix in seen:
            return f"the prefix {provider.prefix!r} of its provider {provider.name!r} is already taken"
        seen.add(provider.prefix)
    return None
