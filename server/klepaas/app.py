"""Puts klepaas together: settings, plugins, catalogue and gate become one FastMCP server.

FastMCP's unsafe defaults are turned round here: details of errors are masked, structured copies of text are off, and no
header of a caller goes anywhere. `klepaas.http` turns on the guard against foreign hosts and origins.
"""

import ipaddress
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fastmcp import FastMCP
from fastmcp.server.middleware import Middleware
from mcp.server.request_state import RequestStateSecurity

from klepaas import __version__
from klepaas.agents import Agents
from klepaas.announcements import Announcements
from klepaas.audit import Audit
from klepaas.audit_sinks import collect_sinks
from klepaas.calls import Calls
from klepaas.catalogue import Catalogue
from klepaas.context_aliases import ContextAliases
from klepaas.errors import BadRequest
from klepaas.evidence import AlertEvidence
from klepaas.external import ExternalProvider
from klepaas.external.collecting import collect, without_taken_names
from klepaas.external.externals import Externals
from klepaas.gate.gate import Gate
from klepaas.host import Host
from klepaas.instructions import instructions
from klepaas.metrics import Metrics
from klepaas.notifications import Notifications, NotificationSink
from klepaas.offers import Offers
from klepaas.operations import Operations
from klepaas.output.quoting import quote
from klepaas.plugins import Plugins
from klepaas.preloading import Preloading
from klepaas.progress import Progress
from klepaas.protocol.discovery import list_every_version
from klepaas.protocol.suggesting import answer_suggestions
from klepaas.reading import Reading
from klepaas.settings import Mode, Settings
from klepaas.upstream_states import upstream_states

if TYPE_CHECKING:
    from klepaas.plans.plan_store import PlanStore

__all__ = ["App", "create_app", "loopback_address"]

log = logging.getLogger(__name__)

# A client may believe a list for so long; it is told of changes, unless its connection was down at that moment.
_CATALOGUE_TTL_S = 60


@dataclass(frozen=True)
class App:
    """One klepaas, put together.

    Attributes:
        server: What speaks MCP.
        settings: What it runs with.
        plugins: Its plugins and what became of them.
        catalogue: Its tools.
        offers: Its resources and prompts.
        host: What its plugins share.
        metrics: What it counts.
        calls: What every call passes first.
        announcements: What tells clients of changes.
        externals: Other MCP servers, and their tools.
    """

    server: FastMCP[Any]
    settings: Settings
    plugins: Plugins
    catalogue: Catalogue
    offers: Offers
    host: Host
    metrics: Metrics
    calls: Calls
    announcements: Announcements
    externals: Externals

    @property
    def external(self) -> Sequence[ExternalProvider]:
        """Other MCP servers that plugins or the operator named."""
        return [declared.provider for declared in self.externals.declared]

    async def catalogue_changed(self) -> None:
        """Tell every client that wants to know that the tools are others now."""
        await self.announcements.publish()


def create_app(settings: Settings | None = None, plugins: Plugins | None = None) -> App:
    """Put a klepaas together; touches no network.

    Args:
        settings: What it runs with. None: read from the environment.
        plugins: Its plugins. None: those that are installed.

    Raises:
        PluginError: A plugin failed and plugins are strict.
    """
    settings = settings or Settings()
    plugins = plugins or Plugins(settings)
    host = Host(settings)
    externals = Externals.of(host)
    externals.declare(collect(plugins, host))
    catalogue = Catalogue(plugins, host)
    Agents.of(host).collect(plugins, host)
    AlertEvidence.of(host).collect(plugins, host)
    operations = Operations.of(host)
    operations.collect(plugins, host)
    externals.declare(without_taken_names(plugins, externals.declared, [entry.tool.name for entry in catalogue]))
    notifications = _notifications(plugins, host)
    metrics = Metrics.of(host)
    host.service(Plugins, lambda _: plugins)  # for whoever asks plugins later: `klepaas.health`
    preloading = Preloading.of(host)
    calls, announcements = Calls(catalogue, settings, metrics, preloading=preloading), Announcements()
    calls.when_stopping = operations.stop_waiting
    plugins.listeners.append(announcements.changed)
    externals.listeners.append(announcements.changed)
    offers = Offers(plugins, host, [upstream_states(host)])
    reading = Reading(offers, settings.answer_max_bytes)
    gate = Gate(
        catalogue,
        settings,
        _audit(plugins, host),
        metrics.calls.refused,
        reading=reading,
        plans=partial(_plans, host),
        aliases=ContextAliases.of(host),
    )
    operations.find_authority = gate.resumption
    lifespan = _lifespan(plugins, host, announcements, notifications, operations, externals)
    server = _server(catalogue, settings, [announcements, calls, gate], lifespan)
    externals.offer(server, catalogue)
    server.middleware.insert(0, Progress())  # outermost: it sees how long everything else takes
    answer_suggestions(server, calls, reading)
    announcements.serve(server)
    return App(server, settings, plugins, catalogue, offers, host, metrics, calls, announcements, externals)


