"""Which sinks the settings make: at most one for Slack, one for e-mail, one webhook. Connects nothing."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from klepaas.configuration import toml_file
from klepaas.host import Host
from klepaas.notifications import NotificationSink

if TYPE_CHECKING:
    from klepaas_plugins.notifications.wording import Wording

__all__ = ["is_given", "sinks"]

_VARIABLES = ("KLEPAAS_NOTIFICATIONS_", "KLEPAAS_SLACK_WEBHOOK_URL")


def is_given() -> bool:
    """Whether anything is said of notifications; most people say nothing, and their start pays for nothing."""
    if any(name.startswith(_VARIABLES) and value for name, value in os.environ.items()):
        return True
    values = toml_file.read().values
    return "notifications" in values or "webhook_url" in dict(values.get("slack", {}))


def sinks(host: Host) -> Iterable[NotificationSink]:
    """The sinks that are configured.

    Args:
        host: The server's settings and shared services.
    """
    if not is_given():
        return []
    from klepaas_plugins.notifications.settings import NotificationSettings
    from klepaas_plugins.notifications.wording import Wording

    settings = NotificationSettings()
    wording = Wording(settings.language, settings.templates_dir)
    found = list(_slack(host, dict(settings.slack_channels), wording))
    if settings.smtp_host:
        from klepaas_plugins.notifications.mail import mail_sink

        found.append(mail_sink(host, settings, wording))
    if settings.webhook_url and settings.webhook_secret:
        from klepaas_plugins.notifications.webhook import webhook_sink

        private = settings.webhook_allow_private
        found.append(webhook_sink(host, settings.webhook_url, settings.webhook_secret, allow_private=private))
    return found


def _slack(host: Host, channels: dict[str, str], wording: "Wording") -> Iterable[NotificationSink]:
    from klepaas_plugins.notifications import slack
    from klepaas_plugins.notifications.settings import slack_webhook

    webhook = slack_webhook()
    if channels and slack.has_server(host):
        yield slack.server_sink(host, channels, wording)
    elif webhook is not None:
        yield slack.webhook_sink(host, webhook, wording)
