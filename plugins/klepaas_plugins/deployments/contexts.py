"""The contexts that can be named, in one line of the overview, which is there when no cluster answers, too."""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from klepaas.errors import KlepaasError, TimedOut
from klepaas.output import Answer
from klepaas_plugins.kubernetes.client import ContextInfo

__all__ = ["contexts_line", "with_contexts"]

_LINE_CHARS = 600
_NAMES_CHARS = 2_000
# Below the minute after which clients give up on a call.
LOOK_LIMIT_S = 45.0
_ALL = "the resource klepaas://contexts has them all"


def contexts_line(known: Sequence[ContextInfo]) -> str:
    """Each context with its cluster and namespace, the default one first; the names alone where there are many.

    Args:
        known: The contexts there are.
    """
    ordered = sorted(known, key=lambda item: not item.is_default)
    full = "Contexts: " + ", ".join(map(_described, ordered))
    if len(full) <= _LINE_CHARS:
        return full
    names = [f"{item.name} (default)" if item.is_default else item.name for item in ordered]
    shown = list(names)
    while len(", ".join(shown)) > _NAMES_CHARS:
        shown.pop()
    left = len(names) - len(shown)
    return f"Contexts: {', '.join(shown)}{f' and {left} more' if left else ''}; {_ALL}"


def _described(item: ContextInfo) -> str:
    default = "default, " if item.is_default else ""
    return f"{item.name} ({default}cluster {item.cluster}, namespace {item.namespace})"


async def with_contexts(known: Sequence[ContextInfo], look: Callable[[], Awaitable[Answer]]) -> Answer:
    """A look at a cluster; where it fails, the error still says which contexts there are.

    Args:
        known: The contexts there are.
        look: Looks at the cluster, and names the contexts itself.

    Raises:
        KlepaasError: The cluster does not answer, or there is no such context; with the contexts.
    """
    try:
        with anyio.fail_after(LOOK_LIMIT_S):
            return await look()
    except TimeoutError as exc:
        raise TimedOut(
            f"The cluster did not answer within {LOOK_LIMIT_S:g} s",
            next_step="Ask for one namespace, or look again",
            details=contexts_line(known),
        ) from exc
    except KlepaasError as exc:
        exc.details = "\n".join(part for part in (exc.details, contexts_line(known)) if part)
        raise
