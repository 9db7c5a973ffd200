"""What klepaas says about itself on stderr, never on stdout: under stdio that is the protocol's.

Every line passes the same cleaning and redaction as an answer: log lines, warnings, tracebacks of every thread, and
what a plugin prints where it should not. What a child process or a C library writes to the file descriptor itself is
kept off stdout, but is not read here.
"""

import contextlib
import io
import json
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from klepaas.correlation import correlation_id, current
from klepaas.output.safe import one_line, safe_text
from klepaas.settings import LogFormat, LogLevel

__all__ = ["configure_logging", "correlation_id", "one_line", "safe_text", "say", "stdout_to_stderr"]

# Standard output and standard error as the operating system numbers them, whatever `sys.stdout` is at the moment.
_STDOUT_FD, _STDERR_FD = 1, 2


class _SafeFormatter(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        found = current()
        record.call = f" [{found.id}]" if found else ""
        # A continued line is indented, so that no text can pass for a record of its own.
        return safe_text(super().format(record)).replace("\n", "\n    ")


class _JsonFormatter(logging.Formatter):
    """Lines for programs: one object each, every text in it safe."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _json_line(record.created, record.levelname.lower(), record.name, **fields)


def _json_line(time_s: float, level: str, logger: str, **fields: str) -> str:
    found = current()
    about = {"correlation_id": found.id, "trace_id": found.trace_id, "tool": found.tool} if found else {}
    line = {
        "time": datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "logger": safe_text(logger),
        **{name: safe_text(text) for name, text in fields.items()},
        **{name: text for name, text in about.items() if text},
    }
    return json.dumps(line, ensure_ascii=False)


class _SafeHandler(logging.StreamHandler[Any]):
    """Writes to whatever `sys.stderr` is; a record that cannot be formatted is named without its arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the library's name
        with contextlib.suppress(Exception):
            where = f"{record.pathname}:{record.lineno}"
            say(f"a log line of {record.name} cannot be formatted ({where})", "error")


class _CallsAreLoggedByTheGate(logging.Filter):
    """FastMCP logs a failed call with its traceback; the gate has already said it, in one masked line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(("fastmcp", "mcp")):
            return True
        return not str(record.msg).startswith(("Error calling tool", "Invalid arguments for tool"))


class _Voice:
    """The form in which this process speaks on stderr."""

    form = LogFormat.TEXT


def say(text: str, level: str = "info") -> None:
    """Say something on stderr whatever the log level is, in the form that was chosen.

    Args:
        text: What to say; may span lines.
        level: How much it matters, for programs.
    """
    text = text.rstrip("\n")
    line = _json_line(time.time(), level, "klepaas", message=text) if _speaks_json() else safe_text(text)
    sys.stderr.write(line + "\n")


def _speaks_json() -> bool:
    return _Voice.form is LogFormat.JSON


def configure_logging(level: LogLevel, form: LogFormat = LogFormat.TEXT) -> None:
    """Send every log line, warning and traceback of the process to stderr, redacted.

    Args:
        level: The least that is said.
        form: In which form.
    """
    _Voice.form = form
    handler = _SafeHandler(sys.stderr)
    text = _SafeFormatter("%(asctime)s %(levelname)s %(name)s%(call)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if _speaks_json() else text)
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
    # At DEBUG they quote the arguments of each call and the bodies of answers.
    for name in ("fastmcp", "mcp", "sse_starlette", "kubernetes", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    logging.captureWarnings(True)
    warnings.formatwarning = _warning_in_words
    sys.excepthook = _say_exception
    threading.excepthook = lambda args: _say_exception(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _say_exception(args.exc_type, args.exc_value, args.exc_traceback)


def _warning_in_words(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning in one line: what is deprecated is the reader's affair, where klepaas noticed it is not."""
    from klepaas.deprecation import KlepaasDeprecationWarning

    place = "" if issubclass(category, KlepaasDeprecationWarning) else f" ({filename}:{lineno})"
    return f"{category.__name__}: {message}{place}"


def _say_exception(kind: type[BaseException], value: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return  # a thread that ends itself; the interpreter says nothing either
    say("".join(traceback.format_exception(kind, value, trace)), "error")


class _SafeStderr(io.RawIOBase):
    """Passes whole lines on to stderr, cleaned and redacted: half a line could hide half a secret."""

    def __init__(self) -> None:
        self._rest = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        lines, newline, self._rest = (self._rest + bytes(data)).rpartition(b"\n")
        if newline:
            self._say(lines)
        return len(data)

    def say_rest(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._say(rest)

    def _say(self, lines: bytes) -> None:
        say(lines.decode(errors="replace"))


class _Diversion:
    """Standard output, turned away as long as anybody asks for it.

    Counted, since servers in one process may start at the same time: the first to come must not be the one that brings
    it back while the second still needs it away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._undo.enter_context(_descriptor_diverted())
                self._undo.enter_context(_stream_diverted())

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._undo.close()


@contextlib.contextmanager
def _stream_diverted() -> Iterator[None]:
    raw = _SafeStderr()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=True)
    with contextlib.redirect_stdout(stream):
        yield
    with contextlib.suppress(ValueError):  # whoever it was for may have closed it
        stream.flush()
    raw.say_rest()


@contextlib.contextmanager
def _descriptor_diverted() -> Iterator[None]:
    """The same for what does not go through `sys.stdout`: a child process, a C library."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        kept = os.dup(_STDOUT_FD)
        os.dup2(_STDERR_FD, _STDOUT_FD)
    except (OSError, ValueError):  # this process has no such descriptor
        yield
        return
    try:
        yield
    finally:
        os.dup2(kept, _STDOUT_FD)
        os.close(kept)


_diversion = _Diversion()


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Keep standard output clean while a plugin's code runs: what it prints goes to stderr, redacted."""
    _diversion.enter()
    try:
        yield
    finally:
        _diversion.leave()
