"""A new application has any name that Kubernetes allows a workload; what else bears it has its own rule."""

import re
from typing import Any

import pytest

from klepaas_plugins.deployments.naming import application_label, container_of

pytestmark = pytest.mark.anyio

DOTTED, LONGEST = "shop.api.v2", "z" * 253
LONG = ("a" * 50 + ".") * 4 + "end"
NAMES = (DOTTED, LONG, LONGEST)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _title(name: str) -> str:
    return name if len(name) < 20 else f"{name[:6]}-{len(name)}"


@pytest.mark.parametrize("name", NAMES, ids=_title)
async def test_a_new_application_may_have_dots_and_up_to_253_characters(bench: Any, name: str) -> None:
    said = await bench.deploy(name=name)
    assert not said.is_error, said.text
    container = bench.container(name)
    assert _DNS_LABEL.fullmatch(container["name"])
    status = (await bench.call("get_deployment_status", app_name=name, output="json")).json()
    assert (status["app"], status["state"], status["release"]) == (name, "healthy", 1)
    listed = (await bench.call("list_applications", output="json")).json()
    assert [one["app"] for one in listed["workloads"]] == [name]


async def test_such_an_application_is_changed_and_a_failure_is_explained_and_rolled_back(bench: Any) -> None:
    name = LONGEST
    await bench.deploy(name=name)
    failed = await bench.deploy(name=name, image="example/crash:2")
    assert "is rolled back to release 1 (example/app:1)" in failed.text
    assert "exit code 1" in failed.text
    assert not (await bench.deploy(name=name, image="example/app:3", env_vars=["MODE=fast"])).is_error
    containers = bench.sandbox.get("Deployment", name)["spec"]["template"]["spec"]["containers"]
    assert [(one["image"], one["env"]) for one in containers] == [
        ("example/app:3", [{"name": "MODE", "value": "fast"}])
    ]
    assert not (await bench.call("scale_application", app_name=name, replicas=2)).is_error
    back = await bench.call("rollback_deployment", app_name=name, release=1)
    assert not back.is_error, back.text
    history = (await bench.call("get_deployment_history", app_name=name, output="json")).json()
    assert (history["app"], history["total"]) == (name, 5)


async def test_two_long_names_with_one_beginning_are_two_applications(bench: Any) -> None:
    names = [f"{'n' * 80}-{end}" for end in ("one", "two")]
    for name in names:
        assert not (await bench.deploy(name=name)).is_error
    selectors = [bench.sandbox.get("Deployment", name)["spec"]["selector"]["matchLabels"] for name in names]
    assert selectors[0] != selectors[1]
    assert (await bench.call("list_applications", output="json")).json()["total"] == 2


async def test_the_shortened_name_of_a_pod_leads_to_its_application_and_its_log(bench: Any) -> None:
    await bench.deploy(name=LONGEST)
    (pod,) = (one["metadata"]["name"] for one in bench.sandbox.list("Pod"))
    assert len(pod) == 63
    said = await bench.call("get_deployment_status", app_name=pod, output="json")
    assert said.json()["app"] == LONGEST
    for name in (pod, LONGEST, f"deployment/{LONGEST}"):
        logs = await bench.call("k8s_logs", name=name)
        assert not logs.is_error, logs.text


async def test_the_label_of_a_long_name_leads_to_its_application_too(bench: Any) -> None:
    await bench.deploy(name=LONGEST)
    said = await bench.call("get_deployment_status", app_name=application_label(LONGEST), output="json")
    assert said.json()["workload"] == f"deployment {LONGEST}"


@pytest.mark.parametrize("name", [DOTTED, "n" * 64], ids=_title)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_port_for_a_name_that_no_service_can_bear_is_refused_with_what_is_possible(
    bench: Any, name: str, dry_run: bool
) -> None:
    said = await bench.deploy(name=name, port=8080, dry_run=dry_run)
    assert said.code == "bad_request"
    assert f"No Service can be named {name}" in said.text
    assert "Leave port out, give manifests with a Service of another name, or choose an app_name" in said.text
    assert bench.sandbox.get("Deployment", name) is None


async def test_a_port_for_what_runs_already_under_such_a_name_makes_no_service_and_says_so(bench: Any) -> None:
    await bench.deploy(name=DOTTED)
    said = await bench.deploy(name=DOTTED, image="example/app:2", port=8080)
    assert not said.is_error, said.text
    assert f"No Service can be named {DOTTED}" in said.text
    assert "Reachable in the cluster" not in said.text
    assert {one["metadata"]["name"] for one in bench.sandbox.list("Service")} == {"kubernetes"}
    assert bench.container(DOTTED)["ports"][0]["containerPort"] == 8080


async def test_manifests_may_hold_a_service_of_another_name(bench: Any) -> None:
    name = LONGEST
    manifests = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{part: shop}}}}
  template:
    metadata: {{labels: {{part: shop}}}}
    spec: {{containers: [{{name: main, image: "example/app:1"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{selector: {{part: shop}}, ports: [{{port: 80}}]}}
"""
    said = await bench.call("deploy_application", app_name=name, manifests=manifests)
    assert not said.is_error, said.text
    held = (await bench.call("get_deployment_status", app_name=name, output="json")).json()
    assert held["app"] == name
    assert any("shop.default.svc:80" in address for address in held["endpoints"])


@pytest.mark.parametrize("name", ["Shop", "shop_v2", "shop..v2", "shop.-v2", ".shop"])
async def test_what_no_workload_may_be_called_is_refused_with_the_rule(bench: Any, name: str) -> None:
    said = await bench.deploy(name=name)
    assert said.code == "bad_request"
    assert re.search(r"name='.*' is not a valid (workload|application|object) name. Use ", said.text)
    assert bench.sandbox.list("Deployment") == []


@pytest.mark.parametrize(
    "name", ["a", "a.b", "a" * 63, "a" * 52 + "." + "b" * 11, "a" * 252 + "b", LONG, "x" * 53 + ".y" * 90]
)
def test_the_shorter_names_keep_the_rules_of_what_bears_them(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", application_label(name))
    assert _DNS_LABEL.fullmatch(container_of(name))
