"""How a tool is declared: a function, its effect, and a check for each of its text parameters.

A declaration that lacks something is refused when it is made, with the reason, so that no tool can forget its guard.
What a declaration promises is enforced in one place, the gate (`klepaas.gate`), never here. Which types a parameter may
have, and where text may stand in them, is `klepaas.parameters`.
"""

import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from klepaas.errors import BadRequest
from klepaas.parameters import DeclarationError, Places, places_of

__all__ = ["DeclarationError", "Effect", "Tool"]

# What every client accepts: the protocol also allows dots and 128 characters, some clients do not.
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")


class Effect(StrEnum):
    """What a call may do to the world; an upstream's own hints decide nothing."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True)
class Tool:
    """A tool that a plugin offers.

    Its name is the function's name; the function's docstring before `Args:` is what the model reads.

    Attributes:
        function: An async function of typed parameters, each text parameter with a `klepaas.names.Check` in its
            annotation (for a mapping, one in the annotation of its keys and one in that of its values); returns the
            answer's text, or a `klepaas.output.Answer`.
        effect: What a call may do. None is accepted here and refused at every call.
        title: A short name for people.
        toolset: The group under which people choose tools.
        foreign_text: Whether the answer holds text that somebody outside wrote (logs, annotations, messages).
        idempotent: Whether the same call twice is the same as once.
        open_world: Whether the call leaves the platform (a chat, a code host).
        timeout_s: Longest time a call may take, in seconds.

    Raises:
        DeclarationError: It lacks something, or promises what cannot be kept.
    """

    function: Callable[..., Awaitable[Any]]
    effect: Effect | None
    title: str
    toolset: str
    foreign_text: bool = False
    idempotent: bool = False
    open_world: bool = False
    timeout_s: float = 60.0
    parameters: Mapping[str, Places] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = getattr(self.function, "__name__", "")
        if not _NAME.fullmatch(name):
            raise DeclarationError(f"{name!r} is no name for a tool: up to 64 letters, digits, '_' and '-'")
        if not inspect.iscoroutinefunction(self.function):
            raise DeclarationError(f"{name}() is not an async function")
        if self.effect is not None and not isinstance(self.effect, Effect):
            raise DeclarationError(f"the effect of {name} is {self.effect!r}, not one of klepaas.tools.Effect")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise DeclarationError(f"timeout_s of {name} is {self.timeout_s!r}, not a number of seconds above 0")
        object.__setattr__(self, "parameters", places_of(self.function))

    @property
    def name(self) -> str:
        """The name clients call."""
        return self.function.__name__

    def verify(self, arguments: Mapping[str, Any]) -> None:
        """Check every text in a call's arguments; their types are the schema's affair.

        Raises:
            BadRequest: A text breaks its rule, or there is no parameter of such a name.
        """
        for name, value in arguments.items():
            places = self.parameters.get(name)
            if places is None:
                raise BadRequest(f"{self.name} has no parameter {name[:40]!a}", next_step=self._known_parameters())
            places.verify(value, name)

    def _known_parameters(self) -> str:
        return f"Its parameters are {', '.join(self.parameters)}" if self.parameters else "It takes none"
