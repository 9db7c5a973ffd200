"""What klepaas promises of every plugin holds for this one."""

from pathlib import Path

import pytest
from klepaas.app import App
from klepaas.doctor import examine
from klepaas.hookspecs import Level
from klepaas.testing import (
    FakeHttp,
    assert_declared_well,
    assert_nothing_leaks,
    assert_read_only,
    assert_refuses_hostile_texts,
    assert_schema_snapshot,
    failing,
)

pytestmark = pytest.mark.anyio


async def test_its_tools_are_declared_well(app: App) -> None:
    assert_declared_well(app)


async def test_clients_see_what_they_saw_before(app: App) -> None:
    assert_schema_snapshot(app, Path(__file__).parent / "snapshots" / "onduty.json")


async def test_reading_changes_nothing(app: App, writing_app: App, service: FakeHttp) -> None:
    await assert_read_only(app, service)
    await assert_read_only(writing_app, service)


async def test_no_text_leads_a_request_astray(writing_app: App, service: FakeHttp) -> None:
    await assert_refuses_hostile_texts(writing_app, service)


async def test_its_token_is_never_seen(writing_app: App, service: FakeHttp) -> None:
    await assert_nothing_leaks(writing_app, ["a-token-of-these-tests"], fake=service)


async def test_doctor_says_how_it_is(app: App, service: FakeHttp) -> None:
    assert all(result.finding.level is Level.OK for result in await examine(app.plugins, app.host))
    service.fault = failing(500)
    levels = {result.check: result.finding.level for result in await examine(app.plugins, app.host)}
    assert levels["health of onduty"] is Level.ERROR
