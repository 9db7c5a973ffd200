"""What the tests of the Alertmanager plugin stand on: klepaas as it receives, a fake, and the real servers."""

import contextlib
import copy
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from klepaas.app import App, create_app
from klepaas.http.application import HttpApp
from klepaas.http.server import _config, _Server
from klepaas.settings import Mode, Settings
from klepaas.store.alerts import AlertStore, Stored
from klepaas.testing import FakeHttp, Session, app_with, client, scale_timeout
from klepaas_plugins.alertmanager import plugin

TOKEN = "a-token-of-the-tests-0123"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
PATH = "/hooks/alertmanager"
FINGERPRINT = "0123456789abcdef"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith("KLEPAAS_") and "TEST" not in name and "ROLLOUT" not in name:
            monkeypatch.delenv(name)


def alert(state: str = "firing", fingerprint: str = FINGERPRINT, **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager posts it."""
    began, ended = "2026-11-01T10:00:00.5Z", "0001-01-01T00:00:00Z"
    return {
        "status": state,
        "labels": {"alertname": "ShopDown", "severity": "critical", **labels},
        "annotations": {"summary": "The shop does not answer"},
        "startsAt": began,
        "endsAt": ended if state == "firing" else "2026-11-01T10:05:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": fingerprint,
    }


def message(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A message as Alertmanager posts it."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="ShopDown"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "klepaas",
        "groupLabels": {"alertname": "ShopDown"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(copy.deepcopy(alerts) or [alert()]),
    }


@dataclass
class Receiving:
    """klepaas as it receives.

    Attributes:
        app: It.
        http: Posts to it.
        session: A client of it.
    """

    app: App
    http: httpx.AsyncClient
    session: Session

    async def post(self, body: Any, **more: Any) -> httpx.Response:
        """Post with the right token."""
        return await self.http.post(PATH, json=body, headers=AUTHORIZED, **more)

    async def frozen(self, number: int = 1) -> Stored:
        """The notification, once its evidence is settled."""
        store = AlertStore.of(self.app.host)

        async def settled() -> Stored | None:
            found = await store.get(number)
            return found if found and found.report and found.report.state != "pending" else None

        found: Stored = await eventually(settled)
        return found

    async def stored(self) -> list[Stored]:
        """Everything that was stored."""
        return (await AlertStore.of(self.app.host).find(limit=1000))[0]


async def eventually(look: Callable[[], Awaitable[Any]], within_s: float = scale_timeout(25)) -> Any:
    """What a look gives, once it gives something."""
    with anyio.fail_after(within_s):
        while not (found := await look()):  # noqa: ASYNC110 -- it waits for another process, or for the store
            await anyio.sleep(0.05)
        return found


Starting = Callable[..., AbstractAsyncContextManager[Receiving]]


@pytest.fixture
def receiving(monkeypatch: pytest.MonkeyPatch) -> Starting:
    """A klepaas that receives, with these further hooks: `async with receiving(hook, keep_most="10") as it`."""

    @contextlib.asynccontextmanager
    async def start(*hooks: object, folder: Path | None = None, **settings: str) -> AsyncIterator[Receiving]:
        for name, value in {"webhook_token": TOKEN, **settings}.items():
            monkeypatch.setenv(f"KLEPAAS_ALERTMANAGER_{name.upper()}", value)
        own = {"mode": "writes"} | ({"state_dir": str(folder)} if folder else {})
        async with app_with(plugin, *hooks, settings=own) as app:
            web = HttpApp(app)
            transport = httpx.ASGITransport(web)
            async with (
                web.running(),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
                client(app) as session,
            ):
                yield Receiving(app, http, session)

    return start


@pytest.fixture
async def fake() -> AsyncIterator[FakeHttp]:
    """A server that answers what a test says."""
    async with FakeHttp() as server:
        yield server


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket for klepaas, whose port others may be told before it serves."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as found:
        found.bind(("127.0.0.1", 0))
        found.listen()
        yield found


@contextlib.asynccontextmanager
async def served(listener: socket.socket, state: Path) -> AsyncIterator[tuple[App, Session]]:
    """klepaas with all its plugins, writes open, on a socket; and a client of it."""
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=state))
    web = HttpApp(app)
    server = _Server(_config(web))
    async with web.running(), anyio.create_task_group() as group:
        group.start_soon(server.serve, [listener])
        try:
            async with client(app) as session:
                yield app, session
        finally:
            server.should_exit = True


def routed_to(port: int) -> dict[str, Any]:
    """The configuration of an Alertmanager that posts everything to klepaas at once."""
    hook = {
        "url": f"http://127.0.0.1:{port}{PATH}",
        "http_config": {"authorization": {"type": "Bearer", "credentials": TOKEN}},
    }
    waits = {"group_wait": "50ms", "group_interval": "200ms", "repeat_interval": "1h"}
    return {
        "route": {"receiver": "klepaas", "group_by": ["alertname"], **waits},
        "receivers": [{"name": "klepaas", "webhook_configs": [hook]}],
    }


def pushed(name: str, *, ends_in_s: float = 300.0, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus pushes it to Alertmanager."""

    def at(moment: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))

    now = time.time()
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} fires"},
        "startsAt": at(now - 60),
        "endsAt": at(now + ends_in_s),
    }
