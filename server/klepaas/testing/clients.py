"""Clients of both protocols, in memory: the handshake of 2025-11-25, and 2026-07-28, which has none.

What a server answers must not depend on the protocol, so tests of tools, resources and prompts are run once with each
of `ERAS`.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import mcp_types as mt
from fastmcp import Client
from mcp import MCPError

from klepaas.app import App
from klepaas.testing.timeouts import scale_timeout
from klepaas.way_out import ids_of

__all__ = ["ERAS", "Era", "Said", "Session", "client"]

Era = Literal["2025-11-25", "2026-07-28"]
ERAS: tuple[Era, ...] = get_args(Era)
_MODE_OF: Mapping[Era, Any] = {"2025-11-25": "legacy", "2026-07-28": "auto"}
# No test waits for longer than this for one answer.
TIMEOUT_S = scale_timeout(30)


@dataclass(frozen=True)
class Said:
    """What was answered.

    Attributes:
        text: What the model reads.
        is_error: Whether it failed.
        meta: What klepaas says beside the text: operation_id, plan_id; of an error code, retryable, retry_after_s.
        progress: What was said while it ran.
        structured: The structured content, which only tools of other servers have. None: there is none.
        data: What goes with an error of the protocol, which reading a resource or a prompt answers with.
    """

    text: str
    is_error: bool
    meta: Mapping[str, Any] = field(default_factory=dict)
    progress: tuple[str, ...] = ()
    structured: Any = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        """The error's code, for example "not_found". None: it is no error of klepaas."""
        return self._said("code") if self.is_error else None

    @property
    def operation_id(self) -> str | None:
        """The operation that the answer is about. None: there is none."""
        return self._said("operation_id")

    @property
    def plan_id(self) -> str | None:
        """The plan that a second call confirms. None: there is none."""
        return self._said("plan_id")

    def json(self) -> Any:
        """The text as the data that it is where a tool was asked for `output="json"`."""
        return json.loads(self.text)

    def _said(self, name: str) -> str | None:
        return str(self.meta[name]) if name in self.meta else None


class Session:
    """A client's connection.

    Args:
        raw: FastMCP's client, for whatever this one does not do.
    """

    def __init__(self, raw: Client[Any]) -> None:
        self.raw = raw

    async def tools(self) -> list[mt.Tool]:
        """The tools as they are listed to clients."""
        return list(await self.raw.list_tools())

    async def call(self, tool: str, /, **arguments: Any) -> Said:
        """Call a tool; an error is an answer, too.

        Args:
            tool: Its name.
            arguments: Its arguments.
        """
        said: list[str] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            said.append(message or "")

        result = await self.raw.call_tool(tool, arguments, raise_on_error=False, progress_handler=hear)
        text = "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))
        meta = ids_of(result.meta) or {}
        return Said(text, result.is_error, meta, tuple(said), result.structured_content)

    async def read(self, uri: str) -> Said:
        """Read a resource; an error is an answer, too.

        Args:
            uri: Its URI; sent as it stands, without the tidying that clients do.
        """
        try:
            result = await self.raw.session.read_resource(uri)
        except MCPError as exc:
            return _refused(exc)
        texts = [item.text for item in result.contents if isinstance(item, mt.TextResourceContents)]
        return Said("\n".join(texts), is_error=False)

    async def prompt(self, prompt: str, /, **arguments: str) -> Said:
        """Get a prompt; an error is an answer, too.

        Args:
            prompt: Its name, as it is listed.
            arguments: What is filled in.
        """
        try:
            result = await self.raw.get_prompt(prompt, arguments)
        except MCPError as exc:
            return _refused(exc)
        blocks = [message.content for message in result.messages]
        return Said("\n".join(block.text for block in blocks if isinstance(block, mt.TextContent)), is_error=False)

    async def suggestions(self, of: str, variable: str, typed: str = "", **chosen: str) -> list[str]:
        """What the server suggests while somebody types.

        Args:
            of: A prompt's name, or a resource's template.
            variable: What is filled in.
            typed: What was typed so far.
            chosen: What was filled in before.
        """
        ref: mt.PromptReference | mt.ResourceTemplateReference
        is_template = "://" in of
        ref = mt.ResourceTemplateReference(uri=of) if is_template else mt.PromptReference(name=of)
        found = await self.raw.complete(ref, {"name": variable, "value": typed}, chosen or None)
        return list(found.values)


def _refused(exc: MCPError) -> Said:
    """An error of the protocol, as an answer."""
    data = exc.data if isinstance(exc.data, dict) else {}
    return Said(exc.message, is_error=True, meta=ids_of(data.get("error")) or {}, data=data)


@contextlib.asynccontextmanager
async def client(app: App, era: Era = "2025-11-25", *, person: bool | None = None) -> AsyncIterator[Session]:
    """Connect a client; the plugins' start hooks have run when it is there, their stop hooks when it is gone.

    Args:
        app: The klepaas.
        era: The protocol.
        person: What the person in front of the client answers when a change is to be confirmed. None: the client
            cannot ask anybody.
    """

    async def answer(*_: Any) -> dict[str, bool]:
        return {"confirm": bool(person)}

    handler: Any = None if person is None else answer
    raw: Client[Any] = Client(app.server, mode=_MODE_OF[era], timeout=TIMEOUT_S, elicitation_handler=handler)
    async with raw:
        yield Session(raw)
