"""A watch that goes on: over the server's own time limits, dropped connections and short outages.

Each opening goes through the pipeline and has its retries. While the pipeline asks nobody (an open breaker, a rate
limit), the watch pauses for as long as that says; it gives up when the cluster stays away.

It starts after a version that the caller has listed, and goes on from the last version it saw, so that no change is
missed and none is told twice. When the server no longer keeps that version, it raises `Expired`: list again.

Source: Kubernetes API concepts, "Efficient detection of changes", "Watch bookmarks".
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from klepaas.errors import CircuitOpen, KlepaasError, RateLimited, TimedOut, Unavailable
from klepaas.foreign_json import parse_json
from klepaas_plugins.kubernetes.client.models import WatchEvent
from klepaas_plugins.kubernetes.client.requests import Request
from klepaas_plugins.kubernetes.errors import error_for

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.transport import Transport

__all__ = ["events"]

# The server ends a watch after this long; a silence longer than that is a dead connection.
SERVER_TIMEOUT_S = 240
SILENCE_S = SERVER_TIMEOUT_S + 15
LINE_MAX_BYTES = 8 * 1024 * 1024
# Attempts to take a watch up again without one event in between, and the pauses before them.
PAUSES_S = (0.1, 0.5, 2.0, 5.0)
# A server that ends a watch at once, without an event, would otherwise be asked in a tight loop.
SHORTEST_TURN_S = 1.0


async def events(transport: "Transport", request: Request, resource_version: str) -> AsyncGenerator[WatchEvent, None]:
    """The changes after a version, for as long as the caller asks for the next one.

    Args:
        transport: How to ask the server.
        request: The list request whose collection is watched.
        resource_version: The version that the caller has already seen.

    Raises:
        Expired: The server no longer keeps that version.
        Unavailable: The server cannot be reached again.
        CircuitOpen: The same, and nobody asks it for now.
        KlepaasError: The server refuses the watch.
    """
    seen, failures = resource_version, 0
    while True:
        started_at, before = anyio.current_time(), seen
        try:
            async with aclosing(_one_stream(transport, request, seen)) as stream:
                async for kind, found in stream:
                    seen = _version(found) or seen
                    failures = 0
                    if kind != "BOOKMARK":
                        yield WatchEvent(kind, found)
        except RateLimited as exc:
            await anyio.sleep(_pause_s(exc, SHORTEST_TURN_S))
        except (Unavailable, TimedOut, CircuitOpen) as exc:
            if failures >= len(PAUSES_S):
                raise
            await anyio.sleep(_pause_s(exc, PAUSES_S[failures]))
            failures += 1
        else:
            if seen == before:
                await anyio.sleep(max(0.0, SHORTEST_TURN_S - (anyio.current_time() - started_at)))


def _pause_s(error: KlepaasError, least_s: float) -> float:
    return max(least_s, error.retry_after_s or 0.0)


async def _one_stream(
    transport: "Transport", request: Request, resource_version: str
) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
    query = {
        **(request.query or {}),
        "watch": "1",
        "resourceVersion": resource_version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": SERVER_TIMEOUT_S,
    }
    async with (
        transport.stream(replace(request, query=query), limit_s=None, read_s=SILENCE_S) as chunks,
        aclosing(_lines(chunks, request)) as lines,
    ):
        async for line in lines:
            event = _event(line, request)
            if event[0] == "ERROR":
                raise error_for(request.act, int(event[1].get("code") or 500), json.dumps(event[1]).encode())
            yield event


async def _lines(chunks: AsyncIterator[bytes], request: Request) -> AsyncGenerator[bytes, None]:
    """Lines by line feed alone: JSON may hold the other characters that Python takes for line ends."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > LINE_MAX_BYTES:
            raise Unavailable(request.act.cannot("an event is too large"))


def _event(line: bytes, request: Request) -> tuple[str, Mapping[str, Any]]:
    try:
        document = parse_json(line)
        found = document["object"]
        return str(document["type"]), found if isinstance(found, dict) else {}
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable(request.act.cannot("an event is not JSON")) from exc


def _version(found: Mapping[str, Any]) -> str | None:
    return (found.get("metadata") or {}).get("resourceVersion")
