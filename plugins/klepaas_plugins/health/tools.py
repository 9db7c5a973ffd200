"""The tools of the health toolset: their parameters as a model sees them, and nothing else."""

import re
import time
from collections.abc import Iterable
from typing import Annotated

from klepaas import names
from klepaas.errors import NotFound
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.output.quoting import quote
from klepaas.tools import Effect, Tool

__all__ = ["health_tools"]

TOOLSET = "health"
_WORDS = ("klepaas itself", "klepaas 자체")
_COMPONENT = names.Check(
    "component",
    lambda text: re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]+", text) is not None,
    "a component that check_system_health shows",
)


def health_tools(host: Host) -> Iterable[Tool]:
    """The tools, for one host.

    Args:
        host: The server's settings and shared services.
    """

    async def check_system_health() -> Answer:
        """How klepaas itself is: its components (store, disk, clock, providers, clusters reached), unhealthy first."""
        from klepaas.health import Health
        from klepaas_plugins.health.telling import all_of_them

        health = Health.of(host)
        found = await health.look()
        up_s = time.time() - host.began_at
        return all_of_them(found, health.missing_plugins(), up_s, host.settings.mode.value)

    async def check_component_health(component: Annotated[str, _COMPONENT]) -> Answer:
        """Ask one component how it is, with its history."""
        from klepaas.health import Health
        from klepaas_plugins.health.telling import one_of_them

        health = Health.of(host)
        found = await health.look_at([component])
        if not found:
            known = ", ".join(health.names()[:20])
            raise NotFound(f"There is no component {quote(component, 60)}", next_step=f"There are: {known}")
        return one_of_them(found[0], health.looks(component), health.changes(component))

    async def get_health_metrics() -> Answer:
        """Figures since klepaas started: calls, failures, latency, operations, upstreams, components."""
        from klepaas_plugins.health.figures import figures

        return figures(host, time.time() - host.began_at)

    yield Tool(
        check_system_health,
        Effect.READ,
        "Health of klepaas",
        TOOLSET,
        foreign_text=True,
        words=_WORDS,
        search_hint="health of providers store connections",
    )
    yield Tool(
        check_component_health,
        Effect.READ,
        "Health of a component",
        TOOLSET,
        foreign_text=True,
        search_hint="component health history",
    )
    yield Tool(
        get_health_metrics,
        Effect.READ,
        "Figures of klepaas",
        TOOLSET,
        search_hint="statistics of calls failures",
    )
