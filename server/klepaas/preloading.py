"""Imports in a thread what calls need, once the tools are listed: an import in the event loop stops every call.

A start loads what the list of tools needs. What calls need besides takes up to a second of the processor, and longer on
a busy machine than a client waits for a sign of life. It is loaded in the background after the first list; a call that
comes earlier waits for what it needs itself, while its client hears of it.
"""

import asyncio
import contextlib
import importlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable

import anyio
from anyio.to_thread import run_sync

from klepaas.host import Host
from klepaas.settings import Mode

__all__ = ["CHANGES", "EVERY_CALL", "HTTP_CLIENT", "Preloading"]

log = logging.getLogger(__name__)

# Names of groups that no plugin has.
EVERY_CALL, CHANGES = "every call", "changes"
# What the first request of an HTTP client imports; for plugins that have one.
HTTP_CLIENT = ("httpx", "httpcore", "tenacity")
# The answer with the list leaves first.
_PAUSE_S = 0.1
_OF_EVERY_CALL = (
    "encodings.ascii",
    "prometheus_client.core",
    "klepaas.self_metrics",
    "klepaas.output.redaction:compile_rules",
    *(("pwd",) if os.name == "posix" else ()),
    # FastMCP looks there for rules of visibility before each call.
    "key_value.aio.adapters.pydantic",
    "key_value.aio.stores.memory",
    "fastmcp.server.providers.prefab_payload",
    "klepaas.listed_offers",
)
_OF_CHANGES = (
    "klepaas.gate.change_calls",
    "klepaas.gate.confirmation",
    "klepaas.gate.questions",
    "klepaas.plans.rendering",
    "sqlalchemy.orm",
    "klepaas.operations.advice",
    "klepaas.operations.submission",
    "klepaas.gate.resumption",
)


class Preloading:
    """The modules that calls need, in groups: what every call needs, what changes need, and what each plugin's need."""

    def __init__(self, host: Host) -> None:
        self._groups: dict[str, list[str]] = {EVERY_CALL: list(_OF_EVERY_CALL)}
        if host.settings.mode is Mode.WRITES:
            self._groups[CHANGES] = list(_OF_CHANGES)
        self._turn = anyio.Lock()
        self._listed = anyio.Event()
        self._calls = 0
        self._no_calls = anyio.Event()

    @classmethod
    def of(cls, host: Host) -> "Preloading":
        """The host's own.

        Args:
            host: The klepaas.
        """
        return host.service(cls, cls)

    def add(self, plugin: str, modules: Iterable[str]) -> None:
        """Name modules that the calls of a plugin import.

        Args:
            plugin: The plugin's name, which is the name of its entry point; or `EVERY_CALL`.
            modules: Their names in full; what they import themselves is loaded with them. With `:` and the name of a
                function behind it, that function is called too: for what the first call would prepare.
        """
        self._groups.setdefault(plugin, []).extend(modules)

    def begin(self) -> None:
        """Load everything in the background, a moment from now."""
        self._listed.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While inside, the background is at work once it is told to begin.

        A plain task and no task group: FastMCP leaves a lifespan inside a cancel scope that it did not enter it in.
        """
        task = asyncio.create_task(self._load_all())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def load(self, *groups: str) -> None:
        """Load what a call needs, before the background loads anything else; nothing to do where it is loaded.

        Args:
            groups: Their names; without any, all that there are. One that nobody named modules for is empty.
        """
        missing = [name for name in groups or self._groups if name in self._groups]
        if not missing:
            return
        if not self._calls:
            self._no_calls = anyio.Event()
        self._calls += 1
        try:
            for name in missing:
                await self._load(name)
        finally:
            self._calls -= 1
            if not self._calls:
                self._no_calls.set()

    async def _load_all(self) -> None:
        await self._listed.wait()
        await anyio.sleep(_PAUSE_S)
        for name in list(self._groups):
            await self._load(name, gives_way=True)

    async def _load(self, group: str, *, gives_way: bool = False) -> None:
        for module in self._groups.get(group, ()):
            while gives_way and self._calls:
                await self._no_calls.wait()
            async with self._turn:  # before the look: a module is known from the moment that its import begins
                if module not in sys.modules:
                    await run_sync(_import, module, abandon_on_cancel=True)
        self._groups.pop(group, None)


def _import(name: str) -> None:
    module, _, function = name.partition(":")
    try:
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()
    except (Exception, SystemExit) as exc:  # guarded boundary: a plugin's code; the call that needs it fails by itself
        log.info("%s cannot be loaded: %s", name, type(exc).__name__, exc_info=exc)
