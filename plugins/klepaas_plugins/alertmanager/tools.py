"""The Alertmanager tools that a model calls: their parameters, and what each says about itself.

These docstrings are read by every client in every conversation, and each word is paid for; what they do is imported
when they are called.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from klepaas import names
from klepaas.changes import ChangeSet
from klepaas.host import Host
from klepaas.offload import offload
from klepaas.output import Answer
from klepaas.tools import Effect, Target, Tool
from klepaas_plugins.alertmanager.matchers import MATCHER

__all__ = ["AlertTools", "NotificationTools"]

TOOLSET = "alertmanager"
_SERVER = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
Server = Annotated[
    str | None,
    names.Check("server", lambda text: _SERVER.fullmatch(text) is not None, "a server's name in the settings", 32),
]
SilenceId = Annotated[
    str, names.Check("silence", lambda text: _UUID.fullmatch(text) is not None, "an ID that list_alerts shows", 36)
]
Matchers = Annotated[list[Annotated[str, MATCHER]], Field(max_length=20)]
Examples = Annotated[list[Annotated[str, MATCHER]], Field(description='["severity=critical"]')]
NotificationId = Annotated[int, Field(ge=1, le=10**9)]
Comment = Annotated[str, names.TEXT]
# A week, as `klepaas_plugins.alertmanager.silencing` says.
# What an alert or a silence costs to show, in characters that are redacted.
_ALERT_CHARS = 1000
DurationMin = Annotated[int, Field(ge=1, le=10_080)]


class AlertTools:
    """The tools that ask Alertmanager.

    Args:
        host: The server's settings and shared services.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def tools(self) -> list[Tool]:
        """The tools, declared."""
        return [
            Tool(
                self.list_alerts, Effect.READ, "List alerts and silences", TOOLSET,
                foreign_text=True, words=("silence", "알람"), search_hint="alerts firing silences alertmanager",
            ),
            Tool(
                self.silence_alerts, Effect.WRITE, "Silence alerts", TOOLSET,
                foreign_text=True, targets=self._targets, plan=self._plan_silence,
                search_hint="mute silence an alert",
            ),
            Tool(
                self.expire_silence, Effect.WRITE, "End a silence", TOOLSET,
                foreign_text=True, targets=self._targets, plan=self._plan_end,
                search_hint="end unmute a silence",
            ),
        ]  # fmt: skip

    async def list_alerts(
        self,
        what: Literal["alerts", "groups", "silences"] = "alerts",
        matchers: Examples | None = None,
        server: Server = None,
    ) -> Answer:
        """Alertmanager's alerts, their groups, or silences."""
        from klepaas_plugins.alertmanager import shown
        from klepaas_plugins.alertmanager.matchers import note_on_namespaces, parse

        asked, wanted = self._server(server), parse(matchers or [])
        read = {"alerts": asked.alerts, "groups": asked.groups, "silences": asked.silences}[what]
        answer = {"alerts": shown.alerts_answer, "groups": shown.groups_answer, "silences": shown.silences_answer}[what]
        rows = await read(wanted)
        work = partial(answer, asked.name, rows)
        found: Answer = await offload(work, size_chars=len(rows.items) * _ALERT_CHARS)
        note = "" if rows.items else await note_on_namespaces(self._host, wanted)
        return Answer(f"{found.text}\n{note}") if note else found

    async def silence_alerts(
        self, matchers: Matchers, duration_min: DurationMin, comment: Comment, server: Server = None
    ) -> Answer:
        """Silence the alerts that fit all matchers."""
        from klepaas_plugins.alertmanager.silencing import create

        return await create(self._host, self._server(server), matchers, duration_min, comment)

    async def expire_silence(self, silence_id: SilenceId, server: Server = None) -> Answer:
        """End a silence."""
        from klepaas_plugins.alertmanager.silencing import end

        return await end(self._server(server), silence_id)

    async def _plan_silence(
        self, matchers: Matchers, duration_min: DurationMin, comment: Comment, server: Server = None
    ) -> ChangeSet:
        from klepaas_plugins.alertmanager.silencing import plan_creation

        return await plan_creation(self._host, self._server(server), matchers, duration_min, comment)

    async def _plan_end(self, silence_id: SilenceId, server: Server = None) -> ChangeSet:
        from klepaas_plugins.alertmanager.silencing import plan_end

        return await plan_end(self._server(server), silence_id)

    async def _targets(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        from klepaas_plugins.alertmanager.silencing import targets_of

        return targets_of(self._server(arguments.get("server")).name, arguments)

    def _server(self, name: str | None) -> Any:
        from klepaas_plugins.alertmanager.client import Alertmanagers

        return Alertmanagers.of(self._host).get(name)


class NotificationTools:
    """The tools about what was received.

    Args:
        host: The server's settings and shared services.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def tools(self) -> list[Tool]:
        """The tools, declared."""
        return [
            Tool(
                self.get_notifications, Effect.READ, "Read notifications", TOOLSET,
                foreign_text=True, words=("알림 기록",), search_hint="received alerts notifications evidence",
            ),
            Tool(
                self.acknowledge_notification, Effect.WRITE, "Acknowledge a notification", TOOLSET,
                foreign_text=True, idempotent=True, targets=self._targets, plan=self._plan,
                search_hint="acknowledge alert take care on call",
            ),
        ]  # fmt: skip

    async def get_notifications(
        self,
        notification_id: Annotated[NotificationId | None, Field(description="One, with its evidence")] = None,
        state: Literal["firing", "resolved"] | None = None,
        unacknowledged: bool = False,
    ) -> Answer:
        """Alerts received and kept, with evidence frozen when they fired."""
        from klepaas_plugins.alertmanager import notices

        if notification_id is not None:
            return await notices.read(self._alerts(), notification_id)
        return await notices.listed(self._alerts(), state, unacknowledged)

    async def acknowledge_notification(self, notification_id: NotificationId, comment: Comment) -> Answer:
        """Say that you take care of it."""
        from klepaas_plugins.alertmanager.notices import acknowledged

        return await acknowledged(self._alerts(), notification_id, comment)

    async def _plan(self, notification_id: NotificationId, comment: Comment) -> ChangeSet:
        from klepaas_plugins.alertmanager.notices import plan

        return await plan(self._alerts(), notification_id, comment)

    async def _targets(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        return (Target(kind="notification", name=str(arguments.get("notification_id"))),)

    def _alerts(self) -> Any:
        from klepaas.store.alerts import AlertStore

        return AlertStore.of(self._host)
