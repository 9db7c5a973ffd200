"""The hooks; the work is elsewhere."""

from collections.abc import Iterable

from klepaas.errors import KlepaasError, NotFound
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level, hookimpl
from klepaas.host import Host
from klepaas.settings import SettingsBase
from klepaas.tools import Tool

from klepaas_onduty.settings import OndutySettings

__all__: list[str] = []


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools, once it is said where the roster is."""
    if OndutySettings().url is None:
        return []
    from klepaas_onduty.client import Roster
    from klepaas_onduty.tools import tools_of

    return tools_of(Roster.of(host))


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether the roster answers."""
    if OndutySettings().url is None:
        return

    async def check() -> HealthReport:
        from klepaas_onduty.client import Roster

        try:
            await Roster.of(host).who("health")
        except NotFound:
            pass  # it answers, which is the question
        except KlepaasError as exc:
            return HealthReport(HealthStatus.UNHEALTHY, exc.line)
        return HealthReport(HealthStatus.OK, "the roster answers")

    yield HealthCheck("onduty", check)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether the plugin is configured."""

    async def check() -> list[Finding]:
        if OndutySettings().url is None:
            repair = "Set KLEPAAS_ONDUTY_URL"
            return [Finding(Level.WARNING, "It is not configured and offers no tools", repair)]
        return [Finding(Level.OK, "It is configured")]

    yield DoctorCheck("settings", check)


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """What can be set."""
    yield OndutySettings
