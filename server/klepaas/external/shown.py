"""How FastMCP gets at the tools of external servers: from memory, so that neither a list nor a call waits for one."""

from collections.abc import Sequence

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.providers import Provider
from fastmcp.tools import Tool as McpTool
from fastmcp.tools import ToolResult
from fastmcp.utilities.versions import VersionSpec
from mcp_types import CallToolRequestParams

from klepaas.external.entries import CALL_TOOL, OfferEntry
from klepaas.external.externals import Externals
from klepaas.normalization import read_json
from klepaas.plans.parameter import PLAN_ID

__all__ = ["CalledByName", "Shown"]


class Shown(Provider):
    """Lists what is to be listed, and finds what may be called. What the gate then does with it is the gate's.

    Args:
        externals: The servers.
    """

    def __init__(self, externals: Externals) -> None:
        super().__init__()
        self._externals = externals

    async def _list_tools(self) -> Sequence[McpTool]:
        return [entry.mcp for entry in self._externals if entry.listed]

    async def _get_tool(self, name: str, version: VersionSpec | None = None) -> McpTool | None:
        entry = self._externals.get(name)
        return None if entry is None else entry.mcp


class CalledByName(Middleware):
    """Turns a call of `call_tool` into the call that it asks for, before anything judges it.

    So the gate, the limits, the metrics and the record see the tool itself, with its own effect, as if the client had
    called it by its name, which it may.

    Args:
        externals: The servers.
    """

    def __init__(self, externals: Externals) -> None:
        self._externals = externals

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Pass a call on, under the name that it is meant for."""
        message = context.message
        if message.name == CALL_TOOL:
            message = await self._meant(message)
            context = context.copy(message=message)
        elif self._externals.get(message.name) is None:
            await self._externals.first_list_of(message.name)
        return await call_next(context)

    async def _meant(self, message: CallToolRequestParams) -> CallToolRequestParams:
        """The call that is meant; the same message where it leads nowhere, which the tool itself then says."""
        given = dict(message.arguments or {})
        name, arguments, plan_id = given.pop("name", None), given.pop("arguments", None), given.pop(PLAN_ID, None)
        if arguments is None or (isinstance(arguments, str) and arguments.strip() in ("", "null")):
            arguments = {}
        elif isinstance(arguments, str):
            arguments = read_json(arguments)
        if not isinstance(name, str) or not isinstance(arguments, dict) or given:
            return message
        if self._externals.get(name) is None:
            await self._externals.first_list_of(name)
        entry = self._externals.get(name)
        if not isinstance(entry, OfferEntry):
            return message
        if plan_id is not None:  # of the plan that a call of the tool itself was answered with
            arguments = {**arguments, PLAN_ID: plan_id}
        return message.model_copy(update={"name": entry.tool.name, "arguments": arguments})
