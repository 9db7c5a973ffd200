"""How a resource is declared: a URI or a template of URIs, and a function that reads what it names.

A client reads a resource to put it before its model or its person; reading changes nothing. What a declaration promises
is enforced by the gate (`klepaas.reading`), never here; which spellings of a URI mean what is `klepaas.uri_templates`.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from klepaas.completion import Completer
from klepaas.docstrings import read_docstring
from klepaas.parameters import DeclarationError
from klepaas.uri_templates import UriTemplate
from klepaas.variables import Variable, variables_of

__all__ = ["Completer", "Resource"]

_MIME_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


@dataclass(frozen=True)
class Resource:
    """Something to read, or many things of one kind.

    Its name is the function's name; the function's docstring before `Args:` is its description.

    Attributes:
        uri: Its URI, for example `klepaas://contexts`, or a template of which each variable is a whole segment.
        function: An async function of the template's variables, each a text with a `klepaas.names.Check` in its
            annotation or a `Literal` of texts; returns a text or a `klepaas.output.Answer`, and changes nothing.
        title: A short name for people.
        mime_type: What the text is.
        foreign_text: Whether it holds text that somebody outside wrote.
        timeout_s: Longest time a reading may take, in seconds.
        completions: By variable: tells what it can be, given what is chosen for others. See `klepaas.completion`.

    Raises:
        DeclarationError: It lacks something, or the function and the URI have different variables.
    """

    uri: str
    function: Callable[..., Awaitable[Any]]
    title: str
    mime_type: str = "text/plain"
    foreign_text: bool = False
    timeout_s: float = 30.0
    completions: Mapping[str, Completer] = field(default_factory=dict, repr=False)
    variables: Mapping[str, Variable] = field(init=False, repr=False, compare=False)
    template: UriTemplate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", UriTemplate(self.uri))
        object.__setattr__(self, "variables", variables_of(self.function))
        if set(self.template.names) != set(self.variables):
            raise DeclarationError(f"{self.uri} and {self.name}() have different variables")
        if not all(variable.required for variable in self.variables.values()):
            raise DeclarationError(f"a parameter of {self.name}() has a default, but a URI holds every variable")
        unknown = [name for name in self.completions if name not in self.variables]
        if unknown:
            raise DeclarationError(f"{self.uri} has no variable {unknown[0]!r} to complete")
        if not _MIME_TYPE.fullmatch(self.mime_type):
            raise DeclarationError(f"{self.mime_type!r} of {self.uri} is no MIME type")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise DeclarationError(f"timeout_s of {self.uri} is {self.timeout_s!r}, not a number of seconds above 0")

    @property
    def name(self) -> str:
        """The name under which clients list it."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """What it is, as clients show it."""
        return read_docstring(self.function).description

    @property
    def is_template(self) -> bool:
        """Whether it has variables."""
        return bool(self.variables)
