"""Whether this process may go on with what another began: the same user at the upstream, and let through once more.

who acts    the same user and groups as the upstream knows them; where it never told, a process of the same user of
the same machine. While it gives no answer, nothing is taken up.
policy      as the settings are now: a tool that is not offered any more, or a change that now needs a person, is
not carried on. It can still be cancelled: then what was done stays, and nothing is sent.
audit       taking it up has a record of its own; without it nothing is sent
"""

import logging
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from klepaas.operations.kinds import Kind, Outcome, State
from klepaas.operations.model import Operation
from klepaas.operations.origin import ActingUser, Origin
from klepaas.principals import owners_of, process_principal

__all__ = ["Authority", "Hindrance", "end_forbidden", "find_hindrance", "identify"]

log = logging.getLogger(__name__)

_IDENTIFY_LIMIT_S = 5.0


class Authority(Protocol):
    """What lets operations through again, and puts on record that they are gone on with: the gate's side."""

    async def find_objection(self, operation: Operation) -> str | None:
        """Why the settings of now do not let it be carried on, as part of a sentence. None: they do."""
        ...

    async def announce(self, operation: Operation) -> Any:
        """Put on record that this process goes on with it.

        Returns:
            What `conclude` gets.

        Raises:
            Unavailable: It cannot be recorded.
        """
        ...

    async def conclude(self, announced: Any, outcome: Outcome | None) -> None:
        """Note how an attempt ended. An outcome of None: it ended without one."""
        ...

    async def refuse(self, operation: Operation, why: str) -> None:
        """Note that it is not carried on here, and why."""
        ...


@dataclass(frozen=True)
class Hindrance:
    """Why this process does not go on with an operation.

    Attributes:
        text: As part of a sentence.
        is_final: Whether asking again soon is in vain.
        forbidden: Whether it is the settings that say no.
    """

    text: str
    is_final: bool = True
    forbidden: bool = False


async def find_hindrance(kind: Kind, operation: Operation, authority: Authority | None) -> Hindrance | None:
    """Why this process does not go on with an operation. None: it does.

    Args:
        kind: What it is.
        operation: The operation, with what was asked for as far as that can be read.
        authority: Asks the gate. None: there is none.
    """
    origin = operation.origin
    if origin is not None:
        other = await _find_other_user(kind, operation, origin)
        if other is not None:
            return other
    objection = None if authority is None else await authority.find_objection(operation)
    return None if objection is None else Hindrance(objection, forbidden=True)


async def _find_other_user(kind: Kind, operation: Operation, origin: Origin) -> Hindrance | None:
    begun = origin.user
    if begun is None or kind.identify is None:
        if origin.process_owner in owners_of(process_principal().owner):
            return None
        return Hindrance("another user, or another machine, began it")
    try:
        with anyio.fail_after(_IDENTIFY_LIMIT_S):
            now = await kind.identify(operation.request)
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a plugin's kind
        log.info("who goes on with %s is not known: %s", operation.id, type(exc).__name__)
        now = None
    if now is None:
        return Hindrance(f"{begun.name} began it, and who this server acts as is not known yet", is_final=False)
    if now == begun:
        return None
    if now.name == begun.name:
        return Hindrance(f"{begun.name} began it and has other groups now")
    return Hindrance(f"{begun.name} began it, and this server acts as {now.name}")


async def identify(kind: Kind, request: Any) -> ActingUser | None:
    """Whom the upstream takes this process for, where an operation begins. None: it does not tell.

    Args:
        kind: What is begun.
        request: What is asked for.
    """
    if kind.identify is None:
        return None
    try:
        with anyio.fail_after(_IDENTIFY_LIMIT_S):
            return await kind.identify(request)
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a plugin's kind
        log.info("who begins an operation of the kind %s is not known: %s", kind.name, type(exc).__name__)
        return None


def end_forbidden(operation: Operation, why: str) -> Outcome:
    """The end of what was cancelled and may not be put in order here.

    Args:
        operation: The operation.
        why: Why it may not, as part of a sentence.
    """
    text = f"{operation.title} was cancelled. What it had changed by then stays; see the steps"
    return Outcome(State.CANCELLED, f"{text}. It was not put in order, since {why}.")
