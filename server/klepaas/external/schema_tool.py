"""A tool whose parameters a JSON schema describes and not a function of ours: as the gate wants a tool declared.

Its texts go to another program as JSON, never into a path or a command of ours, so one check fits all of them. What the
schema says beyond names and presence is the other program's affair: its patterns are never run here, since a pattern
can be written to run for ever.
"""

import difflib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from klepaas.errors import BadRequest
from klepaas.names import COUNTED_TEXT, Check
from klepaas.output.quoting import quote
from klepaas.parameters import Places
from klepaas.tools import Effect, Target, Tool

__all__ = ["SchemaTool"]

DEPTH_MAX = 16
MOST_VALUES = 20_000
# Whole files are sent so; the limit of an HTTP request to us is the same.
TEXT_MAX_CHARS = 1024 * 1024


def _has_no_half_characters(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


_TEXT = Check("text", _has_no_half_characters, "text of whole characters", TEXT_MAX_CHARS)
_PRIVATE = Check("text", COUNTED_TEXT.accepts, COUNTED_TEXT.rule, TEXT_MAX_CHARS, quotable=False)
_IN_PRIVATE = Places(_PRIVATE)


class SchemaTool(Tool):
    """A declaration by schema.

    Args:
        name: The name clients call.
        effect: What a call may do.
        title: A short name for people.
        toolset: The group under which people choose tools.
        schema: The parameters, as clients may give them.
        private: Parameters whose text nobody is shown.
        idempotent: Whether the same call twice is the same as once.
        timeout_s: Longest time a call may take, in seconds.
        targets: Tells what a call would change. None: not known.
    """

    def __init__(
        self,
        name: str,
        effect: Effect,
        title: str,
        toolset: str,
        schema: Mapping[str, Any],
        *,
        private: Collection[str] = (),
        idempotent: bool = False,
        timeout_s: float = 60.0,
        targets: Callable[[Mapping[str, Any]], Awaitable[Sequence[Target]]] | None = None,
    ) -> None:
        properties = schema.get("properties", {})
        hidden = Places(_PRIVATE, _IN_PRIVATE, None, _IN_PRIVATE)
        defaults = {item.name: item.default for item in fields(Tool) if item.default is not MISSING}
        values: dict[str, Any] = {
            **defaults,
            "function": _nothing,
            "effect": effect,
            "title": title,
            "toolset": toolset,
            "foreign_text": True,
            "idempotent": idempotent,
            "open_world": True,
            "timeout_s": timeout_s,
            "targets": targets,
            "preview": None,
            "parameters": {name: hidden if name in private else Places(_TEXT) for name in properties},
            "_name": name,
            "_required": tuple(schema.get("required", ())),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    _name: str
    _required: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name clients call."""
        return self._name

    def changes(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a call may change something: whatever another program calls a dry run counts for nothing here."""
        return self.effect is not Effect.READ

    def is_dry_run(self, arguments: Mapping[str, Any]) -> bool:
        """Never."""
        return False

    def verify(self, arguments: Mapping[str, Any]) -> None:
        """Check that the arguments are JSON of this tool's parameters, and that those that must be there are.

        Raises:
            BadRequest: They are not.
        """
        for name in arguments:
            if name not in self.parameters:
                near = difflib.get_close_matches(name[:40], list(self.parameters), n=1)
                hint = f"Did you mean {near[0]}?" if near else self._known_parameters()
                raise BadRequest(f"{self.name} has no parameter {quote(name, 40)}", next_step=hint)
        missing = [name for name in self._required if name not in arguments]
        if missing:
            raise BadRequest(f"{self.name} was called without {', '.join(missing)}")
        left = [MOST_VALUES]
        for name, value in arguments.items():
            _verify(value, name, left, 0)


async def _nothing() -> str:
    return ""


def _verify(value: Any, parameter: str, left: list[int], depth: int) -> None:
    left[0] -= 1
    if depth > DEPTH_MAX or left[0] < 0:
        raise BadRequest(f"{parameter} is nested too deeply, or holds too many values")
    if isinstance(value, str):
        _TEXT.check(value, parameter)
    elif isinstance(value, list):
        for item in value:
            _verify(item, parameter, left, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _verify(key, f"a key of {parameter}", left, depth + 1)
            _verify(item, parameter, left, depth + 1)
    elif not isinstance(value, int | float | bool | type(None)):
        raise BadRequest(f"{parameter} is a {type(value).__name__}, which is not JSON")
