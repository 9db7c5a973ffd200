"""Every hook has a page with its exact signature and an example, and a test here that runs the example."""

import argparse
import dataclasses
import inspect
import logging
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from klepaas import testing
from klepaas.agents import Agents, DeploymentAgent, DeploymentRequest
from klepaas.changes import ChangeSet
from klepaas.configuration.registry import sections
from klepaas.doctor import examine
from klepaas.evidence import AlertEvidence, AlertSubject
from klepaas.external import StdioServer
from klepaas.hookspecs import Command, Hooks, Level, hookimpl
from klepaas.http.application import HttpApp
from klepaas.notifications import Notification, Notifications
from klepaas.operations import Kind, Operations
from klepaas.principals import current_principal
from klepaas.testing import ERAS, Era, app_with, assert_declared_well, client, scale_timeout
from klepaas.tools import Effect, Tool

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs"
HOOKS = {name: function for name, function in vars(Hooks).items() if name.startswith("klepaas_")}
SECTIONS = ["When it is called", "Arguments", "Result", "Errors", "Example"]
WRITES = {"mode": "writes"}

each_hook = pytest.mark.parametrize("hook", HOOKS)


def page_of(hook: str) -> str:
    path = DOCS / "plugins" / f"{hook}.md"
    assert path.is_file(), f"the hook {hook} has no page docs/plugins/{hook}.md"
    return path.read_text()


def signature_of(hook: str) -> str:
    signature = inspect.signature(HOOKS[hook])
    parameters = list(signature.parameters.values())[1:]
    text = f"def {hook}{signature.replace(parameters=parameters)}"
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text)


