"""All external servers of one klepaas: started with it, ended with it, and known by the names of their tools.

A service of the host. Without any server it is empty and costs nothing; what speaks to servers is imported with the
first one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from klepaas.errors import KlepaasError, Unavailable
from klepaas.host import Host
from klepaas.notifications import Notification, Notifications
from klepaas.output.quoting import quote
from klepaas.output.redaction import vault
from klepaas.output.safe import limit_length

if TYPE_CHECKING:
    from fastmcp import FastMCP

    from klepaas.catalogue import Catalogue, Entry
    from klepaas.external.collecting import Declared
    from klepaas.external.connection import Pace
    from klepaas.external.declaration import ExternalProvider
    from klepaas.external.definitions import Definition
    from klepaas.external.guarded import Guarded

__all__ = ["FOLDER", "Externals"]

log = logging.getLogger(__name__)

FOLDER = "external"
# What this finds, `call_tool` calls; without it nobody would know what to call.
SEARCH_TOOL = "search_tools"
# Calls of tools that nobody knows yet.
MOST_WAITING = 16


class Externals:
    """The external servers of one klepaas.

    Args:
        host: The klepaas.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._declared: list[Declared] = []
        self._guarded: list[Guarded] = []
        self._entries: dict[str, Entry] = {}
        self._call_any: Entry | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting = 0
        # Told whenever other tools are offered than before; they return at once and raise nothing.
        self.listeners: list[Callable[[], None]] = []
        self.pace: Pace | None = None
        self.problem: str | None = None

    @classmethod
    def of(cls, host: Host) -> "Externals":
        """The host's own."""
        return host.service(cls, cls)

    @property
    def declared(self) -> "Sequence[Declared]":
        """The servers and who answers for each."""
        return self._declared

    @property
    def servers(self) -> "Sequence[Guarded]":
        """The servers; empty until they are offered."""
        return self._guarded

    def declare(self, declared: "Sequence[Declared]") -> None:
        """Take in what plugins and the operator named, before tools are asked for.

        Args:
            declared: The servers.
        """
        self._declared = list(declared)

    def offer(self, server: "FastMCP[Any]", catalogue: "Catalogue") -> None:
        """Offer the tools on a server, those first that are known from before; connects nothing.

        Args:
            server: What speaks MCP.
            catalogue: What its gate knows of.
        """
        if not self._declared:
            return
        from klepaas.external.shown import CalledByName, Shown

        self._open()
        search = catalogue.get(SEARCH_TOOL)
        if search is not None:
            from klepaas.external.entries import call_any

            self._call_any = call_any(self._host.settings.mode, search.plugin)
            self._enter()
        catalogue.more = self
        server.add_provider(Shown(self))
        server.middleware.insert(0, CalledByName(self))

    def _open(self) -> None:
        from klepaas.external.guarded import Guarded
        from klepaas.external.settings import ExternalSettings
        from klepaas.external.trust import TrustStore
        from klepaas.resilience import Upstreams

        folder, strict = self._host.settings.state_dir / FOLDER, ExternalSettings().mcp_strict_trust
        for one in self._declared:
            _keep_secrets(one.provider)
            self._guarded.append(
                Guarded(
                    one.provider,
                    TrustStore(folder, one.provider.key),
                    Upstreams.of(self._host),
                    changed=self._changed,
                    drifted=self._drifted,
                    strict=strict,
                    pace=self.pace,
                )
            )
        for guarded in self._guarded:
            guarded.settle_names([other.provider.prefix for other in self._guarded if other is not guarded])
        self._enter()

    def __iter__(self) -> "Iterator[Entry]":
        yield from self._entries.values()

    def get(self, name: str) -> "Entry | None":
        """The entry of this name, or None.

        Args:
            name: The name that clients call.
        """
        return self._entries.get(name)

    def server(self, name: str) -> "Guarded | None":
        """The server of this name, or None.

        Args:
            name: Its name, or its prefix.
        """
        return next((one for one in self._guarded if name in (one.provider.name, one.provider.prefix)), None)

    def absent(self, name: str) -> KlepaasError | None:
        """Why a tool may be missing: its server has not been heard of yet. None: there is no such server.

        Args:
            name: The tool's name.
        """
        for one in self._guarded:
            if one.listing is None and name.startswith(f"{one.provider.prefix}_"):
                why = one.provider.problem or one.connection.last_error or "it is still starting"
                return Unavailable(
                    f"The tools of {one.provider.name} are not known yet: {why}",
                    next_step="provider_health says how it is",
                    retry_after_s=one.connection.retry_in_s or 5.0,
                )
        return None

    async def first_list_of(self, name: str) -> None:
        """Wait, not for long, where the tool may be one of a server that is starting for the first time.

        Args:
            name: The tool's name.
        """
        for one in self._guarded:
            if one.listing is None and name.startswith(f"{one.provider.prefix}_") and self._waiting < MOST_WAITING:
                self._waiting += 1
                try:
                    await one.connection.started()
                finally:
                    self._waiting -= 1

    def start(self) -> None:
        """Begin to keep up the connections; waits for nothing."""
        self._tasks = [guarded.start() for guarded in self._guarded if guarded.provider.problem is None]

    async def aclose(self) -> None:
        """End every connection and every process."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _changed(self) -> None:
        self._enter()
        for listener in self.listeners:
            listener()

    def _enter(self) -> None:
        from klepaas.external.entries import entry_of

        entries: dict[str, Entry] = {}
        for one, guarded in zip(self._declared, self._guarded, strict=False):
            for offer in guarded.offers.values():
                known = self._entries.get(offer.name)
                same = known is not None and getattr(known, "offer", None) == offer
                entries[offer.name] = known if known is not None and same else entry_of(guarded, offer, one.plugin)
        if self._call_any is not None:
            entries[self._call_any.tool.name] = self._call_any
        self._entries = entries

    def _drifted(self, provider: "ExternalProvider", definition: "Definition") -> None:
        shown = quote(definition.name)
        log.warning("%s of the external server %s is defined otherwise now; it is closed", shown, provider.name)
        Notifications.of(self._host).send(
            Notification(
                "provider_tool_changed",
                f"{provider.name} defines its tool {shown} otherwise than it was trusted; it is closed",
                f"klepaas providers trust {provider.name} {limit_length(definition.name, 64)} shows the difference.",
                {"provider": provider.name, "tool": limit_length(definition.name, 64)},
            )
        )


def _keep_secrets(provider: "ExternalProvider") -> None:
    """What we send to a server stands in no text that leaves klepaas."""
    from klepaas.external.declaration import StdioServer

    transport: Any = provider.transport
    values = dict(transport.env if isinstance(transport, StdioServer) else transport.headers)
    kept = provider.secrets
    if kept is None:
        from klepaas.output.redaction import is_secret_field, is_secret_name, looks_secret

        kept = tuple(
            value
            for name, value in values.items()
            if is_secret_name(name) or is_secret_field(name, value) or looks_secret(value)
        )
    for value in kept:
        vault.keep(value)
        vault.keep(value.partition(" ")[2])
