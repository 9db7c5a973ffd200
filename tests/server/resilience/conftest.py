"""A clock to turn, and a server behind a proxy that breaks connections."""

from collections.abc import AsyncIterator

import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas.testing.clock import FakeClock
from klepaas.testing.fault_proxy import FaultProxy, Origin


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as server:
        yield server


@pytest.fixture
async def proxy(origin: Origin) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(origin.port) as server:
        yield server


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.url, trust_env=False, timeout=scale_timeout(20)) as one:
        yield one
