"""The tools of external servers as the gate and FastMCP see them, one entry of the catalogue each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastmcp.tools import Tool as McpTool
from fastmcp.tools import ToolResult
from mcp_types import ToolAnnotations
from pydantic import PrivateAttr

from klepaas.arguments import shown
from klepaas.catalogue import Entry
from klepaas.errors import BadRequest, Forbidden, KlepaasError, NotFound
from klepaas.external.guarded import Guarded
from klepaas.external.offers import Offer
from klepaas.external.schema_tool import SchemaTool
from klepaas.external.trust import Standing
from klepaas.normalization import normalize, read_json
from klepaas.output.quoting import quote
from klepaas.plugins import Plugin
from klepaas.settings import Mode
from klepaas.tools import Effect, Target

__all__ = ["CALL_TOOL", "CallAnyEntry", "OfferEntry", "call_any", "entry_of"]

CALL_TOOL = "call_tool"
# Beside the call's own limits: what passing it on takes.
_MARGIN_S = 1.0


class _Caller(Protocol):
    async def __call__(self, arguments: dict[str, Any]) -> ToolResult: ...


class _PassedOn(McpTool):
    """What FastMCP lists and runs: whatever was asked goes to the guard."""

    _call: _Caller = PrivateAttr()

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Pass the call on."""
        return await self._call(arguments)

    def get_meta(self) -> dict[str, Any] | None:  # type: ignore[override]  # as for our own tools
        """Nothing, so that nothing is sent."""
        return None


class _Trial:
    """Accepts every call: `SchemaTool.verify` has looked at the arguments, and the server will."""

    async def run(self, _arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content="")


class _Shown:
    """Shows a person what a call would send, and to whom."""

    def __init__(self, offer: Offer, tool: SchemaTool) -> None:
        self._offer = offer
        self._tool = tool
        self.parameters = {"properties": dict.fromkeys(tool.parameters)}

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        lines = [f"{name}: {value}" for name, value in shown(self._tool, arguments).items()] or ["no arguments"]
        offer = self._offer
        head = f"{offer.title}: {quote(offer.definition.name, 100)} of the MCP server {offer.provider.name}"
        return ToolResult(content="\n".join([f"{head}, with", *lines]))


@dataclass(frozen=True)
class OfferEntry(Entry):
    """A server's tool in the catalogue."""

    offer: Offer

    @property
    def is_unplanned(self) -> bool:
        """Never: what it counts as is what a person configured for it."""
        return False

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of all its parameters; the list may show fewer."""
        return self.offer.schema

    def normalize(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call in one form; a null that the server's own schema names stays.

        Args:
            arguments: What the caller sent.
        """
        return normalize(self.schema, self.tool.parameters, arguments, keep_null=True)

    @property
    def trial(self) -> Any:
        """Takes the same arguments, and does nothing."""
        return _Trial()

    @property
    def preview(self) -> Any:
        """Shows what would be sent; a server's own preview would be a call of it."""
        return _Shown(self.offer, self.tool) if isinstance(self.tool, SchemaTool) else None

    @property
    def listed(self) -> bool:
        """Whether its rule lists it, and it is open."""
        return self.offer.listed

    @property
    def closed(self) -> tuple[str, KlepaasError] | None:
        """Why it cannot be called: a person has to trust it first. None: it can."""
        if self.offer.open:
            return None
        provider, name = self.offer.provider.name, self.offer.definition.name
        changed = self.offer.standing is Standing.CHANGED
        what = "is defined otherwise than it was trusted" if changed else "is new and not trusted yet"
        return "quarantined", Forbidden(
            f"{self.offer.name} {what}, so it is closed; nothing was sent to {provider}",
            next_step=f"Ask the person who runs klepaas to look at it with `klepaas providers trust {provider} {name}`",
        )


def entry_of(guarded: Guarded, offer: Offer, plugin: Plugin) -> OfferEntry:
    """The entry of one tool.

    Args:
        guarded: Its server.
        offer: The tool.
        plugin: Who answers for the server.
    """
    rule, policy = offer.rule, guarded.policy

    async def targets(arguments: Mapping[str, Any]) -> Sequence[Target]:
        return offer.targets(arguments)

    async def call(arguments: dict[str, Any]) -> ToolResult:
        return await guarded.call(offer, arguments)

    tool = SchemaTool(
        offer.name,
        rule.effect,
        offer.title,
        f"mcp:{guarded.provider.name}",
        offer.schema,
        private=rule.private,
        idempotent=rule.idempotent,
        timeout_s=policy.queue_timeout_s + policy.total_timeout_s + _MARGIN_S,
        targets=targets,
    )
    reads = rule.effect is Effect.READ
    # What is not said is what the protocol takes as its default, the worst; these lists are long enough.
    hints = ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=None if reads else rule.effect is Effect.DESTRUCTIVE,
        idempotent_hint=True if rule.idempotent and not reads else None,
    )
    listed = _PassedOn(
        name=offer.name,
        title=offer.title,
        description=offer.description,
        parameters=offer.listed_schema,
        annotations=hints,
    )
    listed._call = call
    return OfferEntry(tool, plugin, listed, offer)


class _CallAny(SchemaTool):
    """The declaration of `call_tool`. Only a name that leads nowhere gets as far as running it."""

    def changes(self, arguments: Mapping[str, Any]) -> bool:
        """Never: a call of a tool that is there is judged as that tool's."""
        return False


class CallAnyEntry(Entry):
    """`call_tool` in the catalogue."""

    @property
    def is_unplanned(self) -> bool:
        """Never: it changes nothing itself."""
        return False

    @property
    def trial(self) -> Any:
        """Takes the same arguments, and does nothing."""
        return _Trial()

    @property
    def preview(self) -> Any:
        """Nothing: it changes nothing itself."""
        return None


def call_any(mode: Mode, plugin: Plugin) -> CallAnyEntry:
    """The tool that calls the tools which are not listed.

    Its hints are those of the worst that it can reach in this mode; what a call may do is judged as the tool's own.

    Args:
        mode: What calls the server lets through.
        plugin: Who answers for it.
    """
    effect = Effect.READ if mode is Mode.READ_ONLY else Effect.DESTRUCTIVE
    # As text, since a client that holds its model to a schema would leave an object without named fields empty.
    properties = {"name": {"type": "string"}, "arguments": {"type": "string", "description": "A JSON object"}}
    schema = {"type": "object", "properties": properties, "required": ["name"]}

    async def nowhere(arguments: dict[str, Any]) -> ToolResult:
        inner = arguments.get("arguments")
        if isinstance(inner, str) and not isinstance(read_json(inner), dict):
            raise BadRequest("arguments is not a JSON object", next_step="Send the tool's arguments as one JSON object")
        raise NotFound(
            f"There is no external tool {quote(str(arguments.get('name')))}", next_step="search_tools finds them"
        )

    listed = _PassedOn(
        name=CALL_TOOL,
        title="Call an external tool",
        description="Call a tool that search_tools found, by its name, with its arguments.",
        parameters=schema,
        annotations=ToolAnnotations(
            read_only_hint=effect is Effect.READ,
            destructive_hint=effect is not Effect.READ,
            idempotent_hint=effect is Effect.READ,
            open_world_hint=True,
        ),
    )
    listed._call = nowhere
    return CallAnyEntry(_CallAny(CALL_TOOL, effect, "Call an external tool", "providers", schema), plugin, listed)
