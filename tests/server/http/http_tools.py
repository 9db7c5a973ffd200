"""A plugin whose tools and components do what the tests of HTTP need; new for each test, also in processes."""

import logging
from collections.abc import Awaitable, Iterable

import anyio

from klepaas import errors
from klepaas.changes import ChangeSet
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus, hookimpl
from klepaas.host import Host
from klepaas.observability import correlation_id
from klepaas.tools import Effect, Tool

PASSWORD = "Tr0ub4dor-and-3"

released = anyio.Event()
begun = anyio.Event()
started: list[str] = []
health = HealthReport(HealthStatus.OK, "fine")
asked: list[str] = []
start_fails = False


async def quick() -> str:
    """Answer at once."""
    return "done"


async def who() -> str:
    """Say for what call this is, and log a line."""
    logging.getLogger("plugin").warning("at work, password=%s", PASSWORD)
    return correlation_id() or "nobody"


async def slow() -> str:
    """Answer when released."""
    started.append("slow")
    begun.set()
    await released.wait()
    return "released"


async def nap() -> str:
    """Answer in a second."""
    await anyio.sleep(1)
    return "rested"


async def missing() -> str:
    """Find nothing."""
    raise errors.NotFound(f"There is no {PASSWORD}")


async def crash() -> str:
    """Meet a defect."""
    raise RuntimeError(PASSWORD)


async def change() -> str:
    """Change a thing."""
    return "changed"


async def plan_thing() -> ChangeSet:
    return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    for function in (quick, who, slow, nap, missing, crash):
        yield Tool(function, Effect.READ, title=function.__name__, toolset="http")
    yield Tool(change, Effect.WRITE, title="Change", toolset="http", plan=plan_thing)


async def _check() -> HealthReport:
    asked.append("cluster/prod")
    await anyio.sleep(0.02)
    return health


async def _hang() -> HealthReport:
    await anyio.sleep_forever()
    raise AssertionError


async def _broken() -> HealthReport:
    raise RuntimeError(PASSWORD)


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    yield HealthCheck("cluster/prod", _check)
    yield HealthCheck("cluster/hangs", _hang, timeout_s=0.1)
    yield HealthCheck("cluster/broken", _broken)


@hookimpl
def klepaas_start(host: Host) -> Awaitable[None] | None:
    if start_fails:
        raise RuntimeError("it will not")
    return None


@hookimpl
def klepaas_stop(host: Host) -> Awaitable[None] | None:
    logging.getLogger("plugin").warning("the plugin has let go")
    return None
