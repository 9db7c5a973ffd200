"""A principal always exists, and nobody else's key is the same."""

import os
import pwd
from typing import Any

import pytest
from fastmcp import Client, Context, FastMCP

from klepaas.principals import LOCAL, Principal, acting, current_principal, principal_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_in_memory_it_is_the_operating_systems_user(era: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    server: FastMCP[Any] = FastMCP("test")
    seen: list[Principal] = []

    @server.tool
    async def look(ctx: Context) -> str:
        seen.append(principal_of(ctx))
        return "seen"

    async with Client(server, mode=era) as client:
        await client.call_tool("look")
    (found,) = seen
    assert (found.name, found.uid, found.transport) == (pwd.getpwuid(os.getuid()).pw_name, os.getuid(), "memory")


def test_outside_of_a_call_it_is_the_process_itself() -> None:
    assert (current_principal().transport, current_principal().uid) == ("process", os.getuid())


def test_it_holds_for_what_is_inside_and_no_longer() -> None:
    alice = Principal("alice", "http")
    with acting(alice):
        assert current_principal() is alice
    assert current_principal() is not alice


def test_whoever_differs_in_anything_has_another_key() -> None:
    principals = [
        Principal("kim", "stdio", 1000),
        Principal("kim", "stdio", 1001),
        Principal("kim", "http", 1000),
        Principal("kim", "stdio", 1000, "IDE"),
        Principal("kim stdio", "", 1000),
        Principal(LOCAL, "http", client='one", null'),
        Principal(LOCAL, "http", client="one"),
        Principal(LOCAL, "http"),
    ]
    assert len({principal.key for principal in principals}) == len(principals)
