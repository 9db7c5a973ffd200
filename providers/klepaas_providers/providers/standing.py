"""How an external server is, in words and as data: the one account that tools, checks and commands give of it."""

from collections.abc import Sequence

from klepaas.external.client_limits import client_limits
from klepaas.external.connection import ConnectionState
from klepaas.external.guarded import Guarded
from klepaas.output.safe import limit_length
from klepaas.resilience import State

__all__ = ["COLUMNS", "lines_of", "row_of", "state_of", "tool_warnings"]

COLUMNS = ("NAME", "KIND", "STATE", "TOOLS", "LISTED", "CLOSED", "LIST AGE")
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))


def state_of(server: Guarded) -> str:
    """One word: connected, starting, down, broken off (its breaker), unusable, or stopped."""
    if server.provider.problem is not None:
        return "unusable"
    if server.connection.state is ConnectionState.CONNECTED and server.upstream.snapshot().state is State.OPEN:
        return "circuit_open"
    return server.connection.state.value


def row_of(server: Guarded) -> Sequence[str]:
    """A server in the table of all."""
    offers = list(server.offers.values())
    listed, closed = sum(offer.listed for offer in offers), len(server.closed)
    counts = [str(number) for number in (len(offers), listed, closed)]
    return (server.provider.name, server.provider.kind, state_of(server), *counts, age(server.list_age_s))


def lines_of(server: Guarded) -> list[str]:
    """All that there is to say of a server; the server's own texts among it leave through the gate's cleaning."""
    connection, upstream = server.connection, server.upstream.snapshot()
    lines = [f"{server.provider.name} ({server.provider.kind}): {state_of(server)}"]
    if server.provider.problem:
        lines.append(f"  problem: {server.provider.problem}")
    if server.is_up:
        said = f", it calls itself {server.listing.server}" if server.listing and server.listing.server else ""
        lines.append(f"  speaks MCP {connection.protocol}{said}")
    lines.append(f"  tools: {_tools(server)}")
    lines.append(f"  breaker: {upstream.state.value}, {upstream.failures} failures in a row")
    for what, error in (("connection", connection.last_error), ("call", upstream.last_error)):
        if error:
            lines.append(f"  last error of a {what}: {error}")
    for what, wait_s in (
        ("next start", connection.retry_in_s),
        ("next try of a call", upstream.retry_in_s),
        ("rate limit ends", upstream.rate_limited_for_s),
    ):
        if wait_s is not None:
            lines.append(f"  {what}: in {max(1, round(wait_s))} s")
    if connection.restarts:
        lines.append(f"  sessions lost: {connection.restarts}")
    for name in sorted({limit_length(offer.definition.name, 64) for offer in server.closed}):
        lines.append(f"  closed until `klepaas providers trust {server.provider.name} {name}`: {name}")
    return lines + [f"  note: {note}" for note in server.notes[:5]]


def tool_warnings(server: Guarded) -> list[str]:
    """The tools of a server that klepaas left out, and those that some clients would drop, each in one sentence."""
    limits = [line for offer in server.offers.values() for line in client_limits(offer)]
    return [*server.notes, *limits]


def _tools(server: Guarded) -> str:
    if server.listing is None:
        return "not known yet"
    number, of = len(server.offers), age(server.list_age_s)
    whence = "listed" if server.lists_taken and server.is_up else "as last listed,"
    return f"{number}, {whence} {of} ago"


def age(seconds: float | None) -> str:
    """A time that has passed, in its largest unit."""
    if seconds is None:
        return "-"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
