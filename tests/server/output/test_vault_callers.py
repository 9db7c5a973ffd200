"""Who keeps secrets says whether they are renewed: a set one stays, a renewed one must not fill the memory."""

import ast
from pathlib import Path

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
