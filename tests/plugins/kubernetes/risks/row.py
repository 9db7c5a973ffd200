"""A change, and what one rule of the table says of it."""

from dataclasses import dataclass, field
from typing import Any

from klepaas.effects import Effect

from .objects import Json, at, changed_deployment

D, W = Effect.DESTRUCTIVE, Effect.WRITE


@dataclass
class Row:
    """A change, and what one rule says of it."""

    rule: str
    before: Json | None
    after: Json | None
    text: str
    severity: Effect = D
    live: dict[tuple[str, str | None, str | None], Any] = field(default_factory=dict)


def changed(rule_name: str, path: str, value: Any, text: str, severity: Effect = D) -> Row:
    """A field of a Deployment that changes."""
    return Row(rule_name, *changed_deployment(path, value), text, severity)


def lost(rule_name: str, path: str, value: Any, text: str, then: Any = None) -> Row:
    before, after = changed_deployment(path, value)
    return Row(rule_name, after, before if then is None else at(before, path, then), text)
