"""A plugin with the tools, resources and prompts that the conformance suite asks for, as far as klepaas' can be those.

It is loaded for the suite's runs only, by `klepaas serve` itself, so what the suite calls passes the gate as all tools
do. No tool asks a question of its own: those that change something are asked about by the confirmation before the gate.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated

import anyio
from fastmcp import Context

from klepaas import names
from klepaas.announcements import Announcements
from klepaas.errors import Conflict
from klepaas.hookspecs import hookimpl
from klepaas.host import Host
from klepaas.prompts import Prompt, Wording
from klepaas.resources import Resource
from klepaas.tools import Effect, Tool


async def test_simple_text() -> str:
    """Answer with a text."""
    return "This is a simple text response for testing."


async def test_error_handling() -> str:
    """Fail."""
    raise Conflict("This tool intentionally returns an error for testing")


async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress three times."""
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await anyio.sleep(0.05)
    return "done"


async def test_trigger_tool_change(ctx: Context) -> str:
    """Let clients be told that the tools are others now."""
    announcements = next(item for item in ctx.fastmcp.middleware if isinstance(item, Announcements))
    announcements.changed()
    return "told"


async def test_elicitation(message: Annotated[str, names.TEXT]) -> str:
    """Destroy something after a person has confirmed it."""
    return f"confirmed: {message}"


# Any of these may be called by a scenario that only looks at the question, or at what becomes of the answer.
ASKING = (
    "test_input_required_result_elicitation",
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "test_missing_capability",
)


def _asking(name: str) -> Tool:
    async def run() -> str:
        return "state-ok"

    run.__name__, run.__doc__ = name, "Destroy something after a person has confirmed it."
    return Tool(run, Effect.DESTRUCTIVE, title=name, toolset="conformance")


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    for function in (test_simple_text, test_error_handling, test_tool_with_progress, test_trigger_tool_change):
        yield Tool(function, Effect.READ, title=function.__name__, toolset="conformance")
    yield Tool(test_elicitation, Effect.DESTRUCTIVE, title="test_elicitation", toolset="conformance")
    yield from map(_asking, ASKING)


async def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


async def template_data(id: Annotated[str, names.OBJECT]) -> str:  # noqa: A002 -- the suite's name for it
    """The data of an id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@hookimpl
def klepaas_resources() -> Iterable[Resource]:
    yield Resource("test://static-text", static_text, title="Static text")
    yield Resource("test://template/{id}/data", template_data, title="Data", mime_type="application/json")


async def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


async def test_prompt_with_arguments(arg1: Annotated[str, names.TEXT], arg2: Annotated[str, names.TEXT]) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def suggested(chosen: Mapping[str, str]) -> Iterable[str]:
    return ["test", "testing"]


@hookimpl
def klepaas_prompts() -> Iterable[Prompt]:
    yield Prompt(test_simple_prompt, {"en": Wording("Simple", "A simple prompt.")})
    arguments = {"arg1": "The first", "arg2": "The second"}
    yield Prompt(
        test_prompt_with_arguments,
        {"en": Wording("With arguments", "A prompt with two.", arguments)},
        {"arg1": suggested},
    )