def code_in(hook: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page_of(hook), re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The plugin that the page of a test's hook shows: `test_hook_tools` gets that of klepaas_tools."""
    hook = request.node.function.__name__.replace("test_hook_", "klepaas_")
    module = ModuleType(f"example_of_{hook}")
    sys.modules[module.__name__] = module
    exec(compile(code_in(hook)[1], f"docs/plugins/{hook}.md", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


@each_hook
def test_its_page_shows_the_signature_that_the_code_has(hook: str) -> None:
    assert code_in(hook)[0].strip() == signature_of(hook)
    assert page_of(hook).startswith(f"# {hook}\n")


@each_hook
def test_its_page_says_everything(hook: str) -> None:
    page = page_of(hook)
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    for parameter in list(inspect.signature(HOOKS[hook]).parameters)[1:]:
        assert f"| `{parameter}` |" in page
    for name in _parts_of_its_result(HOOKS[hook]):
        assert re.search(rf"^\| `{name}[`(]", page, re.MULTILINE), f"{name} is not described"


@each_hook
def test_the_index_leads_to_its_page(hook: str) -> None:
    assert f"(plugins/{hook}.md)" in (DOCS / "plugins.md").read_text()


@each_hook
def test_it_has_a_test_of_its_own(hook: str) -> None:
    assert hook.replace("klepaas_", "test_hook_") in globals()


@each_hook
def test_its_docstring_says_what_and_when(hook: str) -> None:
    assert len(inspect.getdoc(HOOKS[hook]) or "") > 20


def test_no_page_is_left_of_a_hook_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "plugins").glob("klepaas_*.md")} == set(HOOKS)


def _parts_of_its_result(function: Callable[..., Any]) -> list[str]:
    hint = typing.get_type_hints(function)["return"]
    kinds = [kind for kind in typing.get_args(hint) if inspect.isclass(kind)]
    for kind in kinds:
        if dataclasses.is_dataclass(kind):
            return [field.name for field in dataclasses.fields(kind) if field.init]
        if kind is DeploymentAgent:
            return sorted(DeploymentAgent.__abstractmethods__)
    return []


@pytest.mark.parametrize("era", ERAS)
async def test_hook_tools(example: ModuleType, era: Era) -> None:
    async with app_with(example, settings=WRITES) as app, client(app, era) as session:
        assert_declared_well(app)
        assert (await session.call("desk_of", person="kim")).text == "kim sits at 3f-12"
        assert (await session.call("desk_of", person="choi")).code == "not_found"
        said = await session.call("desk_assign", desk="3f-12", person="choi", dry_run=True)
        assert "change desk/3f-12\n  owner: kim -> choi" in said.text
        assert (await session.call("desk_of", person="kim")).is_error is False
        assert (await session.call("desk_assign", desk="3f-12", person="choi")).text == "3f-12 is choi's now"


@pytest.mark.parametrize("era", ERAS)
async def test_hook_resources(example: ModuleType, era: Era) -> None:
    async with app_with(example) as app, client(app, era) as session:
        assert (await session.read("klepaas://desks/3f/12")).text == "kim"
        assert (await session.read("klepaas://desks/3f/99")).code == "not_found"
        assert (await session.read("klepaas://desks/3f/..%2F12")).code == "bad_request"
        assert await session.suggestions("klepaas://desks/{floor}/{desk}", "floor") == ["3f", "4f"]
        assert await session.suggestions("klepaas://desks/{floor}/{desk}", "desk", "1", floor="3f") == ["12", "13"]


@pytest.mark.parametrize("era", ERAS)
async def test_hook_prompts(example: ModuleType, era: Era) -> None:
    async with app_with(example) as app, client(app, era) as session:
        assert [prompt.name for prompt in await session.raw.list_prompts()] == ["welcome"]
        assert "free desk for choi" in (await session.prompt("welcome", person="choi")).text
        assert "choi 님의 빈자리" in (await session.prompt("welcome", person="choi", language="ko")).text
        assert (await session.prompt("welcome", person="../choi")).code == "bad_request"


async def test_hook_health_checks(example: ModuleType) -> None:
    async with app_with(example) as app:
        (found,) = [result for result in await examine(app.plugins, app.host) if "state folder" in result.check]
    assert found.finding.summary == "ok: the state folder is there"


@pytest.mark.parametrize(("proxy", "level"), [("", Level.OK), ("http://proxy.example", Level.WARNING)])
async def test_hook_doctor_checks(
    example: ModuleType, proxy: str, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with app_with(example) as app:
        (found,) = [result for result in await examine(app.plugins, app.host) if result.check == "proxy"]
    assert found.finding.level is level


async def test_hook_commands(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    async with app_with(example) as app:
        (command,) = [found.item for found in app.plugins.contributions("klepaas_commands", Command)]
    parser = argparse.ArgumentParser()
    assert command.configure is not None
    command.configure(parser)
    assert command.run(parser.parse_args(["Kim"])) == 0
    assert capsys.readouterr().out == "Hello, Kim.\n"


async def test_hook_settings(example: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[weather]\ndays = 7\n")
    monkeypatch.setenv("KLEPAAS_CONFIG", str(file))
    async with app_with(example) as app:
        found = [section for section in sections(app.plugins) if section.plugin == example.__name__.replace("_", "-")]
    (settings,) = (section.kind() for section in found)
    assert settings == example.WeatherSettings(days=7)
    assert list(settings.concerns()) == ["KLEPAAS_WEATHER_DAYS is over 5, which needs KLEPAAS_WEATHER_TOKEN"]


async def plan_thing() -> ChangeSet:
    return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    """A change for the audit to record."""

    async def thing_change() -> str:
        """Change the thing, whatever it is."""
        return "changed"

    yield Tool(thing_change, Effect.WRITE, title="Change", toolset="test", plan=plan_thing)


async def test_hook_audit_sinks(example: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    async with app_with(example, klepaas_tools, settings=WRITES) as app, client(app) as session:
        await session.call("thing_change")
    told = [record.getMessage() for record in caplog.records if record.name == "audit"]
    assert ['"event": "intent"' in told[0], '"outcome": "ok"' in told[1]] == [True, True]


async def test_hook_operation_kinds(example: ModuleType) -> None:
    wanted = {"title": "Momo", "author": "Ende"}
    async with app_with(example, settings=WRITES) as app, client(app):
        operations = Operations.of(app.host)
        asked = await operations.submit(
            "put_book", target="shelf", title="Putting Momo", request=wanted, principal=current_principal()
        )
        ended = await operations.wait(asked.id, scale_timeout(20))
    assert ended.outcome is not None
    assert ended.outcome.text == "Momo stands at place 1"


async def test_hook_notification_sinks(example: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    async with app_with(example) as app, client(app):
        for kind in ("deployment_succeeded", "deployment_failed"):
            Notifications.of(app.host).send(Notification(kind, f"{kind} of web"))
    told = [record.getMessage() for record in caplog.records if record.name == "pager"]
    assert told == ["wake somebody up: deployment_failed of web"]


async def test_hook_deployment_agents(example: ModuleType) -> None:
    request = DeploymentRequest("web", image="registry.example/web:1.0", context="exercise")
    said: list[str] = []

    async def report(done: float, of: float, line: str) -> None:
        said.append(line)

    async with app_with(example) as app:
        agent = Agents.of(app.host).choose(request)
        assert (await agent.preview(request)).text == "web: None -> registry.example/web:1.0"
    async with app_with(example, settings={"mode": "writes"}) as app, client(app):
        agent = Agents.of(app.host).choose(request)
        operations = Operations.of(app.host)
        operations.kinds["paper"] = Kind("paper", lambda run: agent.deploy(request, run))
        about: dict[str, Any] = {"target": await agent.place(request), "title": "Deploying web", "request": {}}
        begun = await operations.submit("paper", principal=current_principal(), **about)
        ended = await operations.wait(begun.id, 10, report)
    assert ended.outcome is not None
    assert ended.outcome.text == "web runs registry.example/web:1.0, on paper"
    assert (agent.name, said[-1:], about["target"]) == ("paper", ["written down"], "paper:exercise/-/web")


async def test_hook_http_routes(example: ModuleType) -> None:
    async with app_with(example) as app:
        web = HttpApp(app)
        transport = httpx.ASGITransport(web)
        async with web.running(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            token = {"Authorization": f"Bearer {example.TOKEN.get_secret_value()}"}
            rang = await http.post("/hooks/doorbell", json={"door": "front"}, headers=token)
            nobody = await http.post("/hooks/doorbell", json={"door": "front"})
            nowhere = await http.post("/hooks/doorbell", json={"door": "cellar"}, headers=token)
    assert (rang.status_code, rang.json()) == (200, {"rang": 1})
    assert (nobody.status_code, nowhere.status_code) == (401, 400)
    assert nowhere.json() == {"error": "The message names no door. Name the front or the back door."}


async def test_hook_alert_evidence(example: ModuleType) -> None:
    async with app_with(example) as app:
        evidence = AlertEvidence.of(app.host)
        found = await evidence.of_alert(AlertSubject("ShopIsSlow", "warning", {"team": "shop"}, since=0.0))
        assert await evidence.of_alert(AlertSubject("Other", "", {"team": "unknown"}, since=0.0)) == []
    assert [(one.source, one.text) for one in found] == [("on duty", "kim is on duty for shop.")]


async def test_hook_external_providers(example: ModuleType) -> None:
    async with app_with(example) as app:
        (provider,) = app.external
    assert (provider.prefix, provider.transport) == ("wiki", StdioServer(("wiki-mcp", "--read-only")))


async def test_hook_start(example: ModuleType) -> None:
    def never(_: object) -> Any:
        raise AssertionError("the start hook should have made it")

    async with app_with(example) as app, client(app):
        assert app.host.service(example.Uptime, never).started_s > 0


async def test_hook_stop(example: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with app_with(example) as app, client(app):
        assert "klepaas stops" not in caplog.text
    assert "klepaas stops" in caplog.text


async def test_the_example_of_the_page_about_testing_passes() -> None:
    page = (DOCS / "plugins" / "testing.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {"__name__": "docs_plugins_testing"}
    exec(compile(code, "docs/plugins/testing.md", "exec"), namespace)
    await namespace["test_a_short_outage_is_not_noticed"]()


def test_the_page_about_testing_names_everything_that_the_kit_offers() -> None:
    page = (DOCS / "plugins" / "testing.md").read_text()
    types = {"Era", "FaultProxy", "HttpAnswer", "HttpRequest", "Said", "Session", "UPDATE_VARIABLE", "schema_of"}
    assert [name for name in testing.__all__ if f"`{name}" not in page and name not in types] == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_example_on_the_first_page_about_plugins_answers(era: Era) -> None:
    code, *_ = re.findall(r"^```python\n(.*?)^```$", (DOCS / "plugins.md").read_text(), re.MULTILINE | re.DOTALL)
    module = ModuleType("klepaas_hello.plugin")
    exec(compile(code, "docs/plugins.md", "exec"), module.__dict__)
    async with app_with(module) as app, client(app, era) as session:
        assert_declared_well(app)
        assert (await session.call("hello_say", to="Kim")).text == "Hello, Kim."
