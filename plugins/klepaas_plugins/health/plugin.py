"""The hooks of the health plugin; `klepaas.health` asks the components, and what they are, their plugins know."""

from collections.abc import Iterable

from klepaas.hookspecs import HealthCheck, hookimpl
from klepaas.host import Host
from klepaas.preloading import EVERY_CALL, Preloading
from klepaas.settings import SettingsBase
from klepaas.tools import Tool

__all__: list[str] = []


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools that ask after components."""
    from klepaas_plugins.health.tools import HealthTools

    preloading = Preloading.of(host)
    preloading.add(EVERY_CALL, ["klepaas_plugins.health.checks"])
    preloading.add("health", [f"klepaas_plugins.health.{name}" for name in ("figures", "telling")])
    return HealthTools(host).tools()


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """The machine on which klepaas runs."""
    from klepaas_plugins.health.checks import health_checks

    return health_checks(host)


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """How often components are asked, and what counts as ill."""
    from klepaas_plugins.health.settings import HealthSettings

    yield HealthSettings


@hookimpl
def klepaas_start(host: Host) -> None:
    """Begin to ask from time to time, where that is set."""
    from klepaas_plugins.health.settings import HealthSettings

    if HealthSettings.of(host).interval_s is not None:
        from klepaas_plugins.health.watching import Watch

        Watch.of(host).begin()
