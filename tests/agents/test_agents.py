"""Deployments are carried out by agents, which plugins add; the cluster agent takes what has an image."""

import ast
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

import klepaas_agents
from klepaas.agents import Agents, DeploymentRequest
from klepaas.app import App, create_app
from klepaas.notifications import Notification, Notifications, NotificationSink
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio

STRANGER = """\
from klepaas.agents import DeploymentAgent
from klepaas.errors import Conflict
from klepaas.hookspecs import hookimpl
from klepaas.operations import Outcome, State
from klepaas.output import Answer

class Agent(DeploymentAgent):
    name = "NAME"

    def accepts(self, request):
        ACCEPTS

    async def preview(self, request):
        return Answer("NAME would deploy " + request.app_name)

    async def deploy(self, request, run):
        await run.report(1, 1, "NAME deploys")
        if request.app_name == "bad":
            raise Conflict("NAME cannot deploy it")
        return Outcome(State.SUCCEEDED, "NAME deployed " + request.app_name, {"state": "healthy"})

@hookimpl
def klepaas_deployment_agents(host):
    return [Agent()]
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., App]:
    """Puts a klepaas together with strangers' agents, each with the body of its `accepts`."""
    monkeypatch.syspath_prepend(tmp_path)

    def put_together(disabled: tuple[str, ...] = (), **agents: str) -> App:
        for name, accepts in agents.items():
            info = tmp_path / f"{name}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[klepaas]\n{name} = {name}_agent\n")
            code = STRANGER.replace("NAME", name.partition("_")[2] or name).replace("ACCEPTS", accepts)
            (tmp_path / f"{name}_agent.py").write_text(code)
        settings = Settings(mode=Mode.WRITES, state_dir=tmp_path / "state", disabled_plugins=disabled)
        return create_app(settings, Plugins(settings))

    return put_together


async def _deploy(app: App, **arguments: Any) -> Any:
    async with Client(app.server) as client:
        wanted = {"app_name": "web", "image": "example/web:1", "wait_s": 45, **arguments}
        return await client.call_tool("deploy_application", wanted, raise_on_error=False)


async def test_the_cluster_agent_is_there_and_takes_what_has_an_image(build: Callable[..., App]) -> None:
    agents = Agents.of(build().host)
    assert [agent.name for agent in agents.all] == ["cluster"]
    assert agents.choose(DeploymentRequest("web", "example/web:1")).name == "cluster"


async def test_without_an_agent_a_deployment_is_refused_with_one_clear_line(build: Callable[..., App]) -> None:
    result = await _deploy(build(disabled=("cluster",)))
    assert (result.meta or {})["code"] == "unavailable"
    text = result.content[0].text
    assert "no deployment agent is active" in text
    assert "\n" not in text


async def test_a_request_that_no_agent_accepts_is_refused_with_the_agents_there_are(build: Callable[..., App]) -> None:
    result = await _deploy(build(disabled=("cluster",), picky="return False"))
    assert (result.meta or {})["code"] == "bad_request"
    assert "there is picky" in result.content[0].text


async def test_a_strangers_agent_carries_out_what_it_accepts(build: Callable[..., App], tmp_path: Path) -> None:
    app = build(disabled=("cluster",), cloud="return request.context == 'cloud'")
    told: list[Notification] = []

    async def hear(notification: Notification) -> None:
        told.append(notification)

    Notifications.of(app.host).sinks = [NotificationSink("test", hear)]
    done = await _deploy(app, context="cloud")
    assert done.content[0].text.splitlines()[0] == "cloud deployed web"
    assert done.content[0].text.splitlines()[1:] == [f"Operation: {done.meta['operation_id']}"]
    assert [(item.kind, item.title) for item in told] == [("deployment_succeeded", "cloud deployed web")]
    assert '"context": "cloud"' in (tmp_path / "state" / "audit.jsonl").read_text()


async def test_an_agent_that_fails_when_asked_does_not_keep_the_others_from_deploying(
    build: Callable[..., App], caplog: pytest.LogCaptureFixture
) -> None:
    app = build(disabled=("cluster",), aaa="raise RuntimeError('no')", bbb="return True")
    said = (await _deploy(app, dry_run=True)).content[0].text
    assert "! what the agent bbb changes is known by its own words only\nbbb would deploy web" in said
    assert "the deployment agent aaa failed when it was asked: RuntimeError" in caplog.text


async def test_a_name_has_one_owner_and_the_built_in_one_keeps_it(build: Callable[..., App]) -> None:
    app = build(other_cluster="return True")
    thief = next(plugin for plugin in app.plugins.all if plugin.name == "other_cluster")
    assert "its deployment agent 'cluster' is already offered by cluster (klepaas" in (thief.reason or "")
    assert [type(agent).__module__ for agent in Agents.of(app.host).all] == ["klepaas_agents.cluster.agent"]


async def test_the_end_of_deployments_and_rollbacks_is_told(
    build: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []

    async def hear(notification: Notification) -> None:
        told.append((notification.kind, notification.title))

    async with Sandbox(Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        app = build()
        Notifications.of(app.host).sinks = [NotificationSink("test", hear)]
        async with Client(app.server) as client:
            call: Callable[..., Awaitable[Any]] = client.call_tool
            for image in ("example/web:1", "example/web:2", "example/web:crash"):
                await call("deploy_application", {"app_name": "web", "image": image}, raise_on_error=False)
            await call("rollback_deployment", {"app_name": "web"}, raise_on_error=False)
            await call("deploy_application", {"app_name": "web", "image": "a b"}, raise_on_error=False)
    assert [kind for kind, _ in told] == [
        "deployment_succeeded",
        "deployment_succeeded",
        "deployment_failed",
        "deployment_rolled_back",
    ]
    assert "web in default" in told[2][1]


def test_an_agent_knows_a_plugin_only_by_its_public_client() -> None:
    folder = Path(next(iter(klepaas_agents.__path__)))
    for file in folder.rglob("*.py"):
        for module in _imported(ast.parse(file.read_text())):
            if module.startswith(("klepaas_plugins", "klepaas_providers")):
                assert module.split(".")[2:3] == ["client"], f"{file} imports {module}"


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
