"""What the tests of the Prometheus plugin stand on: a klepaas with nothing but it, and a real Prometheus with data."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.plugins.monitoring_servers import MonitoringServer, backfill, needs, prometheus

from klepaas.testing import FakeHttp, Session, app_with, client
from klepaas_plugins.prometheus import plugin

Asking = Callable[..., AbstractAsyncContextManager[Session]]
SERIES, POINTS, STEP_S = 40, 121, 30


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    """A client of a klepaas that is configured so: `async with asking(base_url=...) as session`."""

    @contextlib.asynccontextmanager
    async def start(**settings: str) -> AsyncIterator[Session]:
        for name, value in settings.items():
            monkeypatch.setenv(f"KLEPAAS_PROMETHEUS_{name.upper()}", value)
        async with app_with(plugin) as app, client(app) as session:
            yield session

    return start


@pytest.fixture
async def fake() -> AsyncIterator[FakeHttp]:
    """A server that answers what a test says."""
    async with FakeHttp() as server:
        yield server


@dataclass
class Backfilled:
    """A real Prometheus with an hour of data, of which every number is known.

    Attributes:
        server: The server.
        start: The time of the first sample, in seconds since 1970.
        values: Each series' values by its pod, one every 30 s.
    """

    server: MonitoringServer
    start: int
    values: dict[str, list[float]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The time of the last sample."""
        return self.start + (POINTS - 1) * STEP_S

    @property
    def end_time(self) -> str:
        """The same as tools take it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.end))


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    """It, with 40 series of CPU usage by pod, requests of which one in ten fails in the second half, restarts."""
    needs("prometheus", "promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    start = int(time.time()) - 2 * 3600
    chance = random.Random(7)
    values = {f"web-7d4b9c6f5-{_suffix(number)}": _series(chance, number) for number in range(SERIES)}
    _write(folder, start, values)
    with prometheus(folder) as server:
        yield Backfilled(server, start, values)


def _suffix(number: int) -> str:
    letters = "bcdfghjklmnpqrstvwxz"
    return f"{letters[number // 20]}{letters[number % 20]}x4z"


def _series(chance: random.Random, number: int) -> list[float]:
    """Noise; every fifth series jumps in the middle, some others climb."""
    jump = 5.0 if number % 5 == 0 else 0.0
    climb = 0.05 if number % 7 == 3 and not jump else 0.0
    return [round(1 + chance.random() + (jump if at >= POINTS // 2 else 0) + climb * at, 6) for at in range(POINTS)]


def _write(folder: Path, start: int, values: dict[str, list[float]]) -> None:
    lines = ["# HELP usage CPU that a pod uses.", "# TYPE usage gauge"]
    for pod, numbers in values.items():
        labels = f'namespace="shop",pod="{pod}",job="cadvisor"'
        lines += [f"usage{{{labels}}} {value} {start + at * STEP_S}" for at, value in enumerate(numbers)]
    lines += ["# HELP http_requests Requests.", "# TYPE http_requests counter"]
    for code, each in (("200", 9), ("500", 1)):
        labels = f'namespace="shop",job="web",code="{code}"'
        lines += [f"http_requests_total{{{labels}}} {each * 30 * at} {start + at * STEP_S}" for at in range(POINTS)]
    lines += ["# TYPE container_cpu_usage_seconds counter"]
    for pod in ("web-7d4b9c6f5-bbx4z", "web-admin-7d4b9c6f5-bbx4z"):
        labels = f'namespace="shop",pod="{pod}",container="web"'
        name = "container_cpu_usage_seconds_total"
        lines += [f"{name}{{{labels}}} {15 * at} {start + at * STEP_S}" for at in range(POINTS)]
    backfill(folder, "\n".join(lines) + "\n")
