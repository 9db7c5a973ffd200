"""The overview says which contexts there are: with a cluster that answers, and with none."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from klepaas.testing import ERAS, app_with, client
from klepaas.testing.clients import Era
from klepaas_plugins.deployments import plugin as deployments
from klepaas_plugins.deployments.contexts import contexts_line
from klepaas_plugins.kubernetes.client import ContextInfo

pytestmark = pytest.mark.anyio


def _kubeconfig(server: str, names: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": names[0],
        "clusters": [{"name": f"of-{name}", "cluster": {"server": server}} for name in names],
        "users": [{"name": "me", "user": {"token": "t0ken-of-a-test"}}],
        "contexts": [
            {"name": name, "context": {"cluster": f"of-{name}", "user": "me", "namespace": f"ns-{name}"}}
            for name in names
        ],
    }


@pytest.fixture
def nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A kubeconfig of three contexts, and no API server at its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        path = tmp_path / "kubeconfig"
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
        path.write_text(yaml.safe_dump(_kubeconfig(server, ["prod", "staging", "dev"])))
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield


ALL = (
    "Contexts: prod (default, cluster of-prod, namespace ns-prod), staging (cluster of-staging, namespace ns-staging), "
    "dev (cluster of-dev, namespace ns-dev)"
)


async def test_the_overview_names_each_context_with_its_cluster_and_namespace(bench: Any) -> None:
    said = await bench.call("get_overview")
    assert not said.is_error
    assert "\nContexts: sandbox (default, cluster sandbox, namespace default)" in said.text


@pytest.mark.parametrize("era", ERAS)
async def test_the_overview_names_all_contexts_when_no_cluster_answers(era: Era, nobody_answers: None) -> None:
    async with app_with(deployments) as app, client(app, era) as session:
        for arguments in ({}, {"context": "staging"}):
            said = await session.call("get_overview", **arguments)
            assert said.is_error
            assert ALL in said.text
            assert "127.0.0.1" not in said.text.split("Contexts:")[1]


async def test_a_context_that_there_is_not_is_an_error_with_those_there_are(nobody_answers: None) -> None:
    async with app_with(deployments) as app, client(app) as session:
        said = await session.call("get_overview", context="production")
    assert said.is_error
    assert ALL in said.text


async def test_there_is_no_tool_for_contexts_alone(bench: Any) -> None:
    names = [tool.name for tool in await bench.client.list_tools()]
    assert "k8s_contexts" not in names
    assert "get_overview" in names


def _many(count: int) -> list[ContextInfo]:
    return [ContextInfo(f"team-{n:03d}-production", f"c{n}", "default", n == count - 1) for n in range(count)]


def test_of_many_contexts_the_names_are_listed_and_of_too_many_it_is_said_how_many_are_left_out() -> None:
    some, many = contexts_line(_many(40)), contexts_line(_many(400))
    assert all(item.name in some for item in _many(40))
    assert "more" not in some
    assert some.startswith("Contexts: team-039-production (default), team-000-production")
    assert len(many) < 2_200
    assert "team-399-production (default)" in many
    shown = many.count("team-")
    assert f" and {400 - shown} more; the resource klepaas://contexts has them all" in many
