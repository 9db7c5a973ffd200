"""What plugins share through the host is built once and let go of, whatever one of the services does."""

import anyio
import pytest

from klepaas import host as host_module
from klepaas.host import Host
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


class Service:
    def __init__(self, closed: list[str]) -> None:
        self.closed = closed

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed.append(type(self).__name__)


class First(Service): ...


class Second(Service): ...


class Failing(Service):
    async def aclose(self) -> None:
        raise OSError("token=abcdefghijklmnop")


class Hanging(Service):
    async def aclose(self) -> None:
        await anyio.sleep_forever()


class Plain:
    """It holds nothing open."""


async def test_a_service_is_built_once_on_first_use() -> None:
    host = Host(Settings())

    assert host.service(Plain, lambda _: Plain()) is host.service(Plain, lambda _: Plain())


async def test_services_are_closed_last_first_and_once() -> None:
    host, closed = Host(Settings()), list[str]()
    host.service(First, lambda _: First(closed))
    host.service(Plain, lambda _: Plain())
    host.service(Second, lambda _: Second(closed))

    await host.aclose()
    await host.aclose()

    assert closed == ["Second", "First"]


async def test_a_service_that_fails_or_hangs_does_not_keep_the_others_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(host_module, "CLOSE_LIMIT_S", 0.05)
    host, closed = Host(Settings()), list[str]()
    host.service(First, lambda _: First(closed))
    host.service(Failing, lambda _: Failing(closed))
    host.service(Hanging, lambda _: Hanging(closed))

    with anyio.fail_after(scale_timeout(5)):
        await host.aclose()

    assert closed == ["First"]
    assert [record.getMessage() for record in caplog.records] == [
        "the service Hanging did not close within 0.05 s",
        "the service Failing cannot be closed: OSError",
    ]


async def test_services_are_closed_where_the_server_is_cancelled() -> None:
    host, closed = Host(Settings()), list[str]()
    host.service(First, lambda _: First(closed))

    with anyio.CancelScope() as scope:
        scope.cancel()
        await host.aclose()

    assert closed == ["First"]