def _server(catalogue: Catalogue, settings: Settings, middleware: Sequence[Middleware], lifespan: Any) -> FastMCP[Any]:
    """What speaks MCP.

    Args:
        catalogue: Its tools.
        settings: What it runs with.
        middleware: What each message passes, outermost first.
        lifespan: What runs while it serves.
    """
    server: FastMCP[Any] = FastMCP(
        "klepaas",
        instructions=instructions((entry.tool for entry in catalogue if entry.active), settings),
        version=__version__,
        middleware=middleware,
        lifespan=lifespan,
        tools=[entry.mcp for entry in catalogue],
        on_duplicate="error",
        cache_ttl=_CATALOGUE_TTL_S,
        cache_scope="private",
        mask_error_details=True,
        request_state_security=_state_security(settings),
        # Our schemas hold no references; looking for them costs 50 ms at the first list.
        dereference_schemas=False,
    )
    list_every_version(server)
    return server


def _state_security(settings: Settings) -> RequestStateSecurity | None:
    """What seals the state that a client of 2026-07-28 brings back with its answer. None: a key of this process.

    Servers that share a database share keys, so that a client may come back to another one of them.
    """
    if settings.store_keys is None:
        return None
    from klepaas.store.keys import parse_keys

    keys = parse_keys(settings.store_keys.get_secret_value())
    return RequestStateSecurity(keys=[key.derive("state of questions") for key in keys])


def _plans(host: Host) -> "PlanStore":
    from klepaas.plans.plan_store import PlanStore  # a server that only reads never needs it

    return PlanStore.of(host)


def _audit(plugins: Plugins, host: Host) -> Audit:
    sinks = collect_sinks(plugins, host)
    metrics = Metrics.of(host)
    metrics.audit_sinks = [sink.name for sink in sinks]
    return Audit(sinks, lambda sink, *, taken: metrics.audit.written(sink, taken=taken))


def _notifications(plugins: Plugins, host: Host) -> Notifications:
    found = plugins.contributions("klepaas_notification_sinks", NotificationSink, host=host)
    notifications = Notifications.of(host)
    notifications.metrics = Metrics.of(host)
    notifications.sinks = [*notifications.sinks, *(contribution.item for contribution in found)]
    return notifications


def _lifespan(
    plugins: Plugins,
    host: Host,
    announcements: Announcements,
    notifications: Notifications,
    operations: Operations,
    externals: Externals,
) -> Any:
    @asynccontextmanager
    async def lifespan(_server: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            await plugins.start(host)
            externals.start()
            # Where changes are refused nothing is changed, what an earlier server left included.
            carried_out = operations.running() if host.settings.mode is Mode.WRITES else nullcontext()
            background = Preloading.of(host).running()
            async with background, announcements.running(), notifications.running(), carried_out:
                yield {}
        finally:
            await externals.aclose()
            await plugins.stop(host)
            await host.aclose()

    return lifespan


def loopback_address(text: str) -> tuple[str, int]:
    """The address to listen on.

    Args:
        text: `HOST:PORT`, `[IPV6]:PORT` or `PORT`; port 0 lets the system choose.

    Raises:
        BadRequest: It is no address, or not one of this machine alone: without identity nobody else may call.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise BadRequest(f"{quote(text, 60)} is not HOST:PORT", next_step="For example 127.0.0.1:8000")
    address = "127.0.0.1" if host == "localhost" else host
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
    except ValueError as exc:
        shown = quote(host, 60)
        raise BadRequest(f"{shown} is not an IP address or localhost", next_step="For example 127.0.0.1:8000") from exc
    if not is_loopback:
        raise BadRequest(
            f"klepaas does not listen on {host}: it has no way to know who calls",
            next_step="Listen on 127.0.0.1 and put nothing in front that opens it to others",
        )
    return address, int(port)
