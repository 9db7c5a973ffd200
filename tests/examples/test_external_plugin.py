"""The plugin in a distribution of its own: installed, tested, listed and called. Its types: `make types`."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from klepaas.testing import FakeHttp, scale_timeout

from .conftest import Environment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

Example = Callable[[str], Path]


def _run(environment: Environment, folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=environment.variables | variables,
        capture_output=True,
        text=True,
        timeout=scale_timeout(62.5),
        check=False,
    )


async def test_it_is_installed_checked_and_called(environment: Environment, example: Example, tmp_path: Path) -> None:
    folder = tmp_path / "external-plugin"
    shutil.copytree(example("external-plugin"), folder)  # building leaves nothing behind in the sources

    def run(*words: str, **variables: str) -> str:
        result = _run(environment, folder, *words, **variables)
        assert result.returncode == 0, f"{words}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
        return result.stdout

    run(environment.python, "-m", "pip", "install", "--quiet", "--no-deps", ".")
    shutil.move(folder / "klepaas_onduty", tmp_path / "sources")  # from here on only what was installed counts
    assert "26 passed" in run(environment.python, "-m", "pytest", "-q")
    (plugin,) = [
        item for item in json.loads(run("klepaas", "plugins", "list", "--json"))["plugins"] if not item["built_in"]
    ]
    assert (plugin["name"], plugin["state"], plugin["distribution"]) == ("onduty", "active", "klepaas-onduty")
    async with FakeHttp() as roster:
        roster.answer("GET", "/teams/web", {"person": "kim"})
        # The server that answers lives in this process, so the command must not keep it from answering.
        said = await _in_a_thread(
            run, "klepaas", "call", "onduty_who", '{"team": "web"}', KLEPAAS_ONDUTY_URL=roster.url
        )
    assert said == "kim is on duty in web\n"


async def _in_a_thread(run: Callable[..., str], *words: str, **variables: str) -> str:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(lambda: run(*words, **variables))
