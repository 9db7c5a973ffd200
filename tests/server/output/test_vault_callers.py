"""Who keeps secrets says whether they are renewed: a set one stays, a renewed one must not fill the memory."""

import ast
import base64
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import SecretStr

from klepaas.hookspecs import hookimpl
from klepaas.output.vault import MARK, vault
from klepaas.store import Store
from klepaas.testing import ERAS, Era, app_with, client
from klepaas.tools import Effect, Tool

ROOT = Path(__file__).parents[3]
# What is read once from settings, the environment or a file of the operator's.
SET = {
    "settings.py",
    "proxies.py",
    "engine.py",
    "server_reading.py",
    "externals.py",
    "access.py",
    "promises.py",
}


def _calls(path: Path) -> list[ast.Call]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("vault.keep")]


def test_every_place_that_keeps_a_secret_says_that_it_is_renewed_or_is_known_to_set_it_once() -> None:
    renewed: set[str] = set()
    once: set[str] = set()
    for folder in ("server", "plugins", "providers", "agents"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in _calls(path):
                (renewed if any(word.arg == "renewal_of" for word in call.keywords) else once).add(path.name)
    assert once == SET
    assert {"credentials.py", "app_tokens.py", "login.py", "token_file.py", "carrier.py", "openings.py"} <= renewed


SECRET = "Tr0ub4dor-static"


async def print_it() -> str:
    """What a tool prints by mistake."""
    return f"connecting as admin with {SECRET} and {base64.b64encode(SECRET.encode()).decode()}"


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    yield Tool(print_it, Effect.READ, "Print it", "test")


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_secret_of_the_settings_is_masked_in_an_answer_also_after_thousands_of_renewed_tokens(era: Era) -> None:
    settings = {"database_url": SecretStr(f"postgresql://u:{SECRET}@127.0.0.1:1/db")}
    async with app_with(klepaas_tools, settings=settings) as app, client(app, era) as session:
        await app.host.service(Store, lambda _: Store(Path("/nowhere"), settings["database_url"])).examine()
        for number in range(3000):
            vault.keep(f"renewed-{number:05}-token", renewal_of=f"credential {number % 7}")
        said = await session.call("print_it")
    assert said.text == f"connecting as admin with {MARK} and {MARK}"
