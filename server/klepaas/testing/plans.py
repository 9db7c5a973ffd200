"""What a tool's plan must keep, for tests of plugins."""

from typing import Any

from fastmcp.tools import Tool as McpTool

from klepaas.app import App
from klepaas.catalogue import PlanResult
from klepaas.changes import ChangeSet
from klepaas.plans.rendering import preview_of
from klepaas.testing.expecting import expect

__all__ = ["plan_call"]


async def plan_call(app: App, tool: str, **arguments: Any) -> ChangeSet:
    """What a call would change, as its tool plans it; nothing is run, and nobody is asked.

    It is planned twice: a plan that differs although nothing has changed would never be confirmed.

    Args:
        app: As `app_with` gives it.
        tool: The tool.
        arguments: Its arguments.

    Returns:
        The change. `change.effect(floor)` says what the call counts as.

    Raises:
        AssertionError: The tool has no plan, differs from look to look, or cannot be shown to a person.
        KlepaasError: The plan was refused.
    """
    entry = app.catalogue.get(tool)
    plan = entry.plan if entry else None
    if entry is None or plan is None:
        why = f"{tool} has no plan, so every call of it counts as destructive" if entry else f"there is no tool {tool}"
        raise AssertionError(why)
    entry.tool.verify(arguments)
    own = {name: value for name, value in arguments.items() if name in plan.parameters["properties"]}
    first, second = await _run(plan, own), await _run(plan, own)
    shown, again = preview_of(first), preview_of(second)
    expect(shown.content == again.content, f"the plan of {tool} differs although nothing has changed")
    expect(shown.basis == again.basis, f"what the plan of {tool} rests on differs although nothing has changed")
    return first


async def _run(plan: McpTool, arguments: dict[str, Any]) -> ChangeSet:
    result = await plan.run(arguments)
    if not isinstance(result, PlanResult):
        raise AssertionError(f"{plan.name}: the plan gave no change set")
    return result.changes
