"""The errors that only the pipeline knows, under `KlepaasError`."""

from typing import ClassVar

from klepaas.errors import TimedOut, Unavailable

__all__ = ["NotSent", "OutcomeUnknown", "Overloaded"]


class OutcomeUnknown(TimedOut):
    """A change was sent and not confirmed: it may have been made. It must not be repeated before somebody looks."""

    retryable: ClassVar[bool] = False


class NotSent(Unavailable):
    """The upstream was never asked: a connection was refused, a process did not start.

    An operation raises it where only it can know so, for example when an MCP server's process cannot be spawned.
    """


class Overloaded(Unavailable):
    """klepaas itself has too many calls to this upstream under way; nothing was sent."""
