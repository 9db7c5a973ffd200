"""What a good declaration of a tool looks like, as an assertion over a whole klepaas.

The server refuses what is dangerous; this finds what is merely bad: a model chooses tools by their words, and every
conversation of every user pays for each of their bytes.
"""

import json
import re
from collections.abc import Iterator

from klepaas.app import App
from klepaas.catalogue import Entry
from klepaas.errors import BadRequest
from klepaas.output.quoting import quote
from klepaas.testing.expecting import expect
from klepaas.testing.samples import CONTROL, text_places
from klepaas.tools import Effect

__all__ = ["assert_declared_well"]

# What a plugin beside the built-in ones may add to every conversation.
MAX_BYTES = 6_000
DESCRIPTION_CHARS = (20, 400)
TITLE_CHARS = (3, 40)
PARAMETER_MAX_CHARS = 200
# A client gives up after about a minute; a tool that streams progress may take longer, but not for ever.
TIMEOUT_MAX_S = 900.0

_NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
_READS = re.compile(r"(?:^|_)(?:get|list|describe|logs|events|status|overview|find|show)(?:_|$)")
_DESTROYS = re.compile(r"(?:^|_)(?:delete|destroy|purge|remove|drain)(?:_|$)")
_SECTION = re.compile(r"\b(?:Args|Returns|Raises):|TODO|<[A-Z]+>")
_WITHOUT_UNIT = re.compile(r"(?:timeout|wait|since|delay|interval|ttl)$")


def assert_declared_well(app: App, *, max_bytes: int = MAX_BYTES) -> None:
    """Every tool says what it does in words and hints that agree, checks its texts, and costs little.

    Args:
        app: The klepaas.
        max_bytes: What all tools together may add to a conversation, in bytes.

    Raises:
        AssertionError: With every problem, one a line.
    """
    entries = list(app.catalogue)
    expect(entries, "there is no tool")
    problems = [f"{entry.tool.name}: {problem}" for entry in entries for problem in _problems(entry)]
    size_bytes = sum(_size_bytes(entry) for entry in entries)
    if size_bytes > max_bytes:
        problems.append(f"all tools together: {size_bytes} bytes in every conversation, more than {max_bytes}")
    expect(not problems, "tools are not declared well:\n" + "\n".join(problems))


def _problems(entry: Entry) -> Iterator[str]:
    yield from _of_the_tool(entry)
    yield from _of_its_words(entry)
    yield from _of_its_schema(entry)
    yield from _of_its_texts(entry)


def _of_the_tool(entry: Entry) -> Iterator[str]:
    tool = entry.tool
    if not isinstance(tool.effect, Effect):
        yield "it declares no effect, so it cannot be called"
    if not _NAME.fullmatch(tool.name):
        yield "its name is not 3 to 40 lower-case letters, digits and '_'"
    if _READS.search(tool.name) and tool.effect is not Effect.READ:
        yield f"its name says that it reads, its effect is {tool.effect}"
    if _DESTROYS.search(tool.name) and tool.effect is not Effect.DESTRUCTIVE:
        yield f"its name says that it destroys, its effect is {tool.effect}"
    if not re.fullmatch(r"[a-z][a-z0-9-]*", tool.toolset):
        yield f"its toolset {tool.toolset!r} is not a lower-case word"
    if tool.timeout_s > TIMEOUT_MAX_S:
        yield f"its time limit is {tool.timeout_s:g} s, more than {TIMEOUT_MAX_S:g} s"


def _of_its_words(entry: Entry) -> Iterator[str]:
    description = entry.mcp.description or ""
    if not _fits(entry.tool.title, TITLE_CHARS):
        yield f"its title has {len(entry.tool.title)} characters, not {TITLE_CHARS[0]} to {TITLE_CHARS[1]}"
    if not _fits(description, DESCRIPTION_CHARS):
        limits = f"{DESCRIPTION_CHARS[0]} to {DESCRIPTION_CHARS[1]}"
        yield f"its docstring before Args: has {len(description)} characters, not {limits}"
    if not re.match(r"[A-Z][^.]{5,200}[.:]", description):
        yield "its docstring does not begin with a sentence that says what it does"
    if _SECTION.search(description) or re.search(r" {2}|\t| \n", description):
        yield "its docstring shows the model a section heading, a placeholder or odd blanks"


def _of_its_schema(entry: Entry) -> Iterator[str]:
    schema = entry.mcp.parameters
    if schema.get("additionalProperties") is not False or "$ref" in json.dumps(schema):
        yield "its schema is open or holds references"
    for name, parameter in schema.get("properties", {}).items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{1,29}", name):
            yield f"the parameter name {name!r} is not 2 to 30 lower-case letters, digits and '_'"
        if len(parameter.get("description", "")) > PARAMETER_MAX_CHARS:
            yield f"the description of {name} has more than {PARAMETER_MAX_CHARS} characters"
        if _WITHOUT_UNIT.search(name):
            yield f"the parameter {name} does not carry its unit, for example {name}_s"


def _of_its_texts(entry: Entry) -> Iterator[str]:
    for place in text_places(entry):
        for text in CONTROL:
            try:
                entry.tool.verify({place.parameter: place.value_with(text)})
            except BadRequest:
                continue
            yield f"the check of {place.parameter} lets {quote(text, 12)} pass, which no text may hold"


def _fits(text: str, limits: tuple[int, int]) -> bool:
    return limits[0] <= len(text) <= limits[1]


def _size_bytes(entry: Entry) -> int:
    listed = entry.mcp.to_mcp_tool().model_dump(mode="json", by_alias=True, exclude_none=True)
    return len(json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode())
