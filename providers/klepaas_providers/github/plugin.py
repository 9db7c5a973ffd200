"""The GitHub plugin's hooks; the work is elsewhere. What lists, opens and comments is GitHub's own MCP server."""

from collections.abc import Iterable

from klepaas.external import ExternalProvider
from klepaas.external.server_file import configured
from klepaas.hookspecs import DoctorCheck, Finding, Level, hookimpl
from klepaas.host import Host
from klepaas.settings import SettingsBase
from klepaas_providers.given import is_given

__all__: list[str] = []


@hookimpl
def klepaas_external_providers(host: Host) -> Iterable[ExternalProvider]:
    """Every GitHub that is configured; none without credentials."""
    if not (configured(host, "github") or is_given("github")):
        return ()
    from klepaas_providers.github.provider import providers

    return providers(host)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether access to GitHub is set up well."""

    async def check() -> Iterable[Finding]:
        import anyio.to_thread

        from klepaas_providers.github.checks import look

        found = await anyio.to_thread.run_sync(lambda: list(look(host)), abandon_on_cancel=True)
        return found or [Finding(Level.OK, "GitHub is not configured")]

    yield DoctorCheck("github", check)


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """Where GitHub is, with which credentials, and who asks it."""
    from klepaas_providers.github.settings import GitHubSettings

    yield GitHubSettings
