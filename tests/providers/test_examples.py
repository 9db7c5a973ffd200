"""The example of the documentation, github-and-slack, in processes of its own, with both real servers."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import pytest
from tests.served import unconfigured

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .conftest import needs
from .github_api import GitHubApi
from .sides import GITHUB_TOKEN, PROGRAMS, SLACK_TOKEN, Side, sided
from .slack_api import SlackApi

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]
EXAMPLE = Path(__file__).parents[2] / "examples" / "github-and-slack"
TIMING = replace(Timing.instant(), deadline_scale=0.02)


@pytest.fixture
async def sides(tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    needs(*PROGRAMS["github"], *PROGRAMS["slack_go"])
    async with sided("github", tmp_path) as github, sided("slack_go", tmp_path) as slack:
        yield github, slack


@pytest.fixture
async def variables(sides: tuple[Side, Side], tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """A person's environment: both programs on the path, and tokens; its file only leads them to our APIs."""
    named = json.loads((EXAMPLE / "mcp.json").read_text())
    programs = tmp_path / "bin"
    programs.mkdir()
    for side in sides:
        server = named["mcpServers"][side.name]
        assert server["args"] == side.server["args"]
        (programs / server["command"]).symlink_to(side.server["command"])
        server["env"] |= side.server["env"]
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps(named))
    file.chmod(0o600)
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(TIMING))
        path = os.pathsep.join([str(programs), sysconfig.get_path("scripts"), os.environ["PATH"]])
        own = {"KUBECONFIG": str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")), "KLEPAAS_MCP_CONFIG": str(file)}
        own |= {"KLEPAAS_ROLLOUT_MIN_HEALTHY_S": "0"}
        yield unconfigured(tmp_path, PATH=path, GITHUB_TOKEN=GITHUB_TOKEN, SLACK_BOT_TOKEN=SLACK_TOKEN, **own)


async def release(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE / "release.py"), *words]
    return await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=scale_timeout(60), check=False
        ),
        abandon_on_cancel=True,
    )


async def test_a_release_that_fails_is_told_and_becomes_an_issue(
    sides: tuple[Side, Side], variables: dict[str, str]
) -> None:
    github, slack = sides
    assert isinstance(github.api, GitHubApi)
    assert isinstance(slack.api, SlackApi)
    done = await release(variables)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.count("\n> ") + done.stdout.startswith("> ") == 3
    assert "registry.example/shop:1.1-crash failed" in json.dumps(slack.api.messages)
    (issue,) = github.api.issues
    assert issue["title"] == "registry.example/shop:1.1-crash cannot be deployed"
    assert "CrashLoopBackOff" in issue["body"]
    assert GITHUB_TOKEN not in done.stdout + done.stderr
    assert SLACK_TOKEN not in done.stdout + done.stderr


async def test_a_release_that_works_is_told_and_bothers_nobody(
    sides: tuple[Side, Side], variables: dict[str, str]
) -> None:
    github, slack = sides
    assert isinstance(slack.api, SlackApi)
    done = await release(variables, "--image", "registry.example/shop:1.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (github.done, len(slack.api.messages)) == (0, 1)
