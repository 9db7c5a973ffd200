"""The parameter `plan_id`: by it a client that cannot ask a person confirms the plan that it was shown.

Tools do not declare it. The gate takes it off before a tool sees its arguments, and lists it only where the policy lets
a plan count at all: every client pays for each parameter in every conversation.
"""

from collections.abc import Mapping
from typing import Any

from fastmcp.tools import Tool as McpTool

from klepaas.errors import BadRequest
from klepaas.policy import Policy
from klepaas.tools import Effect, Tool

__all__ = ["PLAN_ID", "Plans"]

PLAN_ID = "plan_id"
_SCHEMA = {"type": "string", "description": "Of the plan that a call without it answered with", "maxLength": 64}


class Plans:
    """Where a plan's id belongs, on one server.

    Args:
        policy: Says whether one can count.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def listed(self, tool: McpTool, declared: Tool) -> McpTool:
        """A tool as it is listed: with `plan_id` where one can count.

        Args:
            tool: As FastMCP lists it.
            declared: What it declares.
        """
        if not self._counts(declared):
            return tool
        properties = {**tool.parameters.get("properties", {}), PLAN_ID: _SCHEMA}
        return tool.model_copy(update={"parameters": {**tool.parameters, "properties": properties}})

    def taken_off(self, tool: Tool, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
        """The arguments that are the tool's own, and the plan's id where one was given.

        Args:
            tool: What is called.
            arguments: What the caller sent.

        Raises:
            BadRequest: The id is no text.
        """
        own = dict(arguments)
        if PLAN_ID not in own or not self._counts(tool):
            return own, None
        plan_id = own.pop(PLAN_ID)
        if plan_id == "":  # so strict clients send what is not given
            plan_id = None
        if plan_id is not None and not isinstance(plan_id, str):
            raise BadRequest(f"{PLAN_ID} is not a text")
        return own, plan_id

    def _counts(self, tool: Tool) -> bool:
        return self._policy.has_plans and tool.effect is not Effect.READ and PLAN_ID not in tool.parameters
