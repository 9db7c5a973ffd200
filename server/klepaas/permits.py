"""How the gate let a change through, as far as it has to be asked again where another process goes on with it.

A call ends with its process; what it began may not. So the gate hands its permit to the tool, and an operation that the
tool begins keeps it. It decides nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

from klepaas.tools import Target

__all__ = ["Permit", "current_permit", "permitting"]


@dataclass(frozen=True, kw_only=True)
class Permit:
    """How a call was let through.

    Attributes:
        tool: The tool's name.
        effect: What the call does, by its declaration and its content.
        targets: What it changes.
        confirmed: How it was let through, as the audit names it: "auto", "person", "terminal", "without_human".
        change_id: What the call's audit records have in common.
    """

    tool: str
    effect: str
    targets: tuple[Target, ...]
    confirmed: str
    change_id: str

    def as_json(self) -> dict[str, Any]:
        """The permit as an operation keeps it."""
        return {**asdict(self), "targets": [asdict(target) for target in self.targets]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Permit":
        """The permit that an operation kept."""
        targets = tuple(Target(**{**one, "also": tuple(one.get("also") or ())}) for one in kept["targets"])
        texts = {name: str(kept[name]) for name in ("tool", "effect", "confirmed", "change_id")}
        return cls(targets=targets, **texts)


_current: ContextVar[Permit | None] = ContextVar("klepaas_permit", default=None)


def current_permit() -> Permit | None:
    """How the call at hand was let through. None: it is no call that the gate let through."""
    return _current.get()


@contextmanager
def permitting(permit: Permit) -> Iterator[None]:
    """Hand a permit to the tool that runs; the gate does.

    Args:
        permit: How its call was let through.
    """
    token = _current.set(permit)
    try:
        yield
    finally:
        _current.reset(token)
