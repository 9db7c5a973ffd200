"""The User-Agent of every outgoing request, so that an upstream's log and audit name klepaas and its version."""

from klepaas import __version__

__all__ = ["USER_AGENT"]

USER_AGENT = f"klepaas/{__version__} (MCP server)"
