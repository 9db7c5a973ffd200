"""The tools that send an alert to the configured sinks. No address, channel or recipient comes from a caller."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from klepaas import names
from klepaas.changes import Action, ChangeSet
from klepaas.errors import NotFound, RateLimited, Unavailable
from klepaas.host import Host
from klepaas.notifications import Delivery, Notification, Notifications
from klepaas.output import Answer
from klepaas.principals import current_principal
from klepaas.store.outbox import ParcelState
from klepaas.tools import Effect, Target, Tool

__all__ = ["alert_tools", "told"]

TOOLSET = "notifications"
WAIT_S = 15.0
# The same alert again within this time is a loop, not news.
QUIET_S = 60.0
_MOST_REMEMBERED = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/ +-]*")
Name = Annotated[
    str,
    names.Check("name", lambda text: _NAME.fullmatch(text) is not None, "letters, digits and '_.:@/+-'", 120),
]
Status = Literal["ok", "degraded", "unhealthy"]
_WORDS = {
    ParcelState.DELIVERED: "delivered",
    ParcelState.WAITING: "not delivered yet, it will be tried again",
    ParcelState.FAILED: "NOT delivered",
}


class _Sent:
    """What was sent lately, so that a model that goes round in circles fills no channel."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, ...], float] = {}

    def refuse_again(self, *what: str) -> None:
        """Note that it is sent.

        Raises:
            RateLimited: The same was sent a moment ago.
        """
        now = time.monotonic()
        left_s = QUIET_S - (now - self._at.get(what, -QUIET_S))
        if left_s > 0:
            raise RateLimited(
                "The same alert was sent a moment ago; it is not sent again",
                next_step=f"Send it again in {left_s:.0f} s if it still holds",
                retry_after_s=round(left_s, 1),
            )
        if len(self._at) >= _MOST_REMEMBERED:
            self._at.clear()
        self._at[what] = now


def alert_tools(host: Host) -> Iterable[Tool]:
    """The tools, for one host.

    Args:
        host: The server's settings and shared services.
    """
    notifications, sent = Notifications.of(host), _Sent()

    async def targets(_arguments: Mapping[str, Any]) -> Sequence[Target]:
        return [Target(context="notifications", kind="sink", name=sink.name) for sink in notifications.durable]

    async def send_health_alert(
        component: Name,
        status: Status,
        message: Annotated[str, names.TEXT, Field(max_length=1000)],
    ) -> Answer:
        """Tell the team's channels how a component is; the answer says where it arrived."""
        sent.refuse_again("health", component, status, message)
        title = f"{component} is {status}"
        by = current_principal().name
        facts = {"component": component, "status": status, "sent_by": by}
        notification = Notification("health_alert", title, f"{message}\n(sent by {by})", facts)
        return told(await notifications.deliver(notification, WAIT_S))

    async def send_circuit_breaker_alert(upstream: Name) -> Answer:
        """Tell the team's channels how the circuit breaker of an upstream is now, as klepaas sees it."""
        notification = _of_breaker(host, upstream)
        sent.refuse_again("breaker", upstream, notification.kind)
        return told(await notifications.deliver(notification, WAIT_S))

    async def plan_health_alert(
        component: Name, status: Status, message: Annotated[str, names.TEXT, Field(max_length=1000)]
    ) -> ChangeSet:
        return _plan(notifications, f"{component} is {status}", message)

    async def plan_breaker_alert(upstream: Name) -> ChangeSet:
        found = _of_breaker(host, upstream)
        return _plan(notifications, found.title, found.text)

    for function, plan, title, hint in (
        (send_health_alert, plan_health_alert, "Send a health alert", "notify tell team channel health"),
        (
            send_circuit_breaker_alert, plan_breaker_alert,
            "Send a circuit breaker alert", "notify tell team channel circuit breaker",
        ),
    ):  # fmt: skip
        yield Tool(
            function, Effect.WRITE, title, TOOLSET, open_world=True, targets=targets, plan=plan, search_hint=hint
        )  # fmt: skip


def _plan(notifications: Notifications, title: str, text: str) -> ChangeSet:
    sinks = ", ".join(sink.name for sink in notifications.durable) or "none"
    facts = (("title", title), *([("text", text)] if text else []), ("sinks", sinks))
    return ChangeSet.of_action(
        "Sending an alert to the team", kind="alert", name=title, action=Action.CREATE, facts=facts
    )


def told(deliveries: Sequence[Delivery]) -> Answer:
    """What became of a notification.

    Args:
        deliveries: How it is at each sink.

    Raises:
        Unavailable: It arrived nowhere and is not tried again.
    """
    lines = [f"{one.sink}: {_WORDS[one.state]}{f' ({one.error})' if one.error else ''}" for one in deliveries]
    if all(one.state is ParcelState.FAILED for one in deliveries):
        raise Unavailable(
            "The alert was not delivered and is not tried again",
            next_step="Tell the people some other way; `klepaas doctor` says what is wrong",
            details="\n".join(lines),
        )
    return Answer("\n".join(lines))


def _of_breaker(host: Host, upstream: str) -> Notification:
    from klepaas.resilience import State, Upstreams
    from klepaas.resilience.telling import CLOSED, OPENED

    states = {state.name: state for state in Upstreams.of(host).snapshot()}
    found = states.get(upstream)
    if found is None:
        known = ", ".join(list(states)[:10]) or "none was asked yet"
        raise NotFound(f"There is no upstream {upstream}", next_step=f"Name one of these: {known}")
    facts = {"upstream": upstream, "state": found.state.value, "failures": found.failures}
    if found.state is State.CLOSED:
        return Notification(CLOSED, f"{upstream} answers", facts=facts)
    why = f"{upstream} failed {found.failures} times in a row"
    return Notification(OPENED, why, found.last_error or "", facts)
