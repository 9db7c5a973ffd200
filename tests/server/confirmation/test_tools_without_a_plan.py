"""A third party's tool that does not tell what it changes counts as destructive, and shows its arguments whole."""

from collections.abc import Iterable
from typing import Annotated, Any

import anyio
import pytest

from klepaas import names
from klepaas.app import create_app
from klepaas.changes import Action, ChangeSet
from klepaas.hookspecs import hookimpl
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, Era, app_with, client, plan_call, scale_timeout
from klepaas.tools import Effect, Tool

pytestmark = pytest.mark.anyio

done: list[str] = []


async def paint(
    colour: Annotated[str, names.OBJECT],
    walls: list[Annotated[str, names.OBJECT]],
    note: Annotated[str, names.TEXT] = "",
) -> str:
    """Paint walls."""
    done.append(colour)
    return "Painted."


async def look(colour: Annotated[str, names.OBJECT]) -> str:
    return f"It would be {colour}."


async def plan_fence(colour: Annotated[str, names.OBJECT]) -> ChangeSet:
    return ChangeSet.of_action(f"Painting the fence {colour}", kind="fence", name="fence", facts=(("colour", colour),))


async def paint_fence(colour: Annotated[str, names.OBJECT]) -> str:
    """Paint the fence."""
    done.append(colour)
    return "Painted."


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    yield Tool(paint, Effect.WRITE, "Paint", "paint", preview=look)
    yield Tool(paint_fence, Effect.WRITE, "Paint the fence", "paint", plan=plan_fence)


@pytest.mark.parametrize("era", ERAS)
async def test_a_write_without_a_plan_is_asked_about_with_all_its_arguments_and_one_with_a_plan_is_made_at_once(
    era: Era,
) -> None:
    done.clear()
    walls = [f"wall-{number}" for number in range(150)]
    async with app_with(klepaas_tools, settings={"mode": "writes"}) as app, client(app, era) as session:
        with anyio.fail_after(scale_timeout(20)):
            refused = await session.call("paint", colour="red", walls=walls, note="the person agreed")
            made = await session.call("paint_fence", colour="green")
        hints = {tool.name: tool.annotations for tool in await session.tools()}
    assert refused.code == "forbidden"
    assert "It would be red" in refused.text
    assert '"wall-149"' in refused.text
    assert "17 bytes, hidden" in refused.text
    assert "the person agreed" not in refused.text
    assert not made.is_error, made.text
    assert done == ["green"]
    assert hints["paint"] is not None
    assert hints["paint"].destructive_hint is True
    assert hints["paint_fence"] is not None
    assert hints["paint_fence"].destructive_hint is False


async def test_what_cannot_be_shown_whole_cannot_be_confirmed() -> None:
    done.clear()
    async with app_with(klepaas_tools, settings={"mode": "writes"}) as app, client(app, person=True) as session:
        said = await session.call("paint", colour="red", walls=["x" * 200] * 100)
    assert said.code == "bad_request"
    assert "too long to be shown" in said.text
    assert done == []


async def test_a_plan_can_be_looked_at_in_a_test_without_running_anything() -> None:
    done.clear()
    async with app_with(klepaas_tools, settings={"mode": "writes"}) as app:
        change = await plan_call(app, "paint_fence", colour="blue")
        with pytest.raises(AssertionError, match="has no plan"):
            await plan_call(app, "paint", colour="blue", walls=[])
    assert change.objects[0].action is Action.UPDATE
    assert done == []


def test_every_built_in_tool_that_changes_something_tells_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for `k8s_exec`: what a command in a container changes is known by the command alone, which is shown whole."""
    variables = {
        "KLEPAAS_ALERTMANAGER_URL": "http://127.0.0.1:9",
        "KLEPAAS_SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/a",
        "KLEPAAS_K8S_EXEC": "true",
        "KLEPAAS_NOTIFY_SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/a",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings(mode=Mode.WRITES, external_plugins=False)
    catalogue = create_app(settings, Plugins(settings)).catalogue
    changing: dict[str, Any] = {
        entry.tool.name: entry.tool.plan for entry in catalogue if entry.tool.effect is not Effect.READ
    }
    assert {"silence_alerts", "cancel_operation", "slack_post_message", "send_health_alert"} <= set(changing)
    without = {name for name, plan in changing.items() if plan is None}
    assert without == {"k8s_exec"}
