"""A plugin that postpones its annotations, as many authors do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastmcp import Context

from klepaas import names
from klepaas.hookspecs import hookimpl
from klepaas.tools import Effect, Tool

if TYPE_CHECKING:
    from collections.abc import Iterable

Name = Annotated[str, names.OBJECT]


class Reader:
    async def read_later(self, ctx: Context, name: Name, count: int = 1, values: dict[Name, Name] | None = None) -> str:
        """Read with postponed annotations."""
        await ctx.report_progress(1, 1)
        return f"{name} {count} {values}"


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    return [Tool(Reader().read_later, Effect.READ, title="Read", toolset="test")]
