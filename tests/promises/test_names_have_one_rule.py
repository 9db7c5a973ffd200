"""Whatever names a workload, pod, context or label takes every name that there can be, in every parameter alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastmcp import Client

from klepaas import names
from klepaas.app import App, create_app
from klepaas.evidence import AlertSubject
from klepaas.names import Check
from klepaas.settings import Mode, Settings
from klepaas_plugins.deployments import alert_evidence as of_deployments
from klepaas_plugins.kubernetes.podchoice import POD_OR_WORKLOAD
from klepaas_plugins.prometheus import alert_evidence as of_prometheus
from klepaas_plugins.prometheus.questions import Place, candidates, chosen

from .calls import SAMPLES, plausible
from .conftest import Platform, deployment

pytestmark = pytest.mark.anyio

LONGEST = "x" * 63 + "." + "y" * 189
OBJECTS = ("shop", "shop.api.v2", "2048", "a" * 253, LONGEST)
APPLICATIONS = (*OBJECTS, "Shop_API", "Team.A_b-1")
CONTEXTS = ("kind-kind", "운영 클러스터", "prod (eu) 1", "arn:aws:eks:ap-northeast-2:123456789012:cluster/prod", "me@x")
SELECTORS = ("app=web", "Team_A=Red_Green.1,!x", "app.kubernetes.io/name in (Shop_API, b),tier!=cache")
# By parameter: the names that people's clusters hold.
ACCEPTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("name", "confirm_name", "pod", "node"), OBJECTS),
    "app_name": APPLICATIONS,
    "context": CONTEXTS,
    "label_selector": SELECTORS,
    "kind": (
        "pods",
        *(f"deployment/{name}" for name in OBJECTS),
        ",".join(f"deployment/{'a' * 253}" for _ in range(8)),
    ),
}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KLEPAAS_K8S_EXEC", "true")
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False))


def _checks(app: App) -> Iterator[tuple[str, str, Check]]:
    """Every text parameter of every tool, resource and prompt, and what it must be."""
    for entry in app.catalogue:
        for name, places in entry.tool.parameters.items():
            check = places.text or (places.item.text if places.item else None)
            if check is not None:
                yield entry.tool.name, name, check
    offered = [(one.item.name, one.item.variables) for one in app.offers.resources]
    offered += [(one.item.name, one.item.variables) for one in app.offers.prompts.values()]
    for owner, variables in offered:
        for name, variable in variables.items():
            if variable.check is not None:
                yield owner, name, variable.check


def test_every_parameter_that_names_a_workload_pod_context_or_label_takes_all_names_of_it(app: App) -> None:
    seen = set()
    for owner, name, check in _checks(app):
        seen.add(name)
        # A kind beside a name takes none.
        wanted = ACCEPTED.get(name, ()) if check is not names.KIND else ("pods",)
        wanted += tuple(f"deployment/{one}" for one in OBJECTS) if check is POD_OR_WORKLOAD else ()
        refused = [value for value in wanted if len(value) > check.max_chars or not check.accepts(value)]
        assert refused == [], f"{name} of {owner}"
    assert set(ACCEPTED) <= seen


@pytest.mark.parametrize("name", ["shop.api.v2", LONGEST], ids=["dots", "253 characters"])
async def test_every_tool_and_resource_works_on_an_application_with_dots_and_253_characters(
    platform: Platform, name: str
) -> None:
    platform.sandbox.create(deployment("shop") | {"metadata": {"name": name, "namespace": "default"}})
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
    async with Client(app.server) as client:
        for tool in (entry.tool for entry in app.catalogue if "app_name" in entry.tool.parameters):
            arguments = {**plausible(tool), "app_name": name}
            result = await client.call_tool(tool.name, arguments, raise_on_error=False)
            assert not result.is_error, (tool.name, result.content[0].text)
        for resource in (offer.item for offer in app.offers.resources if "app_name" in offer.item.variables):
            values = {**{variable: SAMPLES[variable] for variable in resource.variables}, "app_name": name}
            (found,) = await client.read_resource(resource.template.expand(values))
            assert name in found.text


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_evidence_of_an_alert_takes_the_same_names(name: str) -> None:
    for label in ("app_kubernetes_io_name", "app"):
        alert = AlertSubject("Down", "page", {"namespace": "shop", label: name}, 0.0)
        assert of_deployments._application(alert) == name
        assert of_prometheus._place(alert) == Place(name, "shop")


def _pod(replica_set: str) -> str:
    """A pod's name as the API server makes it."""
    base = f"{replica_set}-" if len(replica_set) < 253 else replica_set
    return f"{base[:58]}x2c4v"


@pytest.mark.parametrize("length", [3, 46, 47, 48, 50, 56, 57, 58, 59, 64, 253])
def test_metrics_find_the_pods_of_an_application_however_long_its_name_is(length: int) -> None:
    name = "s" * length
    pods = (_pod(f"{name[:242]}-7d9f8b6c5d"), _pod(name), *([f"{name}-0"] if length < 62 else []))
    for pod in pods:
        series: list[dict[str, Any]] = [
            {"__name__": one.expression.metric, "pod": pod, "namespace": "shop", "container": "main"}
            for one in candidates("memory", Place(name, "shop"))
        ]
        assert chosen(candidates("memory", Place(name, "shop")), series) is not None, pod
    other = [{"__name__": one["__name__"], "pod": "t" * 58 + "x2c4v", "namespace": "shop"} for one in series]
    assert chosen(candidates("memory", Place(name, "shop")), other) is None
