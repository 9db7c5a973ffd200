"""Which contexts lead to the same cluster: a rule about one of them holds for the cluster, whatever it is called.

The server knows no cluster: the plugin that does answers.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from klepaas.host import Host
from klepaas.tools import Target

__all__ = ["ContextAliases", "Find"]

Find = Callable[[str, str | None, Callable[[str], bool]], Awaitable[Sequence[str]]]


class ContextAliases:
    """Which contexts lead to the same cluster as another one; said by the plugin that knows the clusters."""

    def __init__(self) -> None:
        self._find: Find | None = None

    @classmethod
    def of(cls, host: Host) -> "ContextAliases":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def answer_by(self, find: Find) -> None:
        """Let a plugin answer.

        Args:
            find: Gets a context, a namespace, and whether a rule guards a context by its name; gives the other contexts
                of the same cluster that are guarded.
        """
        self._find = find

    async def with_aliases(self, target: Target, guards: Callable[[str], bool]) -> Target:
        """A target with the other names of its cluster that rules guard.

        Args:
            target: The target.
            guards: Whether a rule guards a context by its name.
        """
        if self._find is None or target.context is None:
            return target
        return replace(target, also=tuple(await self._find(target.context, target.namespace, guards)))
