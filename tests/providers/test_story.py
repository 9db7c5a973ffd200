"""What it is all for: deploy, tell the channel, ask for help, in one session, with both real servers on a sandbox."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from klepaas.testing import ERAS, Era, HalfOpen, Session, client, failing, scale_timeout
from klepaas_agents.cluster import plugin as cluster
from klepaas_plugins.deployments import plugin as deployments
from klepaas_plugins.kubernetes import plugin as kubernetes
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .conftest import Serve, needs, up
from .github_api import GitHubApi
from .sides import CREDENTIALS, PROGRAMS, SHOP, Side, sided
from .slack_api import SlackApi

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]
OURS = (kubernetes, deployments, cluster)
GOOD, CRASHING = "registry.example/shop:1.0", "registry.example/shop:1.1-crash"
WAIT_MAX_S = scale_timeout(1)
TIMING = replace(Timing.instant(), deadline_scale=0.02)


@pytest.fixture(params=["slack_go", "slack_npm"])
def slack_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def both(slack_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Side, Side]]:
    """GitHub's server, and one of Slack's."""
    async with AsyncExitStack() as stack:
        sides = []
        for kind in ("github", slack_kind):
            needs(*PROGRAMS[kind])
            for name, value in CREDENTIALS[kind].items():
                monkeypatch.setenv(name, value)
            sides.append(await stack.enter_async_context(sided(kind, tmp_path)))
        sandbox = await stack.enter_async_context(Sandbox(TIMING))
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        yield sides[0], sides[1]


def said_in(slack: Side) -> list[str]:
    assert isinstance(slack.api, SlackApi)
    return [f"{one['channel']} {one.get('text', '')}{one.get('blocks', '')}" for one in slack.api.messages]


@pytest.mark.parametrize("era", ERAS)
async def test_three_calls_deploy_tell_and_ask_for_help(era: Era, both: tuple[Side, Side], serve: Serve) -> None:
    github, slack = both
    assert isinstance(github.api, GitHubApi)
    async with serve(*both, plugins=OURS) as app, client(app, era) as session:
        await up(app, "github", "slack")
        first = await session.call("deploy_application", app_name="shop", image=GOOD, port=8080, wait_s=30)
        assert not first.is_error, first.text
        deployed = await session.call("deploy_application", app_name="shop", image=CRASHING, wait_s=30)
        assert deployed.is_error
        channel = "#deployments" if slack.kind == "slack_go" else "C0DEPLOY01"
        told = await session.call("slack_post_message", channel_id=channel, text="shop 1.1 failed")
        assert not told.is_error, told.text
        asked = await session.call(
            "github_create_issue", **SHOP, title="shop 1.1 cannot be deployed", body=deployed.text
        )
        assert not asked.is_error, asked.text
    (message,) = said_in(slack)
    assert message.startswith("C0DEPLOY01")
    assert "shop 1.1 failed" in message
    (issue,) = github.api.issues
    # Between two restarts the kubelet says "Error", while it waits "CrashLoopBackOff".
    assert "exit code 1" in issue["body"]


@pytest.mark.parametrize("slack_kind", ["slack_go"])
async def test_what_is_down_slows_nothing_else(both: tuple[Side, Side], serve: Serve) -> None:
    github, slack = both
    async with serve(*both, plugins=OURS) as app, client(app) as session:
        await up(app, "github", "slack")
        before = await _took(session)
        github.api.fault, slack.api.fault = failing(503), HalfOpen()
        assert (await github.read(session)).is_error
        assert (await slack.read(session)).is_error
        after = await _took(session)
        # Whoever waited for one of them would wait for its time limit, which is several seconds.
        assert after["get_overview"] < 2 * before["get_overview"] + WAIT_MAX_S
        assert after["tools/list"] < 2 * before["tools/list"] + WAIT_MAX_S
        github.api.fault = slack.api.fault = None


async def _took(session: Session) -> dict[str, float]:
    """The shortest of several times, in seconds: what the machine does beside is not of interest."""
    took: dict[str, list[float]] = {"get_overview": [], "tools/list": []}
    for _ in range(15):
        started = time.perf_counter()
        await session.tools()
        listed = time.perf_counter()
        await session.call("get_overview")
        took["tools/list"].append(listed - started)
        took["get_overview"].append(time.perf_counter() - listed)
    return {name: min(times) for name, times in took.items()}
