"""Telling what happened never delays and never fails whoever tells it."""

import logging
from collections.abc import Awaitable, Callable

import anyio
import pytest

from klepaas import notifications as notifications_module
from klepaas.notifications import Notification, Notifications, NotificationSink
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


class Listener:
    """Keeps what it hears; waits for so many."""

    def __init__(self) -> None:
        self.heard: list[Notification] = []
        self._more = anyio.Event()

    async def hear(self, notification: Notification) -> None:
        self.heard.append(notification)
        self._more.set()

    async def has(self, count: int) -> None:
        with anyio.fail_after(scale_timeout(5)):
            while len(self.heard) < count:
                self._more = anyio.Event()
                await self._more.wait()


def _with(*sinks: Callable[[Notification], Awaitable[None]], timeout_s: float = scale_timeout(10)) -> Notifications:
    notifications = Notifications()
    notifications.sinks = [NotificationSink(f"sink {number}", sink, timeout_s) for number, sink in enumerate(sinks)]
    return notifications


async def test_every_sink_hears_it_in_order_and_without_secrets() -> None:
    one, other = Listener(), Listener()
    notifications = _with(one.hear, other.hear)
    async with notifications.running():
        notifications.send(Notification("a", "first\nline", "password=hunter2hunter2", {"note": "api_key: abcdefgh"}))
        notifications.send(Notification("b", "second"))
        await one.has(2)
        await other.has(2)
    assert [item.kind for item in one.heard] == ["a", "b"]
    assert one.heard[0].title == "first line"
    assert "hunter2" not in str(one.heard)
    assert "abcdefgh" not in str(one.heard)


async def test_a_sink_that_fails_or_hangs_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Notification) -> None:
        raise RuntimeError("no")

    async def hang(_: Notification) -> None:
        await anyio.sleep_forever()

    listener = Listener()
    notifications = _with(fail, hang, listener.hear, timeout_s=0.05)
    async with notifications.running():
        for number in range(3):
            notifications.send(Notification("a", str(number)))
        await listener.has(3)
    assert "the notification sink sink 0 failed: RuntimeError" in caplog.text
    assert "the notification sink sink 1 failed: TimeoutError" in caplog.text


async def test_the_last_ones_are_told_when_the_server_ends_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications_module, "DRAIN_LIMIT_S", 0.1)
    listener = Listener()
    notifications = _with(listener.hear)
    async with notifications.running():
        notifications.send(Notification("a", "last"))
    assert len(listener.heard) == 1

    async def hang(_: Notification) -> None:
        await anyio.sleep_forever()

    stuck = _with(hang)
    with anyio.fail_after(scale_timeout(5)):
        async with stuck.running():
            stuck.send(Notification("a", "stuck"))


async def test_a_full_queue_drops_the_new_ones_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    notifications = _with(listener.hear)
    async with notifications.running():
        for number in range(150):
            notifications.send(Notification("a", str(number)))
        await listener.has(100)
    assert len(listener.heard) == 100
    assert caplog.text.count("one is dropped") == 50


async def test_nobody_is_told_while_no_server_runs() -> None:
    listener = Listener()
    notifications = _with(listener.hear)
    notifications.send(Notification("a", "early"))
    async with notifications.running():
        pass
    assert listener.heard == []


async def test_the_log_hears_it_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notifications = Notifications()
    async with notifications.running():
        notifications.send(Notification("deployment_succeeded", "web in shop is deployed"))
    assert "deployment_succeeded: web in shop is deployed" in caplog.text
