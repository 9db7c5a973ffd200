"""The audit: a change is announced before its effect, its outcome noted after; what cannot be announced is refused.

    intent     before the tool runs; every sink must have taken it
    outcome    after it: ok, error with its code, or cancelled; an intent without one was cut off in the middle
    refused    instead of both: the policy or a person said no, or the change could not be put on record

Reads and dry runs are not recorded, nor what a read-only server refuses. Nothing in a record is a secret: arguments are
what `klepaas.arguments` shows, and errors are noted by their code. Sinks are `klepaas.audit_file` and the plugins'.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import anyio

from klepaas.correlation import correlation_id
from klepaas.errors import Unavailable
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.principals import Principal
from klepaas.tools import Target

__all__ = ["Audit", "AuditEvent", "AuditRecord", "AuditSink", "Change"]

log = logging.getLogger(__name__)


class AuditEvent(StrEnum):
    """What a record says."""

    INTENT = "intent"
    OUTCOME = "outcome"
    REFUSED = "refused"


@dataclass(frozen=True)
class Change:
    """A change that somebody asks for.

    Attributes:
        principal: On whose behalf.
        tool: The tool.
        effect: What the call does, by its declaration and its content.
        targets: What it would change.
        arguments: Its arguments as a record may keep them.
        arguments_digest: The same for the same arguments, as long as the server runs.
        content: What it changes, without values (`klepaas.plans.describe.record`). None: its tool does not tell.
        id: What its records have in common.
    """

    principal: Principal
    tool: str
    effect: str
    targets: Sequence[Target]
    arguments: Mapping[str, Any]
    arguments_digest: str
    content: Mapping[str, Any] | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class AuditRecord:
    """One entry of the audit.

    Attributes:
        event: What it says.
        time: When, in UTC.
        change: What it is about.
        correlation_id: What the log lines and upstream requests of the call carry. None: it was made outside of one.
        confirmed: How the change was let through: "auto", "person", "terminal" or "without_human". None: it was not.
        outcome: "ok", "error", "cancelled", or why it was refused, in one word. None: not known yet.
        code: The error's code. None: there was none.
        note: What the words do not say, one sentence: who confirmed it at a terminal. None: nothing.
    """

    event: AuditEvent
    time: datetime
    change: Change
    correlation_id: str | None
    confirmed: str | None = None
    outcome: str | None = None
    code: str | None = None
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The record as JSON data; what is not known is left out."""
        change = self.change
        fields = {
            "version": 1,
            "time": self.time.isoformat(timespec="milliseconds"),
            "event": self.event.value,
            "change": change.id,
            "correlation_id": self.correlation_id,
            "principal": _known(asdict(change.principal)),
            "tool": change.tool,
            "effect": change.effect,
            "targets": [_known(asdict(target)) for target in change.targets],
            "arguments": dict(change.arguments),
            "arguments_digest": change.arguments_digest,
            "content": None if change.content is None else dict(change.content),
            "confirmed": self.confirmed,
            "outcome": self.outcome,
            "code": self.code,
            "note": self.note,
        }
        return _known(fields)


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ()}


@dataclass(frozen=True)
class AuditSink:
    """Where records go.

    Attributes:
        name: The sink's name, for people.
        write: Takes one record, durably where it is an intent. It is called with a time limit.
        timeout_s: That limit, in seconds.
    """

    name: str
    write: Callable[[AuditRecord], Awaitable[None]]
    timeout_s: float = 5.0


class Audit:
    """The audit of one server.

    Args:
        sinks: Where every record goes.
        counted: Told of each record, with the sink's name and whether it was `taken`. None: nobody counts.
    """

    def __init__(self, sinks: Sequence[AuditSink], counted: "Callable[..., None] | None" = None) -> None:
        self._sinks = tuple(sinks)
        self._counted = counted

    async def announce(self, change: Change, confirmed: str, note: str | None = None) -> None:
        """Put a change on record before it is made.

        Args:
            change: The change.
            confirmed: How it was let through.
            note: By whom, where that word does not say it; one sentence. None: nothing.

        Raises:
            Unavailable: A sink did not take it, so it must not be made.
        """
        record = replace(_record(AuditEvent.INTENT, change), confirmed=confirmed, note=note)
        for sink in self._sinks:
            if not await self._write(sink, record):
                await self.refused(change, "not_on_record")
                raise Unavailable(
                    f"{change.tool} was not run and {nothing_changed(NOT_RUN)}: "
                    f"the audit ({sink.name}) cannot record it",
                    next_step="Ask the person who runs klepaas to look at its log and to run `klepaas doctor`",
                )

    async def conclude(self, change: Change, outcome: str, code: str | None = None, note: str | None = None) -> None:
        """Note how a change ended, also where the call is being cancelled; that it cannot be noted is logged.

        Args:
            change: The change.
            outcome: "ok", "error" or "cancelled".
            code: The error's code. None: there was none.
            note: What an upstream made of it besides, one sentence. None: nothing.
        """
        await self._note(replace(_record(AuditEvent.OUTCOME, change), outcome=outcome, code=code, note=note))

    async def refused(self, change: Change, reason: str, note: str | None = None) -> None:
        """Note that a change was asked for and not made.

        Args:
            change: The change.
            reason: Why, in one word.
            note: What the word does not say, one sentence. None: nothing.
        """
        await self._note(replace(_record(AuditEvent.REFUSED, change), outcome=reason, note=note))

    async def _note(self, record: AuditRecord) -> None:
        with anyio.CancelScope(shield=True):
            for sink in self._sinks:
                await self._write(sink, record)

    async def _write(self, sink: AuditSink, record: AuditRecord) -> bool:
        taken = await _write(sink, record)
        if self._counted is not None:
            self._counted(sink.name, taken=taken)
        return taken


def _record(event: AuditEvent, change: Change) -> AuditRecord:
    return AuditRecord(event, datetime.now(UTC), change, correlation_id())


async def _write(sink: AuditSink, record: AuditRecord) -> bool:
    """Whether the sink took the record."""
    try:
        with anyio.fail_after(sink.timeout_s):
            await sink.write(record)
    except Exception as exc:  # guarded boundary: a sink may be a stranger's code
        # What the operating system says is one line; a traceback helps with a stranger's code alone.
        trace = None if isinstance(exc, OSError) else exc
        log.error(
            "the audit sink %s did not take a record of %s: %s", sink.name, record.change.tool, exc, exc_info=trace
        )
        return False
    return True
