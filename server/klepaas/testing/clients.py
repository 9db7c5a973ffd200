"""Clients of both protocols, in memory: the handshake of 2025-11-25, and 2026-07-28, which has none.

What a server answers must not depend on the protocol, so tests of tools, resources and prompts are run once with each
of `ERAS`.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import mcp_types as mt
from fastmcp import Client
from mcp import MCPError

from klepaas.app import App

__all__ = ["ERAS", "Era", "Said", "Session", "client"]

Era = Literal["2025-11-25", "2026-07-28"]
ERAS: tuple[Era, ...] = get_args(Era)
_MODE_OF: Mapping[Era, Any] = {"2025-11-25": "legacy", "2026-07-28": "auto"}
# No test waits for longer than this for one answer.
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Said:
    """What was answered.

    Attributes:
        text: What the model reads.
        is_error: Whether it failed.
        facts: The structured part; empty where there is none.
        progress: What was said while it ran.
    """

    text: str
    is_error: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    progress: tuple[str, ...] = ()

    @property
    def code(self) -> str | None:
        """The error's code, for example "not_found". None: it is no error of klepaas."""
        error = self.facts.get("error")
        return str(error["code"]) if self.is_error and isinstance(error, Mapping) else None


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
        return Said(text, result.is_error, result.structured_content or {}, tuple(said))

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
    return Said(exc.message, is_error=True, facts=exc.data if isinstance(exc.data, dict) else {})


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
