"""A call in the forms that strict clients send it in is answered as the plain call is, in both eras, also over HTTP."""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS
from klepaas.tools import DRY_RUN, Effect, Tool

from .calls import plausible
from .conftest import Platform

pytestmark = pytest.mark.anyio

Form = Callable[[Tool, Mapping[str, Any]], dict[str, Any]]


def _plain(tool: Tool) -> dict[str, Any]:
    """A call that changes nothing."""
    arguments = plausible(tool)
    return {**arguments, DRY_RUN: True} if DRY_RUN in tool.parameters else arguments


def _rest(tool: Tool, given: Mapping[str, Any]) -> list[str]:
    signature = inspect.signature(tool.function).parameters
    optional = [name for name in tool.parameters if signature[name].default is not inspect.Parameter.empty]
    return [name for name in optional if name not in given]


def _with_null(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, **dict.fromkeys(_rest(tool, given))}


def _with_empty(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, **dict.fromkeys(_rest(tool, given), "")}


def _as_text(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


FORMS: dict[str, Form] = {"null": _with_null, "empty": _with_empty, "JSON text": _as_text}


def _tools() -> list[Tool]:
    """Those whose plain call changes nothing."""
    tools = [entry.tool for entry in create_app(Settings(mode=Mode.WRITES)).catalogue]
    return [tool for tool in tools if tool.effect is Effect.READ or DRY_RUN in tool.parameters]


def _lasting(text: str) -> str:
    """A text without what differs from one moment to the next."""
    return re.sub(r"plan(?:-[a-z0-9]{5}){4}|[0-9a-f]*\d[0-9a-f]*", "#", text)


@pytest.mark.parametrize("wire", ["memory", "http"])
@pytest.mark.parametrize("era", ERAS)
async def test_every_tool_answers_a_call_in_the_form_of_a_strict_client_as_the_plain_call(
    platform: Platform, wire: str, era: str
) -> None:
    tools = _tools()
    assert len(tools) >= 20
    async with platform.client(f"{wire}, {era}", Mode.WRITES) as client:

        async def answer(name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            return result.is_error, _lasting("\n".join(getattr(block, "text", "") for block in result.content))

        for tool in tools:
            plain = _plain(tool)
            expected = await answer(tool.name, plain)
            for form, make in FORMS.items():
                found = await answer(tool.name, make(tool, plain))
                if "health" not in tool.name:  # its answers hold figures and states that move
                    assert found == expected, (tool.name, form)
                assert "wrong arguments" not in found[1], (tool.name, form)
