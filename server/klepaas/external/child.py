"""An MCP server that klepaas starts: one process, its group, its three streams, and its end.

It gets a small environment, not klepaas' own, and a process group of its own, which is ended as a whole, also when it
is stopped or ignores a polite end. What it writes to stderr is a stranger's text: the last lines are kept, redacted,
for whoever asks why it died. Its messages are read within limits (`klepaas.external.messages`).
"""

import contextlib
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import mcp_types as mt
from anyio.abc import Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from klepaas.errors import BadRequest
from klepaas.external.declaration import StdioServer
from klepaas.external.failures import NotUp
from klepaas.external.messages import Lines, mended
from klepaas.observability import one_line
from klepaas.outbound import UnusableProgram, find_program
from klepaas.portability import processes

__all__ = ["Child", "child_environment"]

log = logging.getLogger(__name__)

# Of its end: after its input is closed, and after it was asked to go.
CLOSE_LIMIT_S = 1.0
TERMINATE_LIMIT_S = 1.0
_POLL_S = 0.01
_STDERR_LINES = 20
_STDERR_LINE_CHARS = 300
_STDERR_LINE_BYTES = 4096
_OUTGOING_MESSAGES = 256

Incoming = SessionMessage | Exception


def child_environment(server: StdioServer, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server's process.

    Args:
        server: The server.
        more: Its credentials.
    """
    return {**processes.base_environment(), **server.env, **more}


class Child:
    """One process of a server.

    Args:
        name: The server's name, for the log.
        server: What to start.
    """

    def __init__(self, name: str, server: StdioServer) -> None:
        self._name = name
        self._server = server
        self._process: Process | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self.ended = anyio.Event()

    @property
    def pid(self) -> int | None:
        """The process's number. None: there is none."""
        return self._process.pid if self._process else None

    @property
    def last_words(self) -> str:
        """The last line that it wrote to stderr, redacted; empty where there is none."""
        return self._stderr[-1] if self._stderr else ""

    @property
    def exit_text(self) -> str:
        """How it ended, in a few words."""
        code = self._process.returncode if self._process else None
        if code is None:
            return "closed its output"
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    @contextlib.asynccontextmanager
    async def running(
        self, more: Mapping[str, str]
    ) -> AsyncIterator[tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]]:
        """Run it while inside.

        Args:
            more: Its credentials.

        Yields:
            Its messages, and where to put ours.

        Raises:
            NotUp: It cannot be started.
        """
        process = self._process = await self._start(more)
        incoming, received = anyio.create_memory_object_stream[Incoming](16)
        to_send, outgoing = anyio.create_memory_object_stream[SessionMessage](_OUTGOING_MESSAGES)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._read, process, incoming)
                group.start_soon(self._write, process, outgoing)
                group.start_soon(self._listen, process)
                try:
                    yield received, to_send
                finally:
                    with anyio.CancelScope(shield=True):
                        await _end(process)
                    group.cancel_scope.cancel()
        finally:
            for stream in (incoming, received, to_send, outgoing):
                stream.close()
            self.ended.set()

    async def _start(self, more: Mapping[str, str]) -> Process:
        if not self._server.command:
            raise NotUp("has no command")
        try:
            environment = child_environment(self._server, more)
            folder = Path(self._server.cwd) if self._server.cwd else None
            program = find_program(self._server.command[0], path=environment.get("PATH", ""), folder=folder)
            command = [str(program), *self._server.command[1:]]
            return await processes.start(command, environment=environment, folder=self._server.cwd)
        except UnusableProgram as exc:
            raise NotUp(f"cannot be started: {one_line(exc.name, 60)} {one_line(exc.reason, 500)}") from exc
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
            name = one_line(os.path.basename(self._server.command[0]), 60)
            raise NotUp(f"cannot be started: {name}: {why}") from exc

    async def _read(self, process: Process, incoming: MemoryObjectSendStream[Incoming]) -> None:
        lines = Lines()
        stdout = process.stdout
        if stdout is None:
            raise BadRequest("the process has no output")
        with contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async with incoming:
                while True:
                    for line in lines.feed(await stdout.receive(64 * 1024)):
                        message = _parsed(line)
                        if message is not None:
                            await incoming.send(message)
        self.ended.set()

    async def _write(self, process: Process, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
        stdin = process.stdin
        if stdin is None:
            raise BadRequest("the process has no input")
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async with outgoing:
                async for message in outgoing:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await stdin.send(text.encode() + b"\n")

    async def _listen(self, process: Process) -> None:
        """Keep the last lines of stderr; it is always read, so that a talkative server never blocks."""
        lines = Lines(_STDERR_LINE_BYTES)
        stderr = process.stderr
        if stderr is None:
            return
        with contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            while True:
                for line in lines.feed(await stderr.receive(16 * 1024)):
                    text = one_line(line.decode(errors="replace"), _STDERR_LINE_CHARS)
                    self._stderr.append(text)
                    log.debug("%s: %s", self._name, text)


def _parsed(line: bytes) -> SessionMessage | None:
    """One message; None for what is none: some servers print to their output."""
    try:
        return SessionMessage(mt.jsonrpc_message_adapter.validate_json(mended(line), by_name=False))
    except ValueError:
        log.debug("a line of %d bytes is no message", len(line))
        return None


async def _end(process: Process) -> None:
    """Close its input, ask it to go, and then make it go, with all that it started."""
    with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        if process.stdin is not None:
            await process.stdin.aclose()
    if not await _has_ended(process, CLOSE_LIMIT_S):
        processes.ask_to_end(process)
        await _has_ended(process, TERMINATE_LIMIT_S)
    # Also where it went by itself: what it started may still be there, and a stopped process hears nothing else.
    await processes.end(process)
    await _has_ended(process, TERMINATE_LIMIT_S)
    for stream in (process.stdout, process.stderr):
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            if stream is not None:
                await stream.aclose()
    # A grandchild that left the group may hold a pipe open for ever; asyncio would wait for it, and then warn.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with contextlib.suppress(PermissionError):
            transport.close()


async def _has_ended(process: Process, within_s: float) -> bool:
    """Whether it is gone. Looked for again and again: asyncio's own wait also waits for whoever holds its pipes."""
    with anyio.move_on_after(within_s):
        while process.returncode is None:  # noqa: ASYNC110 -- nothing sets an event
            await anyio.sleep(_POLL_S)
    return process.returncode is not None
