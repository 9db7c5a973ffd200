"""What the short commands and the plugins' modules do not import, since every command pays for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout, time_budget

HEAVY = {"fastmcp", "mcp", "kubernetes", "httpx", "uvicorn", "starlette", "prometheus_client", "sqlalchemy"}
ROOT = Path(__file__).parents[3]
MODULES = [
    f"{file.parent.parent.name}.{file.parent.name}.plugin"
    for folder in ("plugins", "providers", "agents")
    for file in sorted((ROOT / folder).glob("*/*/plugin.py"))
]
# The names of the loaded modules go to standard error, away from what the command prints.
REPORT = "import json, sys; sys.stderr.write('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def loaded_after(code: str, environment: dict[str, str]) -> set[str]:
    environment = {name: value for name, value in environment.items() if name != "KLEPAAS_DISABLED_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(30),
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["serve", "--help"], ["plugins"]])
def test_the_short_commands_load_no_server_and_no_client(words: list[str], klepaas_environment: dict[str, str]) -> None:
    loaded = loaded_after(f"from klepaas.cli import run; run({words!r})", klepaas_environment)

    assert "klepaas" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("module", MODULES)
def test_the_module_of_a_plugin_loads_nothing_heavy(module: str, klepaas_environment: dict[str, str]) -> None:
    assert loaded_after(f"import {module}", klepaas_environment) & HEAVY == set()


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_the_short_commands_are_short(words: list[str], klepaas_environment: dict[str, str]) -> None:
    """The processor's time, which other people's work on the same machine does not lengthen."""
    code = f"import sys, time; from klepaas.cli import run; run({words!r}); sys.stderr.write(str(time.process_time()))"
    spent_s = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=klepaas_environment,
            capture_output=True,
            text=True,
            timeout=scale_timeout(30),
            check=True,
        )
        spent_s.append(float(done.stderr.splitlines()[-1]))

    assert min(spent_s) < time_budget(0.5, "something heavy would be imported at the start")


def test_garbage_is_collected_rarely_while_a_server_starts_and_as_usual_afterwards(
    klepaas_environment: dict[str, str],
) -> None:
    code = (
        "import atexit, gc, sys; usual = gc.get_threshold(); from klepaas import __main__, actions\n"
        "served = actions.anyio.run; seen = []\n"
        "actions.anyio.run = lambda *_: seen.append(gc.get_threshold())\n"
        "import klepaas.app; create = klepaas.app.create_app\n"
        "klepaas.app.create_app = lambda *given: (seen.append(gc.get_threshold()), create(*given))[1]\n"
        "atexit.register(lambda: sys.stderr.write(f'{seen[0] > usual} {seen[1] == usual}'))\n"
        "sys.argv[1:] = ['serve']; __main__.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=klepaas_environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(60),
        check=True,
    )
    assert done.stderr.endswith("True True"), done.stderr
