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

__all__ = ["HealthTools"]

TOOLSET = "health"
_WORDS = ("klepaas itself", "klepaas 자체")
_COMPONENT = names.Check(
    "component",
    lambda text: re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]+", text) is not None,
    "a component that check_system_health shows",
)


class HealthTools:
    """The tools about klepaas itself.

    Args:
        host: The server's settings and shared services.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def tools(self) -> Iterable[Tool]:
        """The tools, declared."""
        yield Tool(
            self.check_system_health,
            Effect.READ,
            "Health of klepaas",
            TOOLSET,
            foreign_text=True,
            words=_WORDS,
            search_hint="health of providers store connections",
        )
        yield Tool(
            self.check_component_health,
            Effect.READ,
            "Health of a component",
            TOOLSET,
            foreign_text=True,
            search_hint="component health history",
        )
        yield Tool(
            self.get_health_metrics,
            Effect.READ,
            "Figures of klepaas",
            TOOLSET,
            search_hint="statistics of calls failures",
        )

    async def check_system_health(self) -> Answer:
        """How klepaas itself is: its components (store, disk, clock, providers, clusters reached), unhealthy first."""
        from klepaas.health import Health
        from klepaas_plugins.health.telling import all_of_them

        health = Health.of(self._host)
        found = await health.look()
        return all_of_them(found, health.missing_plugins(), self._up_s, self._host.settings.mode.value)

    async def check_component_health(self, component: Annotated[str, _COMPONENT]) -> Answer:
        """Ask one component how it is, with its history."""
        from klepaas.health import Health
        from klepaas_plugins.health.telling import one_of_them

        health = Health.of(self._host)
        found = await health.look_at([component])
        if not found:
            known = ", ".join(health.names()[:20])
            raise NotFound(f"There is no component {quote(component, 60)}", next_step=f"There are: {known}")
        return one_of_them(found[0], health.looks(component), health.changes(component))

    async def get_health_metrics(self) -> Answer:
        """Figures since klepaas started: calls, failures, latency, operations, upstreams, components."""
        from klepaas_plugins.health.figures import figures

        return figures(self._host, self._up_s)

    @property
    def _up_s(self) -> float:
        """For how long klepaas has run, in seconds."""
        return time.time() - self._host.began_at
