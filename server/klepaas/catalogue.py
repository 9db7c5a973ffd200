"""The tools of one klepaas: which there are, who brought them, and how FastMCP is told of them.

It decides nothing about a call (`klepaas.gate` does); it makes sure that each name has one owner.
"""

import functools
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastmcp.tools import Tool as McpTool
from fastmcp.tools import ToolResult
from fastmcp.tools.function_tool import FunctionTool
from mcp_types import ToolAnnotations

from klepaas.changes import ChangeSet
from klepaas.docstrings import read_docstring
from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.normalization import normalize
from klepaas.output import Answer
from klepaas.output.jsonable import valid_json, valid_text
from klepaas.plugins import Plugin, Plugins, PluginState
from klepaas.tools import Effect, Tool
from klepaas.way_out import meta_of

__all__ = ["Catalogue", "Entry", "PlanResult"]

# A larger limit keeps out nonsense; no model has to know it.
_LIMIT_SAID_MAX = 100_000


@dataclass(frozen=True)
class Entry:
    """A tool in the catalogue.

    Attributes:
        tool: Its declaration.
        plugin: Who brought it.
        mcp: What FastMCP lists and runs.
    """

    tool: Tool
    plugin: Plugin
    mcp: McpTool

    @functools.cached_property
    def trial(self) -> McpTool:
        """Takes the same arguments, and does nothing: running it shows whether they fit."""
        return _LeanTool.from_function(_idle(self.tool.function), name=self.tool.name, output_schema=None)

    @functools.cached_property
    def preview(self) -> McpTool | None:
        """Shows what a call would change. None: the tool declares nothing of the kind."""
        function = self.tool.preview
        if function is None:
            return None
        return _LeanTool.from_function(_answering(function), name=self.tool.name, output_schema=None)

    @functools.cached_property
    def plan(self) -> McpTool | None:
        """Tells what a call would change, as a `PlanResult`. None: the tool declares no plan."""
        function = self.tool.plan
        if function is None:
            return None
        return _LeanTool.from_function(_planning(function), name=self.tool.name, output_schema=None)

    @property
    def effect(self) -> Effect:
        """What a call counts as before anything is known of its content.

        What a third party's tool does is known by its plan alone: without one it counts as destructive.
        """
        declared = self.tool.effect or Effect.DESTRUCTIVE
        return Effect.DESTRUCTIVE if self.is_unplanned else declared

    @property
    def is_unplanned(self) -> bool:
        """Whether it is a third party's tool that changes something and tells nobody what."""
        return _is_unplanned(self.tool, self.plugin)

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of all its parameters."""
        return self.mcp.parameters

    def normalize(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call in one form; see `klepaas.normalization`.

        Args:
            arguments: What the caller sent.

        Raises:
            BadRequest: A map stands for a list of NAME=value, and something in it is neither.
        """
        return normalize(self.schema, self.tool.parameters, arguments)

    @property
    def active(self) -> bool:
        """Whether its plugin still takes part: one whose start failed does not."""
        return self.plugin.state is PluginState.ACTIVE

    @property
    def listed(self) -> bool:
        """Whether it is listed; what is not can be found by a search, and called."""
        return True

    @property
    def closed(self) -> tuple[str, KlepaasError] | None:
        """Why it cannot be called for a reason of its own, in one word and as an error. None: there is none."""
        return None


class More(Protocol):
    """Tools that come and go while the server runs."""

    def __iter__(self) -> Iterator[Entry]:
        """Those that there are now."""
        ...

    def get(self, name: str) -> Entry | None:
        """The tool of this name, or None."""
        ...

    def absent(self, name: str) -> KlepaasError | None:
        """Why there is no tool of this name at the moment. None: no special reason."""
        ...


class Catalogue:
    """Collects the tools of all plugins.

    A plugin that declares a tool wrongly, or claims a name that is taken, is left out as a whole: half a plugin would
    surprise more than none.

    Args:
        plugins: The plugins to ask.
        host: What they get.
    """

    def __init__(self, plugins: Plugins, host: Host) -> None:
        self._plugins = plugins
        self._entries: dict[str, Entry] = {}
        # Names of the plugins' own tools come first.
        self.more: More | None = None
        offered: dict[str, list[Tool]] = {}
        owners: dict[str, Plugin] = {}
        for contribution in plugins.contributions("klepaas_tools", Tool, host=host):
            offered.setdefault(contribution.plugin.name, []).append(contribution.item)
            owners[contribution.plugin.name] = contribution.plugin
        for name, tools in offered.items():
            self._add(owners[name], tools)

    def __iter__(self) -> Iterator[Entry]:
        yield from self._entries.values()
        if self.more is not None:
            yield from (entry for entry in self.more if entry.tool.name not in self._entries)

    def get(self, name: str) -> Entry | None:
        """The tool of this name, or None."""
        entry = self._entries.get(name)
        return self.more.get(name) if entry is None and self.more is not None else entry

    def absent(self, name: str) -> KlepaasError | None:
        """Why there is no tool of this name at the moment. None: no special reason."""
        return self.more.absent(name) if self.more is not None else None

    def _add(self, plugin: Plugin, tools: list[Tool]) -> None:
        entries: dict[str, Entry] = {}
        for tool in tools:
            taken = self._entries.get(tool.name) or entries.get(tool.name)
            if taken:
                self._plugins.fail(
                    plugin, f"its tool {tool.name!r} is already offered by {taken.plugin.name} ({taken.plugin.source})"
                )
                return
            try:
                entries[tool.name] = Entry(tool, plugin, _to_mcp(tool, plugin))
            except Exception as exc:  # noqa: BLE001 -- plugin load: a stranger's signature may fail anywhere in FastMCP
                self._plugins.fail(plugin, f"its tool {tool.name!r} cannot be registered: {type(exc).__name__}: {exc}")
                return
        self._entries |= entries
        plugin.tools = list(entries)


