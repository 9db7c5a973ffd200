"""What the tools answer and change, when the roster is well and when it is not."""

import pytest
from klepaas.testing import Cut, FakeHttp, Session, app_with, failing, nonsense, plan_call, rate_limited
from klepaas.tools import Effect

from klepaas_onduty import plugin

pytestmark = pytest.mark.anyio


async def test_who_is_on_duty_is_told(session: Session, service: FakeHttp) -> None:
    said = await session.call("onduty_who", team="web")
    assert said.text == "kim is on duty in web"
    assert service.requests[0].headers["authorization"] == "Bearer a-token-of-these-tests"


async def test_a_team_that_is_not_there_is_told(session: Session) -> None:
    said = await session.call("onduty_who", team="other")
    assert (said.code, said.text) == ("not_found", "There is no team 'other'.")


async def test_a_read_only_server_hands_nothing_over(session: Session, service: FakeHttp) -> None:
    assert [tool.name for tool in await session.tools()] == ["onduty_who"]
    said = await session.call("onduty_hand_over", team="web", person="lee")
    assert said.code == "forbidden"
    assert service.requests == []


async def test_duty_is_handed_over(writer: Session) -> None:
    said = await writer.call("onduty_hand_over", team="web", person="lee")
    assert said.text == "lee is on duty in web; it was kim"
    assert (await writer.call("onduty_who", team="web")).text == "lee is on duty in web"


async def test_a_dry_run_changes_nothing(writer: Session, service: FakeHttp) -> None:
    said = await writer.call("onduty_hand_over", team="web", person="lee", dry_run=True)
    assert "change duty/web\n  person: kim -> lee" in said.text
    assert [request.method for request in service.requests] == ["GET"]


async def test_the_plan_of_a_handover_names_who_is_relieved(service: FakeHttp) -> None:
    async with app_with(plugin, settings={"mode": "writes"}) as app:
        change = await plan_call(app, "onduty_hand_over", team="web", person="lee")
        nothing = await plan_call(app, "onduty_hand_over", team="web", person="kim")
    (field,) = change.objects[0].fields
    assert (field.path, field.before, field.after) == ("person", "kim", "lee")
    assert change.effect(Effect.WRITE) is Effect.WRITE
    assert nothing.is_empty


async def test_a_change_that_is_not_confirmed_is_not_repeated(writer: Session, service: FakeHttp) -> None:
    service.fault_next(Cut(10_000), Cut(20))  # the read is whole; of the change's answer only a beginning comes back
    said = await writer.call("onduty_hand_over", team="web", person="lee")
    assert said.code == "timeout"
    assert said.text.endswith("Call onduty_who for web.")
    assert [request.method for request in service.requests] == ["GET", "PUT"]


async def test_a_roster_that_recovers_is_asked_again(session: Session, service: FakeHttp) -> None:
    service.fault_next(failing(503))
    said = await session.call("onduty_who", team="web")
    assert said.text == "kim is on duty in web"
    assert service.proxy.connections == 2


async def test_a_roster_that_wants_to_be_left_alone_is_left_alone(session: Session, service: FakeHttp) -> None:
    service.fault = rate_limited(600)
    for _ in range(3):
        said = await session.call("onduty_who", team="web")
        assert said.code == "rate_limited"
    assert service.proxy.connections == 1


async def test_nonsense_is_nobody(session: Session, service: FakeHttp) -> None:
    service.fault = nonsense()
    said = await session.call("onduty_who", team="web")
    assert said.code == "unavailable"


async def test_without_its_variable_there_are_no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLEPAAS_ONDUTY_URL", raising=False)
    async with app_with(plugin) as app:
        assert list(app.catalogue) == []
