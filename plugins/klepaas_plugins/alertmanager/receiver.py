"""Takes what Alertmanager posts, stores it, and freezes the evidence of what is new in the background.

A message is answered when it is stored: what klepaas has said that it took is not lost. Evidence is asked for by a task
of the server, a few alerts at a time; what waits when the server ends is gone on with by the next one, unless it is too
late by then, which the report says. A flood of alerts so costs rows, never an unbounded heap of work.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

import anyio

from klepaas.errors import KlepaasError
from klepaas.evidence import AlertEvidence, AlertSubject
from klepaas.host import Host
from klepaas.store.alerts import FROZEN, MISSED, AlertStore, Keeping, Notice, Report, Section, Stored
from klepaas_plugins.alertmanager.payload import notices_of
from klepaas_plugins.alertmanager.settings import AlertmanagerSettings

__all__ = ["Receiver"]

log = logging.getLogger(__name__)

# The platform looks different by then: what would be frozen is no evidence of that alert any more.
TOO_LATE_S = 600.0
_AT_A_TIME = 4
_PAUSE_S = 5.0
# Every source has a limit of its own, which is lower.
_LIMIT_S = 60.0


class Receiver:
    """What one server receives.

    Args:
        host: The server's settings and shared services.
        settings: The plugin's settings.
    """

    def __init__(self, host: Host, settings: AlertmanagerSettings) -> None:
        self._settings = settings
        self._alerts = AlertStore.of(host)
        self._evidence = AlertEvidence.of(host)
        self._keeping = Keeping(settings.keep_days, settings.keep_most)
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        # Set where the server serves HTTP: elsewhere nothing is received, so there is nothing to freeze.
        self.serving = False

    @classmethod
    def of(cls, host: Host) -> "Receiver":
        """The host's own."""
        return host.service(cls, lambda host: cls(host, AlertmanagerSettings()))

    async def receive(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take one message.

        Args:
            message: As it was posted.

        Raises:
            BadRequest: It is no message of Alertmanager's.
            StoreUnavailable: It could not be stored.
        """
        now = time.time()
        notices = notices_of(message, now)
        new = await self._alerts.take(notices, now, self._keeping) if notices else []
        if new and self._wake is not None:
            self._wake.set()
        return {"taken": len(notices), "new": len(new)}

    async def start(self) -> None:
        """Begin to freeze evidence. A plain task, as the lifespan that it lives in is left in another scope."""
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._work(self._wake))

    async def aclose(self) -> None:
        """Stop; what waits stays stored."""
        task, self._task, self._wake = self._task, None, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _work(self, wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            try:
                while numbers := await self._alerts.pending(_AT_A_TIME):
                    async with anyio.create_task_group() as group:
                        for number in numbers:
                            group.start_soon(self._freeze, number)
            except* KlepaasError as failed:
                log.warning("evidence cannot be stored for now: %s", failed.exceptions[0])
                await anyio.sleep(_PAUSE_S)
            else:
                await wake.wait()

    async def _freeze(self, number: int) -> None:
        stored = await self._alerts.get(number)
        if stored is None or stored.report is None:
            return
        waited_s = time.time() - stored.report.requested_at
        if not self._settings.evidence:
            sections = [Section("evidence", "It is switched off by the settings.", failed=True)]
        elif waited_s > TOO_LATE_S:
            sections = [Section("evidence", f"Nobody could look within {TOO_LATE_S / 60:.0f} minutes.", failed=True)]
        else:
            sections = await self._sections(stored)
        state = FROZEN if any(not one.failed for one in sections) else MISSED
        await self._alerts.freeze(number, Report(state, stored.report.requested_at, time.time(), sections))

    async def _sections(self, stored: Stored) -> list[Section]:
        with anyio.move_on_after(_LIMIT_S):
            found = await self._evidence.of_alert(self._subject(stored.notice))
            if not found:
                return [Section("evidence", "Its labels name nothing that klepaas can look at.", failed=True)]
            return [Section(one.source, one.text, one.failed) for one in found]
        return [Section("evidence", f"No answer within {_LIMIT_S:g} s.", failed=True)]

    def _subject(self, notice: Notice) -> AlertSubject:
        cluster = notice.labels.get("cluster")
        context = self._settings.contexts.get(cluster, cluster) if cluster else None
        return AlertSubject(notice.name, notice.severity, notice.labels, notice.starts_at, context)
