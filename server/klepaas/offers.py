"""What one klepaas offers besides tools: its resources and prompts, and who brought them.

It makes sure that each URI and each name has one owner, and shows them as clients list them. It decides nothing about a
reading (`klepaas.reading` does). As with tools, a plugin that declares one wrongly is left out as a whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from klepaas.hookspecs import Prompt, Resource
from klepaas.host import Host
from klepaas.plugins import Plugin, Plugins, PluginState

__all__ = ["Offer", "Offers"]

T = TypeVar("T", Resource, Prompt)


@dataclass(frozen=True)
class Offer(Generic[T]):
    """A resource or a prompt, and where it came from.

    Attributes:
        item: Its declaration.
        plugin: Who brought it. None: the server itself.
    """

    item: T
    plugin: Plugin | None

    @property
    def active(self) -> bool:
        """Whether its plugin still takes part: one whose start failed does not."""
        return self.plugin is None or self.plugin.state is PluginState.ACTIVE

    @property
    def owner(self) -> str:
        """Who offers it, in words."""
        return f"{self.plugin.name} ({self.plugin.source})" if self.plugin else "klepaas itself"


class Offers:
    """Collects the resources and prompts of all plugins.

    Args:
        plugins: The plugins to ask.
        host: What they get.
        own: The resources of the server itself; no plugin can take their URIs.
    """

    def __init__(self, plugins: Plugins, host: Host, own: Iterable[Resource] = ()) -> None:
        self._plugins = plugins
        self._resources: list[Offer[Resource]] = [Offer(resource, None) for resource in own]
        self._prompts: dict[str, Offer[Prompt]] = {}
        for plugin, resources in self._collected("klepaas_resources", Resource, host):
            self._add_resources(plugin, resources)
        for plugin, prompts in self._collected("klepaas_prompts", Prompt, host):
            self._add_prompts(plugin, prompts)

    @property
    def resources(self) -> list[Offer[Resource]]:
        """The resources that can be read now, by URI."""
        return sorted((offer for offer in self._resources if offer.active), key=lambda offer: offer.item.uri)

    @property
    def prompts(self) -> dict[str, Offer[Prompt]]:
        """The prompts that can be got now, by name."""
        return {name: offer for name, offer in sorted(self._prompts.items()) if offer.active}

    def find(self, uri: str) -> tuple[Resource, dict[str, str]] | None:
        """The resource that a URI names, and the values of its variables, not checked yet.

        Args:
            uri: What a client asks for.
        """
        for offer in self._resources:
            values = offer.item.template.match(uri) if offer.active else None
            if values is not None:
                return offer.item, values
        return None

    def template(self, uri: str) -> Resource | None:
        """The resource with exactly this template."""
        return next((offer.item for offer in self._resources if offer.active and offer.item.uri == uri), None)

    def _collected(self, hook: str, kind: type[T], host: Host) -> Iterator[tuple[Plugin, list[T]]]:
        found: dict[str, tuple[Plugin, list[T]]] = {}
        for contribution in self._plugins.contributions(hook, kind, host=host):
            found.setdefault(contribution.plugin.name, (contribution.plugin, []))[1].append(contribution.item)
        return iter(found.values())

    def _add_resources(self, plugin: Plugin, resources: list[Resource]) -> None:
        added: list[Offer[Resource]] = []
        for resource in resources:
            for taken in [*self._resources, *added]:
                if taken.item.template.overlaps(resource.template) or taken.item.name == resource.name:
                    reason = f"its resource {resource.name!r} ({resource.uri}) is already offered by {taken.owner}"
                    self._plugins.fail(plugin, reason)
                    return
            added.append(Offer(resource, plugin))
        self._resources += added

    def _add_prompts(self, plugin: Plugin, prompts: list[Prompt]) -> None:
        added: dict[str, Offer[Prompt]] = {}
        for prompt in prompts:
            taken = self._prompts.get(prompt.name) or added.get(prompt.name)
            if taken:
                self._plugins.fail(plugin, f"its prompt {prompt.name!r} is already offered by {taken.owner}")
                return
            added[prompt.name] = Offer(prompt, plugin)
        self._prompts |= added
