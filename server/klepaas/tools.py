"""How a tool is declared: a function, its effect, and a check for each of its text parameters.

A declaration that lacks something is refused when it is registered, with the reason, so that no tool can forget its
guard. What a declaration promises is enforced in one place, the gate (`klepaas.gate`), never here.
"""

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from klepaas.names import Check

__all__ = ["DeclarationError", "Effect", "TextParameter", "Tool"]


class Effect(StrEnum):
    """What a call may do to the world; an upstream's own hints decide nothing."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class DeclarationError(ValueError):
    """A tool's declaration is incomplete or contradicts its function."""


@dataclass(frozen=True)
class TextParameter:
    """One place in a call's arguments where text may stand.

    Attributes:
        name: The parameter.
        check: The rule for each text found there.
        key_check: The rule for the keys where the parameter is a mapping. None: it is not one.
    """

    name: str
    check: Check
    key_check: Check | None = None

    def verify(self, value: Any) -> None:
        """Check every text in the value: itself, the items of a list, the keys and values of a mapping.

        Values of another type pass: the tool's schema refuses them.

        Raises:
            BadRequest: A text breaks its rule.
        """
        for text, check in self._texts(value):
            check.check(text, self.name)

    def _texts(self, value: Any) -> Iterator[tuple[str, Check]]:
        if isinstance(value, str):
            yield value, self.check
        elif isinstance(value, list):
            for item in value:
                yield from self._texts(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield str(key), self.key_check or self.check
                yield from self._texts(item)


@dataclass(frozen=True)
class Tool:
    """A tool that a plugin offers.

    Its name is the function's name; the function's docstring before `Args:` is what the model reads.

    Attributes:
        function: Takes typed parameters, each text parameter with a `klepaas.names.Check` in its annotation (for a
            mapping, one in the annotation of its keys and one in that of its values); returns the answer's text, or a
            `klepaas.output.Answer`.
        effect: What a call may do. None is accepted here and refused at every call.
        title: A short name for people.
        toolset: The group under which people choose tools.
        foreign_text: Whether the answer holds text that somebody outside wrote (logs, annotations, messages).
        idempotent: Whether the same call twice is the same as once.
        open_world: Whether the call leaves the platform (a chat, a code host).
        timeout_s: Longest time a call may take, in seconds.
    """

    function: Callable[..., Awaitable[Any]]
    effect: Effect | None
    title: str
    toolset: str
    foreign_text: bool = False
    idempotent: bool = False
    open_world: bool = False
    timeout_s: float = 60.0
    texts: tuple[TextParameter, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", tuple(text_parameters(self.function)))

    @property
    def name(self) -> str:
        """The name clients call."""
        return self.function.__name__

    def verify(self, arguments: Mapping[str, Any]) -> None:
        """Check every text in a call's arguments.

        Raises:
            BadRequest: A text breaks its rule.
        """
        for parameter in self.texts:
            parameter.verify(arguments.get(parameter.name))


def text_parameters(function: Callable[..., Any]) -> Iterator[TextParameter]:
    """The function's parameters that can hold text, each with its check.

    Raises:
        DeclarationError: A parameter that can hold text has no check.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    for name in inspect.signature(function).parameters:
        places = list(_text_places(hints.get(name, Any)))
        if not places:
            continue
        if any(check is None for check in places):
            raise DeclarationError(
                f"parameter {name!r} of {function.__name__}() can hold text but its annotation has no check; "
                "annotate it, for example Annotated[str, names.OBJECT]"
            )
        checks = [check for check in places if check is not None]
        yield TextParameter(name, checks[-1], checks[0] if len(checks) > 1 else None)


def _text_places(annotation: Any, check: Check | None = None) -> Iterator[Check | None]:
    """Each `str` (or unknown type) inside an annotation, with the nearest check around it."""
    if typing.get_origin(annotation) is typing.Annotated:
        found = [item for item in annotation.__metadata__ if isinstance(item, Check)]
        yield from _text_places(annotation.__origin__, found[0] if found else check)
    elif annotation is str or annotation is Any or annotation is object:
        yield check
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, list, tuple, set, dict, Mapping):
        for inner in typing.get_args(annotation):
            yield from _text_places(inner, check)
    elif hasattr(annotation, "model_fields"):
        raise DeclarationError(f"{annotation.__name__} is a model; declare its fields as parameters of the tool")
