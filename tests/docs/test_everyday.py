"""Each of the fourteen everyday requests is one call of one tool, and its answer tells what was asked."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.app import App, create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, Era, Session, client, scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .scripts import load

pytestmark = pytest.mark.anyio

EVERYDAY = load("everyday_table")
REQUESTS: list[dict[str, Any]] = EVERYDAY.requests()
FOURTEEN = {
    *("status", "logs", "endpoint", "restart", "scale", "rollback", "deploy", "overview"),
    *("list_pods", "list_deployments", "list_services", "list_ingresses", "list_namespaces", "list_apps"),
}
CHANGING = {"deploy", "scale", "restart", "rollback"}
SHOP = {"app_name": "shop", "replicas": 2, "port": 8080}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {
        "rules": [
            {
                "host": "shop.example",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "shop", "port": {"number": 8080}}},
                        }
                    ]
                },
            }
        ]
    },
}

each_request = pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request["named"])


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """A klepaas in front of a sandbox in which the shop runs in its second version."""
    for name in [name for name in os.environ if name.startswith("KLEPAAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.05")
    async with Sandbox(timing=Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.setenv("KLEPAAS_POLICY", '[{"decision": "auto"}]')
        sandbox.create(INGRESS)
        async with client(_app(tmp_path)) as session:
            for version in ("1.0", "1.1"):
                said = await session.call("deploy_application", **SHOP, image=f"registry.example/shop:{version}")
                assert not said.is_error, said.text
        app = _app(tmp_path)
        yield app
        await app.host.aclose()


def _app(folder: Path) -> App:
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=folder / "state"))


def test_they_are_the_fourteen() -> None:
    assert {request["named"] for request in REQUESTS} == FOURTEEN
    assert len(REQUESTS) == len(FOURTEEN)


@each_request
def test_it_is_said_in_both_languages(request_: dict[str, Any]) -> None:
    assert request_["en"].isascii()
    assert any("가" <= letter <= "힣" for letter in request_["ko"])
    assert request_["shows"], "nothing would show that the answer tells it"


@pytest.mark.parametrize("era", ERAS)
async def test_one_call_answers_each_question(era: Era, app: App) -> None:
    async with client(app, era) as session:
        for request in REQUESTS:
            if request["named"] not in CHANGING:
                await _ask(session, request)


@pytest.mark.parametrize("named", sorted(CHANGING))
@pytest.mark.parametrize("era", ERAS)
async def test_one_call_makes_each_change(named: str, era: Era, app: App) -> None:
    async with client(app, era) as session:
        await _ask(session, _request(named))


async def test_the_instructions_lead_to_each_of_their_tools(app: App) -> None:
    async with client(app) as session:
        text = session.raw.instructions or ""
        listed = {tool.name for tool in await session.tools()}
    for request in REQUESTS:
        assert f"{request['tool']}: " in text
        assert request["tool"] in listed


async def test_what_was_changed_is_seen_by_the_next_question(app: App) -> None:
    async with client(app) as session:
        for named in ("deploy", "scale"):
            await _ask(session, _request(named))
        said = await session.call("get_deployment_status", app_name="shop")
    assert "registry.example/shop:1.2" in said.text
    assert "3 of 3 pods ready" in said.text


def _request(named: str) -> dict[str, Any]:
    return next(request for request in REQUESTS if request["named"] == named)


async def _ask(session: Session, request: dict[str, Any]) -> str:
    """Make the one call of a request; its answer must tell what was asked."""
    with anyio.fail_after(scale_timeout(30)):
        said = await session.call(request["tool"], **request["arguments"])
    assert not said.is_error, said.text
    told = said.text
    assert [part for part in request["shows"] if part not in told] == [], f"{request['named']}: {said.text}"
    return said.text


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_pages_are_those_that_the_data_give(language: str) -> None:
    path = Path(EVERYDAY.__file__ or "").parent / EVERYDAY.PAGES[language]
    assert path.read_text(encoding="utf-8") == EVERYDAY.page(language), "run: python docs/everyday_table.py"
