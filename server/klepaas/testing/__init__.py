"""What tests of plugins need: a klepaas with one plugin, clients, a fake upstream that breaks, a clock, assertions.

    async with FakeHttp() as fake, app_with(my_plugin, settings={"mode": "writes"}) as app:
        async with client(app, era) as session:
            said = await session.call("my_tool", name="web")

Nothing here knows a cloud or a cluster, needs a test framework, or is imported by anything of klepaas but tests.
"""

from klepaas.testing.apps import app_with
from klepaas.testing.clients import ERAS, Era, Said, Session, client
from klepaas.testing.clock import FakeClock
from klepaas.testing.declarations import assert_declared_well
from klepaas.testing.fault_proxy import Answer as HttpAnswer
from klepaas.testing.fault_proxy import Cut, DelayedSuccess, FaultProxy, HalfOpen, Latency, Reset, Stalled, WrongLength
from klepaas.testing.http_fake import FakeHttp, HttpRequest, failing, nonsense, rate_limited
from klepaas.testing.plans import plan_call
from klepaas.testing.promises import assert_nothing_leaks, assert_read_only, assert_refuses_hostile_texts
from klepaas.testing.snapshots import UPDATE_VARIABLE, assert_schema_snapshot, schema_of
from klepaas.testing.timeouts import scale_timeout, time_budget

__all__ = [
    "ERAS",
    "UPDATE_VARIABLE",
    "Cut",
    "DelayedSuccess",
    "Era",
    "FakeClock",
    "FakeHttp",
    "FaultProxy",
    "HalfOpen",
    "HttpAnswer",
    "HttpRequest",
    "Latency",
    "Reset",
    "Said",
    "Session",
    "Stalled",
    "WrongLength",
    "app_with",
    "assert_declared_well",
    "assert_nothing_leaks",
    "assert_read_only",
    "assert_refuses_hostile_texts",
    "assert_schema_snapshot",
    "client",
    "failing",
    "nonsense",
    "plan_call",
    "rate_limited",
    "scale_timeout",
    "schema_of",
    "time_budget",
]
