"""What can go wrong between klepaas and an MCP server, in klepaas' own errors: what was sent, and what was not."""

from klepaas.errors import BadRequest
from klepaas.resilience.errors import NotSent

__all__ = ["AnswerTooLong", "NotUp"]


class AnswerTooLong(BadRequest):
    """The server answered, with more than klepaas reads, or nested deeper; the server itself is well."""


class NotUp(NotSent):
    """The server is not there at the moment: it has not started, or not answered yet. Nothing was sent."""