class _LeanTool(FunctionTool):
    """A tool without FastMCP's own note to clients, which says nothing and costs every conversation 40 bytes a tool."""

    # None is what FastMCP passes on as "no note"; only its own type is narrower.
    def get_meta(self) -> dict[str, Any] | None:  # type: ignore[override]
        """What clients that load tools by search go by, and nothing else."""
        return self.meta


def _is_unplanned(tool: Tool, plugin: Plugin) -> bool:
    return tool.effect is not Effect.READ and tool.plan is None and plugin.is_third_party


def _to_mcp(tool: Tool, plugin: Plugin) -> McpTool:
    """The tool as FastMCP wants it: a plain text result, no output schema, pessimistic hints spelled out."""
    said = read_docstring(tool.function)
    mcp = _LeanTool.from_function(
        _answering(tool.function),
        name=tool.name,
        title=valid_text(tool.title),
        description=valid_text(said.description),
        annotations=ToolAnnotations(
            read_only_hint=tool.effect is Effect.READ,
            destructive_hint=tool.at_worst is Effect.DESTRUCTIVE or _is_unplanned(tool, plugin),
            idempotent_hint=tool.idempotent or tool.effect is Effect.READ,
            open_world_hint=tool.open_world,
        ),
        output_schema=None,
    )
    parameters = _described(_shortened(mcp.parameters), said.parameters)
    return mcp.model_copy(update={"parameters": valid_json(parameters), "meta": valid_json(_meta(tool))})


def _meta(tool: Tool) -> dict[str, Any] | None:
    """What Claude Code reads of a tool: it loads none before a search but those that say so."""
    loaded = {"anthropic/alwaysLoad": True} if tool.always_load else {}
    found = {"anthropic/searchHint": tool.search_hint} if tool.search_hint else {}
    return {**loaded, **found} or None


def _described(schema: dict[str, Any], said: dict[str, str]) -> dict[str, Any]:
    """The schema with what the docstring says of each parameter, where its annotation says nothing."""
    properties = {
        name: _with_limits({**({"description": said[name]} if name in said else {}), **parameter})
        for name, parameter in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _with_limits(parameter: dict[str, Any]) -> dict[str, Any]:
    """The parameter with its default and its limit in its description: some clients drop the schema's own words.

    What a model would guess is left out: false, the first of the choices, and limits that only keep out nonsense.
    """
    default, most = parameter.get("default"), parameter.get("maximum", parameter.get("maxItems"))
    if default in parameter.get("enum", ())[:1]:
        default = None
    said = str(parameter.get("description", ""))
    notes = [
        *([f"default {default}"] if default not in (None, False, "") and f"default {default}" not in said else []),
        *([f"at most {most}"] if most is not None and most <= _LIMIT_SAID_MAX else []),
    ]
    if not notes:
        return parameter
    return {**parameter, "description": "; ".join([*([said] if said else []), ", ".join(notes)])}


def _answering(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> ToolResult:
        answer = await function(*args, **kwargs)
        if isinstance(answer, str):
            answer = Answer(answer)
        if not isinstance(answer, Answer) or not isinstance(answer.text, str):
            raise TypeError("a tool answers with a text or an Answer")
        # FastMCP refuses what JSON cannot carry, and with it the whole answer.
        return ToolResult(content=valid_text(answer.text), meta=meta_of(answer))

    return _resolved(run, function)


class PlanResult(ToolResult):
    """What a tool's plan gives, carried through FastMCP, which runs functions that give tool results only.

    Args:
        changes: The change.
    """

    def __init__(self, changes: ChangeSet) -> None:
        super().__init__(content="")
        self._changes = changes

    @property
    def changes(self) -> ChangeSet:
        """The change."""
        return self._changes


def _planning(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> ToolResult:
        changes = await function(*args, **kwargs)
        if not isinstance(changes, ChangeSet):
            raise TypeError("a tool's plan gives a klepaas.changes.ChangeSet")
        return PlanResult(changes)

    return _resolved(run, function)


def _idle(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*_args: Any, **_kwargs: Any) -> ToolResult:
        return ToolResult(content="")

    return _resolved(run, function)


def _resolved(run: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper with the function's annotations: its own module does not know the names that they use."""
    run.__doc__ = None  # read already, by us
    run.__annotations__ = {**typing.get_type_hints(function, include_extras=True), "return": ToolResult}
    return run


def _shortened(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in fewer bytes: "this or null, by default null" is said by leaving the parameter out.

    Only of whole parameters: deeper down a null may mean something. What is defined once and referred to, as objects
    with named fields are, stands in its place: not every client resolves references.
    """
    definitions = schema.get("$defs", {})
    properties = {name: _optional(_inlined(item, definitions)) for name, item in schema.get("properties", {}).items()}
    return {**{key: value for key, value in schema.items() if key != "$defs"}, "properties": properties}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with what it refers to in its place."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    referred = definitions.get(str(schema.get("$ref", "")).removeprefix("#/$defs/"))
    if referred is None:
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return _closed({**_inlined(referred, definitions), **beside})


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """An object with named fields takes no others: a caller's spelling mistake is an error, not a loss."""
    return {**schema, "additionalProperties": False} if "properties" in schema else schema


def _optional(parameter: dict[str, Any]) -> dict[str, Any]:
    options = parameter.get("anyOf", [])
    others = [option for option in options if option != {"type": "null"}]
    if len(options) != 2 or len(others) != 1 or parameter.get("default", "") is not None:
        return parameter
    return {**others[0], **{key: value for key, value in parameter.items() if key not in ("anyOf", "default")}}
