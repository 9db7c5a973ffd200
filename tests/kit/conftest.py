"""A plugin of two tools in front of a fake upstream, which each test of the kit may spoil."""

import textwrap
from collections.abc import AsyncIterator, Callable
from types import ModuleType

import pytest

from klepaas.testing import FakeHttp

# Asks an HTTP service as a plugin should: checked texts, quoted path, the pipeline, mapped errors, a kept secret.
GOOD = '''
import logging
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote

import httpx

from klepaas import names
from klepaas.changes import ChangeSet
from klepaas.errors import NotFound, Unauthorized, Unavailable
from klepaas.hookspecs import hookimpl
from klepaas.output import Answer
from klepaas.output.redaction import vault
from klepaas.resilience import Upstreams
from klepaas.tools import Effect, Tool

TOKEN = "tok-5Gq8Lz2x"


@hookimpl
def klepaas_tools(host) -> Iterable[Tool]:
    vault.keep(TOKEN)
    upstream = Upstreams.of(host).get("things")

    async def ask(method: str, path: str, **query: str):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=URL, headers=headers, trust_env=False) as client:
            answer = await upstream.call(
                lambda: client.request(method, path, params=query), safe=method == "GET", what="ask for a thing"
            )
        if answer.status_code == 404:
            raise NotFound("There is no such thing")
        if answer.is_error:
            raise Unavailable(f"The things answered {answer.status_code}")
        return answer

    async def things_get(name: Annotated[str, names.OBJECT], label: Annotated[str, names.TEXT] = "") -> Answer:
        """Get one thing. Use it to see how it is.

        Args:
            name: Which.
            label: Only with this label.
        """
        answer = await ask("GET", f"/things/{quote(name, safe='')}", label=label)
        return Answer(str(answer.json()["state"]))

    async def things_stop(name: Annotated[str, names.OBJECT]) -> str:
        """Stop one thing. It can be started again."""
        await ask("POST", f"/things/{quote(name, safe='')}/stop")
        return "stopped"

    async def plan_stop() -> ChangeSet:
        return ChangeSet.of_action("Stopping a thing", kind="thing", name="thing")

    yield Tool(things_get, Effect.READ, title="Get a thing", toolset="things")
    yield Tool(things_stop, Effect.WRITE, title="Stop a thing", toolset="things", plan=plan_stop)
'''


@pytest.fixture
async def fake() -> AsyncIterator[FakeHttp]:
    async with FakeHttp() as server:
        server.answer("GET", "/things/{name}", {"state": "well"})
        server.answer("POST", "/things/{name}/stop", {})
        yield server


@pytest.fixture
def plugin(fake: FakeHttp) -> Callable[..., ModuleType]:
    """The plugin; each pair of texts given replaces the first by the second in its code."""

    def build(*changes: tuple[str, str]) -> ModuleType:
        code = GOOD
        for old, new in changes:
            assert old in code, old
            code = code.replace(old, new)
        module = ModuleType("klepaas_things.plugin")
        module.__dict__["URL"] = fake.url
        exec(compile(textwrap.dedent(code), "klepaas_things/plugin.py", "exec"), module.__dict__)
        return module

    return build
