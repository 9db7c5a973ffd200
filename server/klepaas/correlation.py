"""Which call a piece of work belongs to: an id that stands in every log line and goes along to upstreams.

A caller who traces gives the id itself, as the trace id of a W3C `traceparent`; everybody else gets a new one. What a
caller gives is taken only in that exact form, since it is repeated in logs and headers. It knows no transport.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Correlation", "correlated", "correlation_id", "current", "trace_id_of"]

# Version, trace id, parent id, flags. Version ff is forbidden, later versions may append fields.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-[!-~]{0,200})?")


@dataclass(frozen=True)
class Correlation:
    """What work is done for.

    Attributes:
        id: The correlation id, 32 hexadecimal digits.
        trace_id: The caller's trace. None: it does not trace.
        tool: The tool that is called. None: no call, or of a tool that there is not.
    """

    id: str
    trace_id: str | None = None
    tool: str | None = None

    @classmethod
    def of(cls, traceparent: object, tool: str | None = None) -> "Correlation":
        """By what a caller sent.

        Args:
            traceparent: Anything; counts where it is valid.
            tool: The tool, where there is such a one.
        """
        trace_id = trace_id_of(traceparent)
        return cls(trace_id or uuid.uuid4().hex, trace_id, tool)


_current: ContextVar[Correlation | None] = ContextVar("klepaas_correlation", default=None)


def current() -> Correlation | None:
    """What the work at hand is done for; None outside of any request."""
    return _current.get()


def correlation_id() -> str | None:
    """The id of the work at hand; None outside of any request."""
    found = _current.get()
    return found.id if found else None


@contextmanager
def correlated(correlation: Correlation) -> Iterator[Correlation]:
    """Do what is inside for this.

    Args:
        correlation: What it is done for.
    """
    token = _current.set(correlation)
    try:
        yield correlation
    finally:
        _current.reset(token)


def trace_id_of(traceparent: object) -> str | None:
    """The trace id in a W3C `traceparent`, or None where it is not a valid one.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if found is None or set(found[1]) == {"0"} or set(found[2]) == {"0"}:
        return None
    # Only later versions may append fields.
    return None if found[0].startswith("00") and len(found[0]) != 55 else found[1]
