"""Collects the providers that plugins and the operator name, and makes sure that each name and prefix has one owner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from klepaas.external.declaration import ExternalProvider
from klepaas.external.server_file import ServerFile
from klepaas.host import Host
from klepaas.plugins import Plugin, Plugins, PluginState

__all__ = ["Declared", "collect", "without_taken_names"]

# The built-in plugin that answers for the servers of the operator's file which no plugin knows.
OWNER = "providers"


@dataclass(frozen=True)
class Declared:
    """A provider and the plugin that answers for it."""

    plugin: Plugin
    provider: ExternalProvider


def collect(plugins: Plugins, host: Host) -> list[Declared]:
    """The providers of all plugins, and of the operator; a plugin whose prefix is taken is left out.

    Args:
        plugins: The plugins to ask.
        host: What they get.
    """
    found: dict[str, list[Declared]] = {}
    for contribution in plugins.contributions("klepaas_external_providers", ExternalProvider, host=host):
        declared = Declared(contribution.plugin, contribution.item)
        found.setdefault(contribution.plugin.name, []).append(declared)
    accepted: list[Declared] = []
    for declared_by_one in found.values():
        reason = _objection([declared.provider for declared in declared_by_one], accepted)
        if reason:
            plugins.fail(declared_by_one[0].plugin, reason)
        else:
            accepted += declared_by_one
    file = ServerFile.of(host)
    accepted = [_as_the_operator_says(declared, file) for declared in accepted]
    return accepted + _left_in_the_file(plugins, file, accepted)


def without_taken_names(plugins: Plugins, declared: Sequence[Declared], tool_names: Iterable[str]) -> list[Declared]:
    """The providers whose prefix no tool of a plugin begins with; the plugin that named another is left out.

    Args:
        plugins: The plugins.
        declared: The providers.
        tool_names: The tools that there are.
    """
    names = list(tool_names)
    for one in declared:
        prefix = one.provider.prefix
        if any(name.startswith(f"{prefix}_") for name in names) and one.plugin.state is PluginState.ACTIVE:
            plugins.fail(one.plugin, f"the prefix {prefix!r} of its provider {one.provider.name!r} is already taken")
    return [one for one in declared if one.plugin.state is PluginState.ACTIVE]


def _objection(providers: list[ExternalProvider], accepted: list[Declared]) -> str | None:
    """Why a plugin's providers cannot be offered; all of them or none, as with tools."""
    seen = [declared.provider for declared in accepted]
    for provider in providers:
        reason = provider.objection() or _taken(provider, seen)
        if reason:
            return reason
        seen.append(provider)
    return None


def _taken(provider: ExternalProvider, others: list[ExternalProvider]) -> str | None:
    prefix = provider.prefix
    if any(other.prefix == prefix for other in others):
        return f"the prefix {prefix!r} of its provider {provider.name!r} is already taken"
    if any(other.key == provider.key for other in others):
        return f"there is another provider of the name {provider.name!r}"
    return None


def _as_the_operator_says(declared: Declared, file: ServerFile) -> Declared:
    server = file.get(declared.provider.name)
    return Declared(declared.plugin, server.applied_to(declared.provider)) if server else declared


def _left_in_the_file(plugins: Plugins, file: ServerFile, accepted: list[Declared]) -> list[Declared]:
    """The servers that no plugin takes; one that cannot be offered is shown with its problem."""
    owner = next((plugin for plugin in plugins.active if plugin.name == OWNER and plugin.built_in), None)
    if owner is None:
        return []
    found: list[Declared] = []
    for server in file.left:
        provider = server.applied_to(server.provider())
        others = [declared.provider for declared in [*accepted, *found]]
        reason = provider.objection() or _taken(provider, others)
        if reason:
            file.problem = file.problem or f"{server.name} is left out: {reason}"
        else:
            found.append(Declared(owner, provider))
    return found
