"""A principal always exists, and nobody else's key is the same."""

import os
import pwd
import socket
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client, Context, FastMCP

from klepaas import principals
from klepaas.portability import machines
from klepaas.principals import LOCAL, Principal, acting, current_principal, owners_of, principal_of

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
        Principal("kim", "stdio", 1000, realm="one"),
        Principal("kim", "stdio", 1000, realm="two"),
        Principal(LOCAL, "http", realm="one"),
    ]
    assert len({principal.key for principal in principals}) == len(principals)


SOMEBODY = [Principal("root", "stdio", 0), Principal("kim", "stdio"), Principal(LOCAL, "http")]


@pytest.mark.parametrize("who", SOMEBODY, ids=lambda who: who.name)
def test_the_owner_names_the_machine_so_two_users_of_one_name_on_two_machines_are_two(who: Principal) -> None:
    first, second = (replace(who, realm=machine) for machine in ("machine-a", "machine-b"))
    assert first.owner != second.owner
    assert first.owner == replace(first, client="another").owner


@pytest.mark.parametrize("who", SOMEBODY, ids=lambda who: who.name)
def test_what_an_earlier_klepaas_wrote_without_a_machine_is_still_theirs(who: Principal) -> None:
    here = replace(who, realm="machine-a")
    assert owners_of(here.owner) == (here.owner, who.owner)
    assert owners_of(who.owner) == (who.owner,)


def test_everybody_who_calls_has_this_machine_as_realm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_principal().realm == machines.machine_id()
    monkeypatch.setattr(principals, "machine_id", lambda: "another")
    assert current_principal().realm == "another"


@pytest.mark.parametrize(
    ("files", "is_container", "same_by_another_name"),
    [({"/etc/machine-id": "4f1c\n"}, False, True), ({"/etc/machine-id": "4f1c\n"}, True, False), ({}, False, False)],
)
def test_a_machine_is_known_by_its_own_number_and_a_container_by_its_name_too(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], is_container: bool, same_by_another_name: bool
) -> None:
    found = []
    monkeypatch.setattr(machines, "_system_id", lambda: next(iter(files.values()), "").strip())
    monkeypatch.setattr(machines, "_is_container", lambda: is_container)
    for name in ("here", "there"):
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        found.append(machines.machine_id.__wrapped__())
    assert (found[0] == found[1]) is same_by_another_name
    assert all(len(text) == 16 and "4f1c" not in text for text in found)
