"""Puts schemas through the converters of OpenAI's strict mode, Gemini and LangChain; run in the environment of these.

Reads `[{name, description, schema}]` from stdin and writes `{converter: {name: schema or {"error": ...}}}`.
"""

import copy
import json
import sys
from collections.abc import Callable
from typing import Any

Tool = dict[str, Any]


def openai_strict(tool: Tool) -> Any:
    """As openai-agents does with convert_schemas_to_strict."""
    from agents.strict_schema import ensure_strict_json_schema

    return ensure_strict_json_schema(tool["schema"])


def google_genai(tool: Tool) -> Any:
    """As google-genai makes a Gemini schema of a JSON schema."""
    from google.genai.types import JSONSchema, Schema

    made = Schema.from_json_schema(json_schema=JSONSchema.model_validate(tool["schema"]))
    return made.model_dump(mode="json", exclude_none=True)


def langchain_openai_strict(tool: Tool) -> Any:
    """As langchain-openai does in `bind_tools(strict=True)`."""
    from langchain_core.utils.function_calling import convert_to_openai_tool

    return convert_to_openai_tool(_langchain_tool(tool), strict=True)["function"]["parameters"]


def langchain_openai(tool: Tool) -> Any:
    """As langchain-openai does by default."""
    from langchain_core.utils.function_calling import convert_to_openai_tool

    return convert_to_openai_tool(_langchain_tool(tool))["function"]["parameters"]


def langchain_google(tool: Tool) -> Any:
    """As langchain-google-genai does in `bind_tools`."""
    from langchain_google_genai._function_utils import convert_to_genai_function_declarations

    (made_tool,) = convert_to_genai_function_declarations([_langchain_tool(tool)])
    (declaration,) = made_tool.function_declarations
    made = declaration.parameters or declaration.parameters_json_schema
    return made if isinstance(made, dict) else made.model_dump(mode="json", exclude_none=True)


def _langchain_tool(tool: Tool) -> Any:
    from langchain_core.tools import StructuredTool

    return StructuredTool(name=tool["name"], description=tool["description"], args_schema=tool["schema"])


CONVERTERS: list[Callable[[Tool], Any]] = [
    openai_strict,
    google_genai,
    langchain_openai,
    langchain_openai_strict,
    langchain_google,
]


def convert(converter: Callable[[Tool], Any], tool: Tool) -> Any:
    try:
        return converter(copy.deepcopy(tool))
    except Exception as error:  # noqa: BLE001 -- whatever a converter raises is what the test is about
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    tools = json.load(sys.stdin)
    json.dump({one.__name__: {tool["name"]: convert(one, tool) for tool in tools} for one in CONVERTERS}, sys.stdout)
