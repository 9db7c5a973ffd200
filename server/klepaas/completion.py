"""Suggestions for a variable while somebody types: short, checked, and never an error.

What was typed so far never reaches a plugin, let alone an upstream: half a name cannot keep the rules of names. A
plugin tells what there is, given what was chosen before; this module picks what fits.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import anyio

from klepaas.observability import safe_text
from klepaas.variables import Variable

__all__ = ["LIMIT_S", "MOST_VALUES", "Completer", "suggestions"]

log = logging.getLogger(__name__)

# Tells what a variable can be, given the variables that are chosen already; those of them that break their rules are
# left out before it is called.
Completer = Callable[[Mapping[str, str]], Awaitable[Iterable[str]]]

# Somebody is typing: a later answer is of no use.
LIMIT_S = 2.0
# As many as the protocol allows in one answer.
MOST_VALUES = 100
# More than anybody looks at; a plugin must not fill the memory.
_MOST_CANDIDATES = 10_000
_TYPED_MAX_CHARS = 256


async def suggestions(
    variable: Variable,
    completer: Completer | None,
    typed: str,
    chosen: Mapping[str, str],
) -> list[str]:
    """What a variable can be, the best first; empty where nobody knows or the answer takes too long.

    Args:
        variable: The variable.
        completer: Tells what there is. None: the choices of the variable.
        typed: What was typed so far.
        chosen: What was chosen for other variables; checked.
    """
    if len(typed) > _TYPED_MAX_CHARS:
        return []
    known = await _known(completer, chosen, variable.name) if completer else variable.choices
    fitting = [value for value in _fitting(known, typed) if variable.accepts(value)]
    # A value that is not safe to show is no suggestion: shown otherwise it would be another one.
    return [value for value in fitting if safe_text(value) == value]


async def _known(completer: Completer, chosen: Mapping[str, str], name: str) -> Sequence[str]:
    try:
        with anyio.move_on_after(LIMIT_S):
            found = await completer(chosen)
            return [value for value, _ in zip(found, range(_MOST_CANDIDATES), strict=False) if isinstance(value, str)]
    except Exception as exc:  # guarded boundary: a plugin's code; who types wants no error
        log.debug("nothing to suggest for %s: %s", name, type(exc).__name__, exc_info=exc)
    return ()


def _fitting(known: Iterable[str], typed: str) -> list[str]:
    """Those that begin with what was typed, then those that hold it; choices keep their own order."""
    wanted = typed.casefold()
    once = dict.fromkeys(known)
    beginning = [value for value in once if value.casefold().startswith(wanted)]
    holding = [value for value in once if wanted in value.casefold() and not value.casefold().startswith(wanted)]
    return beginning + holding
