"""What klepaas says about itself on stderr, never on stdout: under stdio that is the protocol's.

Every line passes the same cleaning and redaction as an answer, tracebacks included.
"""

import logging
import sys
import traceback
from types import TracebackType

from klepaas.output.foreign_text import clean
from klepaas.output.redaction import redact_text, vault
from klepaas.settings import LogLevel

__all__ = ["configure_logging", "safe_text"]


def safe_text(text: str) -> str:
    """The text as it may be shown on a terminal or in a log."""
    return redact_text(vault.redact(clean(text)))


class _SafeFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe_text(super().format(record))


class _CallsAreLoggedByTheGate(logging.Filter):
    """FastMCP logs a failed call with its traceback; the gate has already said it, in one masked line."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(("Error calling tool", "Invalid arguments for tool"))


def configure_logging(level: LogLevel) -> None:
    """Send every log line of the process to stderr, redacted.

    Args:
        level: The least that is said.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_CallsAreLoggedByTheGate())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("fastmcp", "uvicorn", "uvicorn.error", "uvicorn.access", "mcp"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    # They tell the address of each request, which is nobody's business but the audit's.
    for name in ("httpx", "httpcore", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _safe_excepthook


def _safe_excepthook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(safe_text("".join(traceback.format_exception(kind, value, trace))))
