"""The variables of resources and prompts: texts that a client fills in, each with a check or a set of choices.

The protocol knows nothing but text for them, so nothing else is allowed here: `Annotated[str, names.OBJECT]`, or a
`Literal` of texts, each with a default where it may be left out. What else the annotations of a function may not do is
`klepaas.parameters`' affair, as with tools.
"""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.output.quoting import quote
from klepaas.parameters import DeclarationError, Places, places_of

__all__ = ["Variable", "variables_of", "verify"]


@dataclass(frozen=True)
class Variable:
    """One text that a client fills in.

    Attributes:
        name: Its name.
        check: The rule that it keeps. None: it is one of the choices.
        choices: What it can be. Empty: whatever its check accepts.
        required: Whether it must be given.
    """

    name: str
    check: Check | None
    choices: tuple[str, ...] = ()
    required: bool = True

    def verify(self, value: object) -> str:
        """Check a value.

        Args:
            value: What the client sent.

        Returns:
            The value.

        Raises:
            BadRequest: It breaks its rule.
        """
        if not isinstance(value, str):
            raise BadRequest(f"{self.name} is a {type(value).__name__}, not a text")
        if self.check is not None:
            self.check.check(value, self.name)
        elif value not in self.choices:
            raise BadRequest(f"{self.name} is none of its choices", next_step=f"Use {', '.join(self.choices)}")
        return value

    def accepts(self, value: str) -> bool:
        """Whether a value keeps the rule."""
        try:
            self.verify(value)
        except BadRequest:
            return False
        return True


def verify(
    variables: Mapping[str, Variable], given: Mapping[str, object], of_what: str, *, allow_any_text: bool = False
) -> dict[str, str]:
    """Check everything that a client filled in.

    Args:
        variables: What can be filled in.
        given: What was.
        of_what: What they belong to, for the message.
        allow_any_text: Whether a text that breaks the rule of its variable is passed on as it is.

    Raises:
        BadRequest: A value breaks its rule, is missing, or there is no such variable.
    """
    strange = next((name for name in given if name not in variables), None)
    if strange is not None:
        known = f"It takes {', '.join(variables)}" if variables else "It takes none"
        raise BadRequest(f"{of_what} has no argument {quote(strange, 40)}", next_step=known)
    missing = [variable.name for variable in variables.values() if variable.required and variable.name not in given]
    if missing:
        raise BadRequest(f"{of_what} needs {', '.join(missing)}")
    return {
        name: value if allow_any_text and isinstance(value, str) else variables[name].verify(value)
        for name, value in given.items()
    }


def variables_of(function: Callable[..., Any]) -> dict[str, Variable]:
    """The variables of a function, by name.

    Args:
        function: An async function.

    Raises:
        DeclarationError: A parameter is no checked text, or the function is not async.
    """
    name = getattr(function, "__name__", "")
    if not inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{name}() is not an async function")
    places = places_of(function)
    hints = inspect.get_annotations(function, eval_str=True)
    found: dict[str, Variable] = {}
    for parameter in inspect.signature(function).parameters.values():
        where = f"parameter {parameter.name!r} of {name}()"
        if parameter.name not in places:
            raise DeclarationError(f"{where} is filled in by nobody")
        found[parameter.name] = _variable(parameter, hints[parameter.name], places[parameter.name], where)
    return found


def _variable(parameter: inspect.Parameter, hint: Any, places: Places, where: str) -> Variable:
    required = parameter.default is parameter.empty
    options = _options(hint)
    choices = _choices(options)
    if choices and places == Places():
        return Variable(parameter.name, None, choices, required)
    if options == [str] and places.text is not None:
        return Variable(parameter.name, places.text, (), required)
    raise DeclarationError(f"{where} is no text; use text with a check of klepaas.names, or a Literal of texts")


def _options(hint: Any) -> list[Any]:
    """What a value may be, besides nothing."""
    if typing.get_origin(hint) is typing.Annotated:
        return _options(typing.get_args(hint)[0])
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return [option for option in (typing.get_args(hint) if is_union else (hint,)) if option is not type(None)]


def _choices(options: list[Any]) -> tuple[str, ...]:
    if len(options) != 1 or typing.get_origin(options[0]) is not typing.Literal:
        return ()
    choices = typing.get_args(options[0])
    return choices if all(isinstance(choice, str) for choice in choices) else ()
