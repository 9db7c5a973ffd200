"""What a tool's docstring says: its description, and its parameters.

FastMCP would parse docstrings too, with a library that takes as long to import as the rest of a server's tools take to
build. Only the form that this project uses is understood: Google's, with an `Args:` section.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Docstring", "read_docstring"]

_SECTION = re.compile(r"^(?:Args|Returns|Raises|Yields|Source|Example|Examples|Note|Notes):[ \t]*$", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}\*{0,2}(\w+)(?: \([^)\n]*\))?: *(.*(?:\n(?: {5,}.*|[ \t]*$))*)", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """A docstring, taken apart.

    Attributes:
        description: What stands before its first section.
        parameters: What `Args:` says of each parameter.
    """

    description: str
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(function: Callable[..., Any]) -> Docstring:
    """Take a function's docstring apart.

    Args:
        function: The function.
    """
    text = inspect.getdoc(function) or ""
    first = _SECTION.search(text)
    if first is None:
        return Docstring(text.strip())
    sections = [*_SECTION.finditer(text)]
    ends = [section.start() for section in sections[1:]] + [len(text)]
    for section, end in zip(sections, ends, strict=True):
        if section.group().startswith("Args"):
            entries = _ENTRY.findall(text[section.end() : end])
            return Docstring(text[: first.start()].strip(), {name: " ".join(said.split()) for name, said in entries})
    return Docstring(text[: first.start()].strip())
