"""A plugin whose tools do everything that the gate must withstand; loaded anew for each test, and by subprocesses."""

import asyncio
import enum
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import anyio
from fastmcp import Context

from klepaas import errors, names
from klepaas.changes import ChangeSet
from klepaas.hookspecs import hookimpl
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.tools import Effect, Tool

PASSWORD = "Tr0ub4dor-and-3"

calls: list[str] = []
started = anyio.Event()
ended = anyio.Event()


async def read_it(name: Annotated[str, names.OBJECT] = "web") -> str:
    """Read one thing."""
    calls.append("read_it")
    return f"read {name}"


async def write_it() -> str:
    """Change one thing."""
    calls.append("write_it")
    return "changed"


async def destroy_it() -> str:
    """Destroy one thing."""
    calls.append("destroy_it")
    return "gone"


async def undeclared() -> str:
    """Nobody knows what this does."""
    calls.append("undeclared")
    return "done"


async def fail(code: Annotated[str, names.OBJECT]) -> str:
    """Fail as an upstream does."""
    kinds = {kind.code: kind for kind in errors.KlepaasError.__subclasses__()}
    raise kinds[code](
        "Deployment web is not well", next_step="Read its log", retry_after_s=3.0, details="line 1\nline 2"
    )


async def fail_without_end() -> str:
    """Quote a whole document in an error."""
    raise errors.Unavailable("first\nsecond " + "x" * 5_000_000, details="evidence\n" * 500_000)


async def crash() -> str:
    """Meet a defect that quotes a secret."""
    try:
        raise ValueError(f"connection to db refused for {PASSWORD}")
    except ValueError as exc:
        raise RuntimeError(f"could not start with {PASSWORD}") from exc


async def crash_together() -> str:
    """Meet two defects at once."""
    raise ExceptionGroup("both", [errors.NotFound("There is no web"), RuntimeError(PASSWORD)])


async def fail_together() -> str:
    """Fail in concurrent work."""
    async with anyio.create_task_group() as group:
        group.start_soon(_not_found)
        group.start_soon(anyio.sleep, 30)
    return "never"


async def _not_found() -> None:
    raise errors.NotFound("There is no web")


async def leave_the_process() -> str:
    """Try to stop the server."""
    raise SystemExit(3)


async def miss_a_limit() -> str:
    """Let a time limit of its own pass."""
    with anyio.fail_after(0.01):
        await anyio.sleep(30)
    return "never"


class Colour(enum.Enum):
    RED = "red"


async def pick(
    count: int,
    name: Annotated[str, names.OBJECT],
    how: Literal["fast", "slow"] = "fast",
    colour: Colour = Colour.RED,
    settings: Annotated[
        dict[Annotated[str, names.ENVIRONMENT_VARIABLE], Annotated[str, names.COUNTED_TEXT]] | None, "Values"
    ] = None,
    ports: list[int] | None = None,
) -> str:
    """Take arguments of every kind."""
    calls.append("pick")
    return f"{count} {name} {how} {colour.value} {settings} {ports}"


async def hang() -> str:
    """Never come back."""
    calls.append("hang")
    await anyio.sleep(60)
    return "never"


async def wait() -> str:
    """Wait until the client has had enough."""
    started.set()
    try:
        await anyio.sleep(60)
    except asyncio.CancelledError:
        ended.set()
        raise
    return "never"


async def shout() -> str:
    """Print to standard output, which is the protocol's."""
    print("printed by a tool")
    return "whispered"


async def talk(ctx: Context, steps: int = 3) -> str:
    """Report progress."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    return "told"


async def long(lines: int = 1_000_000) -> str:
    """Answer with far too much."""
    return "ten bytes\n" * lines


async def long_line() -> str:
    """Answer with far too much in one line."""
    return "x" * 10_000_000


async def nothing() -> str:
    """Answer with no text."""
    return ""


async def answer_strangely(how: Literal["none", "dict", "image", "bytes", "object"]) -> Any:
    """Answer with what is no answer."""
    from fastmcp.utilities.types import Image

    strange: dict[str, Any] = {
        "none": None,
        "dict": {"password": PASSWORD},
        "image": Image(data=b"GIF"),
        "bytes": b"\xff",
        "object": Answer(b"text"),  # type: ignore[arg-type]
    }
    return strange[how]


async def count() -> str:
    """Take a moment."""
    calls.append("count")
    await anyio.sleep(0.05)
    return str(len(calls))


_READS = (
    read_it,
    fail,
    fail_without_end,
    crash,
    crash_together,
    fail_together,
    leave_the_process,
    miss_a_limit,
    pick,
    wait,
    shout,
    talk,
    long,
    long_line,
    nothing,
    answer_strangely,
    count,
)


async def plan_thing() -> ChangeSet:
    return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    def tools() -> Iterator[Tool]:
        for function in _READS:
            yield Tool(function, Effect.READ, title=function.__name__, toolset="gate")
        yield Tool(hang, Effect.READ, title="Hang", toolset="gate", timeout_s=0.3)
        yield Tool(write_it, Effect.WRITE, title="Write", toolset="gate", plan=plan_thing)
        yield Tool(destroy_it, Effect.DESTRUCTIVE, title="Destroy", toolset="gate")
        yield Tool(undeclared, None, title="Undeclared", toolset="gate")

    return tools()
