"""How notifications are: settings, templates and the outbox, for `klepaas doctor` and for health."""

from collections.abc import Iterable, Iterator

import anyio.to_thread

from klepaas.errors import KlepaasError
from klepaas.external.externals import Externals
from klepaas.hookspecs import Finding, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas.notifications import Notifications
from klepaas.store.outbox import Census, Outbox
from klepaas_plugins.notifications.settings import NotificationSettings, slack_webhook
from klepaas_plugins.notifications.wording import Wording

__all__ = ["health", "look"]

_LATE_S = 600.0
_TEST = "Run `klepaas notifications test`, which says what goes wrong"


async def look(host: Host) -> list[Finding]:
    """What there is to say of the set-up.

    Args:
        host: The settings and shared services.
    """
    settings = NotificationSettings()
    found = [Finding(Level.WARNING, text) for text in _of_settings(host, settings)]
    wording = Wording(settings.language, settings.templates_dir)
    problems = await anyio.to_thread.run_sync(lambda: list(wording.problems()), abandon_on_cancel=True)
    repair = "Repair the template; until then the built-in one is used"
    found += [Finding(Level.WARNING, f"A template cannot be used: {text}", repair) for text in problems]
    found += await _of_outbox(host)
    names = [sink.name for sink in Notifications.of(host).durable]
    if not names:
        return found or [Finding(Level.WARNING, "Settings of notifications are given, and none makes a sink")]
    return found or [Finding(Level.OK, f"notifications go to {', '.join(names)}")]


def _of_settings(host: Host, settings: NotificationSettings) -> Iterator[str]:
    has_server = any(declared.provider.kind == "slack" for declared in Externals.of(host).declared)
    if settings.slack_channels and not has_server:
        instead = "; the incoming webhook is used, which has one channel" if slack_webhook() else ""
        yield f"KLEPAAS_NOTIFICATIONS_SLACK_CHANNELS is set and there is no Slack MCP server{instead}"
    if settings.webhook_secret and not settings.webhook_url:
        yield "KLEPAAS_NOTIFICATIONS_WEBHOOK_SECRET is set without a URL"
    if settings.email_to and not settings.smtp_host:
        yield "KLEPAAS_NOTIFICATIONS_EMAIL_TO is set without KLEPAAS_NOTIFICATIONS_SMTP_HOST"


async def _of_outbox(host: Host) -> Iterable[Finding]:
    try:
        census = await _census(host)
    except KlepaasError:
        return []  # the check of the store says it
    found = []
    if census.strangers:
        text = f"Notifications wait for {', '.join(census.strangers)}, which is not configured any more"
        found.append(Finding(Level.WARNING, text, "Configure it again, or leave them: they are given up after a day"))
    if census.failed:
        why = f"; the last: {census.error}" if census.error else ""
        found.append(Finding(Level.WARNING, f"{census.failed} notifications were given up{why}", _TEST))
    return found


async def health(host: Host) -> HealthReport:
    """How the outbox is.

    Args:
        host: The server's settings and shared services.
    """
    census = await _census(host)
    why = f": {census.error}" if census.error else ""
    if census.failed_lately:
        return HealthReport(HealthStatus.DEGRADED, f"{census.failed_lately} were given up in the last hour{why}")
    if census.oldest_s > _LATE_S:
        minutes = census.oldest_s / 60
        return HealthReport(HealthStatus.DEGRADED, f"{census.waiting} wait, the oldest for {minutes:.0f} minutes{why}")
    return HealthReport(HealthStatus.OK, f"{census.waiting} wait")


async def _census(host: Host) -> Census:
    return await Outbox.of(host).census([sink.name for sink in Notifications.of(host).durable])
