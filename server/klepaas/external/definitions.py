"""What a server says of one of its tools, as it said it: bounded in size, and known by its hash.

The hash covers all that could change what the model believes or what a call does: name, title, description, both
schemas, annotations. Nothing is cleaned here: a change of an invisible character is a change.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mcp_types as mt

from klepaas.output.jsonable import valid_json
from klepaas.output.quoting import quote

__all__ = ["Definition", "definitions_of"]

MOST_TOOLS = 300
# The longest of the servers we know has 9 kB.
DEFINITION_MAX_BYTES = 48 * 1024
# What the protocol allows, and a slash, which some use. A name stands in sentences that people act on.
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_PARTS = {
    "name": str,
    "title": str,
    "description": str,
    "inputSchema": dict,
    "outputSchema": dict,
    "annotations": dict,
}


@dataclass(frozen=True)
class Definition:
    """One tool as its server defines it.

    Attributes:
        parts: The parts of `tools/list` that matter, as JSON data.
    """

    parts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Definition | None":
        """A definition of JSON data, whoever stored it; None where it is none.

        Args:
            said: One item of `tools/list`, or what `parts` was.
        """
        parts = {name: said[name] for name, kind in _PARTS.items() if isinstance(said.get(name), kind)}
        if not parts.get("name") or "inputSchema" not in parts:
            return None
        return cls(parts)

    @property
    def name(self) -> str:
        """The server's own name of the tool."""
        return str(self.parts["name"])

    @property
    def description(self) -> str:
        """What the server says of it; empty where it says nothing."""
        return str(self.parts.get("description", ""))

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of its arguments."""
        schema: Mapping[str, Any] = self.parts["inputSchema"]
        return schema

    @cached_property
    def canonical(self) -> str:
        """The parts as one text that is the same for the same parts."""
        return json.dumps(self.parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)

    @cached_property
    def digest(self) -> str:
        """The hash by which it is trusted."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def pretty(self) -> str:
        """The parts on many lines, each character that is not ASCII spelled out, so that a person sees every change."""
        return json.dumps(self.parts, sort_keys=True, indent=1, ensure_ascii=True, default=str)


def definitions_of(tools: Iterable[mt.Tool]) -> tuple[dict[str, Definition], list[str]]:
    """The definitions by name, and a note on each that is left out.

    Args:
        tools: What the server listed.
    """
    found: dict[str, Definition] = {}
    notes: list[str] = []
    for tool in tools:
        said = tool.model_dump(by_alias=True, mode="json", exclude_none=True, include=_FIELDS)
        definition = Definition.of(valid_json(said))
        shown = quote(tool.name)
        if definition is None or not _NAME.fullmatch(definition.name):
            notes.append(f"{shown} is left out: its name is none")
        elif len(definition.canonical) > DEFINITION_MAX_BYTES:
            notes.append(f"{shown} is left out: its definition has {len(definition.canonical)} bytes")
        elif definition.name in found:
            notes.append(f"{shown} is listed twice; the first counts")
        elif len(found) >= MOST_TOOLS:
            notes.append(f"only the first {MOST_TOOLS} tools are taken")
            break
        else:
            found[definition.name] = definition
    return found, notes


_FIELDS = {"name", "title", "description", "input_schema", "output_schema", "annotations"}
