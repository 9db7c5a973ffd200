"""Notifications: what happened on the platform, told to whoever wants to know (a chat, a pager, the log).

Whoever sends one never waits and never fails because of it: it is put into a queue that a task of the server empties,
each sink within its limit. A full queue drops the new ones, which the log says. Nothing is sent while no server runs.
For a sink that is `durable`, a notification is committed to the store's outbox first and carried from there
(`klepaas.deliveries`); where the store cannot be written it is tried once, like any other.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.metrics import Metrics
from klepaas.observability import one_line, safe_text
from klepaas.output.safe import redactable, shorten
from klepaas.store.errors import StoreUnavailable

if TYPE_CHECKING:
    from klepaas.deliveries import Couriers
    from klepaas.store.outbox import Outbox, ParcelState

__all__ = ["Delivery", "Notification", "NotificationSink", "Notifications", "attempt", "reason"]

log = logging.getLogger(__name__)

_QUEUE_MAX = 100
# What the last ones get when the server ends.
DRAIN_LIMIT_S = 2.0
_TEXT_MAX_CHARS = 8000
_FACTS_MAX_CHARS = 8000
# Another server of the same store may deliver it, and tells us nothing.
_LOOK_AGAIN_S = 0.5


def _new_id() -> str:
    return f"ntf-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Notification:
    """Something that happened.

    Attributes:
        kind: What it was, for programs: "deployment_succeeded", "deployment_failed", "deployment_rolled_back".
        title: One line for people.
        text: The rest, for people; may be empty.
        facts: The few values that a program would want, as JSON data.
        id: The same however often it is delivered, so that a receiver knows it again.
        at: When it happened, in seconds since 1970.
    """

    kind: str
    title: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=_new_id)
    at: float = field(default_factory=time.time)

    def safe(self) -> "Notification":
        """The same, cleaned and without secrets."""
        title, text = one_line(self.title), safe_text(redactable(self.text, 4 * _TEXT_MAX_CHARS))
        return replace(self, title=title, text=text, facts=_safe(dict(self.facts)))

    def to_json(self) -> dict[str, Any]:
        """It as JSON data of a bounded size; facts that are too many are left out."""
        facts = json.dumps(self.facts, default=str)
        kept = json.loads(facts) if len(facts) <= _FACTS_MAX_CHARS else {}
        return {**vars(self), "text": str(shorten(self.text, _TEXT_MAX_CHARS, "")), "facts": kept}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Notification":
        """What `to_json` gave; what a newer version has added is left out."""
        return cls(**{name: data[name] for name in ("kind", "title", "text", "facts", "id", "at") if name in data})


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, dict):
        return {one_line(str(name), 64): _safe(item) for name, item in value.items()}
    return [_safe(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class NotificationSink:
    """Where notifications go.

    Attributes:
        name: The sink's name, for people; of a durable one it must stay the same from start to start.
        send: Takes one notification. It is called with a time limit.
        timeout_s: That limit, in seconds.
        durable: Whether it is tried again until it takes a notification, over the end of a process too: at least once,
            told apart by the notification's `id`. What it raises decides: a `BadRequest` gives up at once, an error
            with `retry_after_s` is not tried before that.
    """

    name: str
    send: Callable[[Notification], Awaitable[None]]
    timeout_s: float = 10.0
    durable: bool = False


@dataclass(frozen=True)
class Delivery:
    """What became of a notification at one sink, so far.

    Attributes:
        sink: The sink.
        state: Delivered, still waiting (it will be tried again), or failed for good.
        error: Why it is not delivered, in one line. None: nothing went wrong.
    """

    sink: str
    state: "ParcelState"
    error: str | None = None


class Notifications:
    """The notifications of one server.

    Args:
        outbox: Gives what keeps those for durable sinks, when there is such a sink. None: they are not kept.
    """

    def __init__(self, outbox: "Callable[[], Outbox] | None" = None) -> None:
        self.sinks: Sequence[NotificationSink] = (NotificationSink("log", _log),)
        self.metrics: Metrics | None = None
        self.tasks: Sequence[asyncio.Task[None]] = ()
        self._outbox = outbox
        self._couriers: Couriers | None = None
        self._waiting: deque[Notification] = deque()
        self._kept = 0
        self._wake: asyncio.Event | None = None
        self._ending = False

    @classmethod
    def of(cls, host: Host) -> "Notifications":
        """The host's own."""
        return host.service(cls, lambda host: cls(lambda: _outbox(host)))

    @property
    def durable(self) -> Sequence[NotificationSink]:
        """The sinks that lead out of this machine's log."""
        return [sink for sink in self.sinks if sink.durable]

    def send(self, notification: Notification) -> None:
        """Tell every sink, soon; returns at once.

        Args:
            notification: What happened; it is cleaned and redacted here.
        """
        if self._wake is None:
            log.debug("nobody is there to tell: %s", notification.kind)
        elif len(self._waiting) >= _QUEUE_MAX:
            log.warning("too many notifications wait; one is dropped: %s", notification.kind)
            self.count("any", "dropped")
        else:
            self._waiting.append(notification.safe())
            self._count_waiting()
            self._wake.set()

    async def deliver(self, notification: Notification, wait_s: float) -> list[Delivery]:
        """Tell every durable sink, and wait a while for what becomes of it.

        Args:
            notification: What happened; it is cleaned and redacted here.
            wait_s: Longest wait, in seconds; what is not delivered by then goes on waiting in the outbox.

        Returns:
            How it is at each sink; without a running server or a store, after one attempt.
        """
        from klepaas.store.outbox import ParcelState

        safe, sinks = notification.safe(), self.durable
        couriers = self._couriers
        if couriers is None or not await self._is_kept(couriers, safe, sinks):
            return await self.try_once(safe, sinks)
        found = [Delivery(sink.name, ParcelState.WAITING) for sink in sinks]
        with anyio.move_on_after(wait_s), contextlib.suppress(StoreUnavailable):
            while any(one.state is ParcelState.WAITING and one.error is None for one in found):
                await couriers.something_settled(_LOOK_AGAIN_S)
                there = await couriers.outbox.standing(safe.id)
                found = [Delivery(one.sink, one.state, one.error) for one in there]
        return found

    async def try_once(self, notification: Notification, sinks: Sequence[NotificationSink]) -> list[Delivery]:
        """Tell sinks now, once, past the outbox.

        Args:
            notification: What happened; it is cleaned and redacted here.
            sinks: The sinks.
        """
        from klepaas.store.outbox import ParcelState

        found: dict[str, Delivery] = {}

        async def one(sink: NotificationSink) -> None:
            error = await attempt(sink, notification.safe())
            state = ParcelState.FAILED if error else ParcelState.DELIVERED
            self.count(sink.name, state.value)
            found[sink.name] = Delivery(sink.name, state, reason(error) if error else None)

        async with anyio.create_task_group() as group:
            for sink in sinks:
                group.start_soon(one, sink)
        return [found[sink.name] for sink in sinks]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while inside; at the end what waits gets a moment.

        Plain tasks and no task group: FastMCP leaves a lifespan inside a cancel scope that it did not enter it in.
        """
        self._wake, self._ending = asyncio.Event(), False
        task = asyncio.create_task(self._deliver_when_woken(self._wake))
        self._start_couriers()
        self.tasks = [task, *(self._couriers.tasks if self._couriers else ())]
        try:
            yield
        finally:
            self.tasks = ()
            self._ending = True
            self._wake.set()
            with anyio.move_on_after(DRAIN_LIMIT_S, shield=True):
                await task
                if self._couriers is not None:
                    await self._couriers.finish()
            await self._stop_couriers()
            self._wake = None
            self._waiting.clear()

    def _start_couriers(self) -> None:
        if self._outbox is not None and self.durable:
            from klepaas.deliveries import Couriers  # most servers have no such sink

            self._couriers = Couriers(self._outbox(), self.durable, self._settled)

    async def _stop_couriers(self) -> None:
        couriers, self._couriers = self._couriers, None
        if couriers is not None:
            await couriers.aclose()

    def _settled(self, sink: str | None, outcome: str, kept: int) -> None:
        self._kept = kept
        self._count_waiting()
        if sink is not None:
            self.count(sink, outcome)

    async def _deliver_when_woken(self, wake: asyncio.Event) -> None:
        while True:
            await wake.wait()
            wake.clear()
            while self._waiting:
                notification = self._waiting.popleft()
                await self._share_out(notification)
                self._count_waiting()
            if self._ending:
                return

    async def _share_out(self, notification: Notification) -> None:
        couriers = self._couriers
        kept = self.durable if couriers is not None else []
        async with anyio.create_task_group() as group:
            for sink in self.sinks:
                if sink not in kept:
                    group.start_soon(self._deliver, sink, notification)
            if couriers is not None and not await self._is_kept(couriers, notification, kept):
                for sink in kept:
                    group.start_soon(self._deliver, sink, notification)

    async def _is_kept(
        self, couriers: "Couriers", notification: Notification, sinks: Sequence[NotificationSink]
    ) -> bool:
        """Commit it for the couriers; whether that could be done."""
        from klepaas.store.outbox import OutboxFull

        try:
            payload, names = notification.to_json(), [sink.name for sink in sinks]
            self._kept = await couriers.outbox.keep(notification.id, notification.kind, payload, names)
        except OutboxFull:
            log.warning("too many notifications wait in the outbox; one is tried once only: %s", notification.kind)
            return False
        except StoreUnavailable:
            log.warning("the store cannot keep a notification; it is tried once only: %s", notification.kind)
            return False
        couriers.wake()
        return True

    async def _deliver(self, sink: NotificationSink, notification: Notification) -> None:
        error = await attempt(sink, notification)
        self.count(sink.name, "failed" if error else "delivered")

    def count(self, sink: str, outcome: str) -> None:
        """Count a delivery that ended: "delivered", "failed" or "dropped"."""
        if self.metrics is not None:
            self.metrics.notifications.ended(sink, outcome)

    def _count_waiting(self) -> None:
        if self.metrics is not None:
            self.metrics.notifications.waiting(len(self._waiting) + self._kept)


def _outbox(host: Host) -> "Outbox":
    from klepaas.store.outbox import Outbox  # only where there is a durable sink

    return Outbox.of(host)


async def attempt(sink: NotificationSink, notification: Notification) -> Exception | None:
    """Hand a notification to a sink, once, within its limit.

    Returns:
        What went wrong; it is logged. None: the sink took it.
    """
    try:
        with anyio.fail_after(sink.timeout_s):
            await sink.send(notification)
    except KlepaasError as exc:
        log.warning("the notification sink %s failed: %s", sink.name, exc.what)
        return exc
    except Exception as exc:  # guarded boundary: a stranger's sink
        log.warning("the notification sink %s failed: %s", sink.name, type(exc).__name__, exc_info=exc)
        return exc
    return None


def reason(error: Exception) -> str:
    """Why a sink did not take it, in one line without secrets; an unknown library's words are not repeated."""
    if isinstance(error, KlepaasError):
        from klepaas.outbound.certificates import certificate_problem

        # A receiver's certificate is what people can do something about; the rest is tried again.
        return one_line(error.text if certificate_problem(error) else error.what, 300)
    return "it took too long" if isinstance(error, TimeoutError) else f"it failed: {type(error).__name__}"


async def _log(notification: Notification) -> None:
    log.info("%s: %s", notification.kind, notification.title)
