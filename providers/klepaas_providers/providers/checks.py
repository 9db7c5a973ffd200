"""Whether external servers are set up well, for `klepaas doctor`, and whether they are there, for `/readyz`."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from klepaas.external.declaration import StdioServer
from klepaas.external.externals import Externals
from klepaas.external.guarded import Guarded
from klepaas.external.server_file import ServerFile
from klepaas.hookspecs import Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas.outbound import program_problem
from klepaas.output.safe import limit_length
from klepaas_providers.providers.standing import state_of, tool_warnings

__all__ = ["findings", "health_checks"]

_MOST_WARNINGS = 10


def health_checks(externals: Externals) -> Iterator[HealthCheck]:
    """One check a server; none is required: klepaas serves without them.

    Args:
        externals: The servers.
    """
    for declared in externals.declared:
        yield HealthCheck(f"mcp/{declared.provider.key}", _check_of(externals, declared.provider.name))


def _check_of(externals: Externals, name: str) -> Callable[[], Awaitable[HealthReport]]:
    async def check() -> HealthReport:
        server = externals.server(name)
        if server is None:
            return HealthReport(HealthStatus.UNHEALTHY, "it was left out")
        state = state_of(server)
        if state == "connected":
            closed = len(server.closed)
            if closed:
                return HealthReport(HealthStatus.DEGRADED, f"{closed} tools are closed until a person trusts them")
            return HealthReport(HealthStatus.OK, "connected")
        why = server.provider.problem or server.connection.last_error or server.upstream.snapshot().last_error
        return HealthReport(HealthStatus.UNHEALTHY, f"{state}: {why}" if why else state)

    return check


def findings(host: Host, externals: Externals) -> Iterator[Finding]:
    """What is to be repaired.

    Args:
        host: The klepaas.
        externals: Its servers.
    """
    file = ServerFile.of(host)
    if file.problem:
        yield Finding(Level.ERROR, file.problem, "Correct the file, then start klepaas again")
    if not externals.declared and not file.problem:
        yield Finding(Level.OK, "no external MCP server is configured")
    for server in externals.servers:
        yield from _findings_of(server)


def _findings_of(server: Guarded) -> Iterator[Finding]:
    provider = server.provider
    if provider.problem:
        yield Finding(Level.ERROR, f"{provider.name} cannot be used: {provider.problem}", "Set what is missing")
        return
    transport = provider.transport
    folder = Path(transport.cwd) if isinstance(transport, StdioServer) and transport.cwd else None
    if isinstance(transport, StdioServer) and (problem := program_problem(transport.command[0], folder=folder)):
        text = f"{provider.name} needs the program {problem.name}, which {problem.reason}"
        yield Finding(Level.ERROR, text, problem.next_step)
        return
    yield from _warnings_of(server)
    closed = sorted({offer.definition.name for offer in server.closed})
    if closed:
        named = ", ".join(limit_length(name, 64) for name in closed[:5])
        yield Finding(
            Level.WARNING,
            f"{len(closed)} tools of {provider.name} are closed: {named}",
            f"klepaas providers trust {provider.name}",
        )
        return
    known = "never listed yet" if server.listing is None else f"{len(server.offers)} tools known"
    yield Finding(Level.OK, f"{provider.name}: {known}")


def _warnings_of(server: Guarded) -> Iterator[Finding]:
    """Tools that do not reach every client, or none, and why."""
    for warning in tool_warnings(server)[:_MOST_WARNINGS]:
        yield Finding(
            Level.WARNING,
            f"{server.provider.name}: {warning}",
            "Rename it in its server, or use another client",
        )
