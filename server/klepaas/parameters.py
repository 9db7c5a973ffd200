"""Which types a tool's parameter may have, and where text may stand in each.

The types are an allow-list: text with a check, numbers, truth values, choices (`Literal`, `Enum`), lists and mappings
of these, and objects with named fields (`typing_extensions.TypedDict`). Clients that hold their model to a schema lose
what is in a mapping, since no schema names its keys: prefer an object, or a list of NAME=value. Whatever else could
turn a caller's text into something (`Path`, `bytes`, `Any`, models, validators that rewrite, aliases) would go round
the checks, and is refused at the declaration. Values of a wrong type are not found here: the schema refuses them.
"""

import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.output.quoting import quote

__all__ = ["DeclarationError", "Places", "places_of"]

_WITHOUT_TEXT = (int, float, bool, type(None))


class DeclarationError(ValueError):
    """A tool's declaration is incomplete or contradicts its function."""


@dataclass(frozen=True)
class Places:
    """Where in one JSON value text may stand, and the check for each place.

    Attributes:
        text: For the value itself where it is text. None: text here can only spell a number or a choice.
        item: For the items where it is a list. None: it is none.
        key: For the keys where it is a mapping. None: they can only spell numbers or choices.
        value: For the values where it is a mapping. None: it is none.
        fields: For each named field where it is an object. None: it is none.
    """

    text: Check | None = None
    item: "Places | None" = None
    key: Check | None = None
    value: "Places | None" = None
    fields: "Mapping[str, Places] | None" = None

    def verify(self, value: Any, parameter: str) -> None:
        """Check every text in a value.

        Args:
            value: What the caller sent.
            parameter: The parameter's name, for the message.

        Raises:
            BadRequest: A text breaks its rule, or the value is nothing that JSON has.
        """
        if isinstance(value, str):
            if self.text is not None:
                self.text.check(value, parameter)
        elif isinstance(value, list):
            for item in value:
                (self.item or Places()).verify(item, parameter)
        elif isinstance(value, dict) and self.fields is not None:
            self._verify_fields(value, self.fields, parameter)
        elif isinstance(value, dict):
            for key, item in value.items():
                Places(self.key).verify(key, f"a key of {parameter}")
                (self.value or Places()).verify(item, parameter)
        elif not isinstance(value, _WITHOUT_TEXT):
            raise BadRequest(f"{parameter} is a {type(value).__name__}, which is not JSON")

    @staticmethod
    def _verify_fields(value: Mapping[str, Any], fields: "Mapping[str, Places]", parameter: str) -> None:
        for name, item in value.items():
            if name not in fields:
                raise BadRequest(
                    f"{parameter} has no field {quote(name, 40)}", next_step=f"Its fields are {', '.join(fields)}"
                )
            fields[name].verify(item, f"{parameter}.{name}")


def places_of(function: Callable[..., Any]) -> dict[str, Places]:
    """The parameters that a caller can give, each with its places; what FastMCP injects is not among them.

    Raises:
        DeclarationError: A parameter can hold unchecked text, or is of a type or kind that tools do not have.
    """
    name = getattr(function, "__name__", "")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as exc:
        raise DeclarationError(f"an annotation of {name}() cannot be resolved: {exc}") from exc
    found: dict[str, Places] = {}
    for parameter in inspect.signature(function).parameters.values():
        where = f"parameter {parameter.name!r} of {name}()"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise DeclarationError(f"{where} cannot be given by name, as clients do")
        _refuse_rewriting((parameter.default,), where)
        annotation = hints.get(parameter.name, Any)
        if not _is_injected(annotation):
            found[parameter.name] = _places(annotation, None, where)
    return found


def _places(annotation: Any, check: Check | None, where: str) -> Places:
    """The places of one annotation, with the nearest check around it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _places(arguments[0], _only_check(annotation.__metadata__, where) or check, where)
    if origin in (typing.Union, types.UnionType):
        return _merged((_places(option, check, where) for option in arguments), where)
    if origin is list and arguments:
        return Places(item=_places(arguments[0], check, where))
    if origin in (dict, Mapping) and arguments:
        return Places(key=_places(arguments[0], check, where).text, value=_places(arguments[1], check, where))
    if _is_typed_dict(annotation):
        return Places(fields=_fields(annotation, where))
    if annotation is str and check is not None:
        return Places(text=check)
    if annotation in _WITHOUT_TEXT or origin is typing.Literal or _is_enum(annotation):
        return Places()
    if annotation in (str, Any, object):
        raise DeclarationError(
            f"{where} can hold text but its annotation has no check; annotate it, for example "
            "Annotated[str, names.OBJECT]"
        )
    raise DeclarationError(f"{where} is a {annotation!r}; use text with a check, a number, bool, Literal, list or dict")


def _fields(annotation: type, where: str) -> dict[str, Places]:
    """The places of an object's named fields; none of them is text without a check."""
    hints = typing.get_type_hints(annotation, include_extras=True)
    return {name: _places(hint, None, f"field {name!r} of {where}") for name, hint in hints.items()}


def _is_typed_dict(annotation: Any) -> bool:
    # Of typing or typing_extensions: each knows only its own.
    return isinstance(annotation, type) and issubclass(annotation, dict) and hasattr(annotation, "__required_keys__")


def _only_check(metadata: Iterable[Any], where: str) -> Check | None:
    _refuse_rewriting(metadata, where)
    checks = [item for item in metadata if isinstance(item, Check)]
    if len(checks) > 1:
        raise DeclarationError(f"{where} has two checks in one place")
    return checks[0] if checks else None


def _refuse_rewriting(metadata: Iterable[Any], where: str) -> None:
    """Refuse what would let other text than the checked one reach the tool."""
    for item in metadata:
        if getattr(item, "alias", None) or getattr(item, "validation_alias", None):
            raise DeclarationError(f"{where} has an alias; name the parameter what callers shall write")
        if hasattr(item, "__get_pydantic_core_schema__"):
            raise DeclarationError(f"{where} is rewritten by {item!r}; take it as it is and convert it in the tool")


def _merged(options: Iterable[Places], where: str) -> Places:
    """The places of a union: each place has at most one check, or it would not be clear which one counts."""
    merged: dict[str, Any] = {}
    for option in options:
        for slot in ("text", "item", "key", "value", "fields"):
            places = getattr(option, slot)
            if places is not None and merged.setdefault(slot, places) != places:
                raise DeclarationError(f"{where} has two checks in one place")
    return Places(**merged)


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def _is_injected(annotation: Any) -> bool:
    """Whether FastMCP fills the parameter in; named, not imported, since FastMCP takes most of a second to import."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    options = typing.get_args(annotation) if is_union else (annotation,)
    return all(
        (getattr(option, "__module__", ""), getattr(option, "__name__", "")) == ("fastmcp.server.context", "Context")
        for option in options
        if option is not type(None)
    ) and annotation is not type(None)
