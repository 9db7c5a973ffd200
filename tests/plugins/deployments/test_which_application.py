"""Which application, container and image a call means: one rule for all tools."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

INSTANCE = "app.kubernetes.io/instance"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
# Every tool about one application that names no namespace, with what else each needs.
TOOLS: dict[str, dict[str, Any]] = {
    "get_deployment_status": {},
    "list_releases": {},
    "scale_application": {"replicas": 2},
    "restart_application": {},
    "rollback_deployment": {},
    "deploy_application": {"image": "example/app:2"},
}


def _workload(name: str, namespace: str = "default", kind: str = "Deployment", **more: Any) -> dict[str, Any]:
    """A workload that somebody else made, with containers by name and image."""
    containers = more.get("containers", {"main": "example/app:1"})
    template = {
        "metadata": {"labels": {"pods": name}, "annotations": more.get("annotations", {})},
        "spec": {"containers": [{"name": key, "image": image} for key, image in containers.items()]},
    }
    extra = {"serviceName": name} if kind == "StatefulSet" else {}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": more.get("labels", {})},
        "spec": {"selector": {"matchLabels": {"pods": name}}, "template": template, **extra},
    }


@pytest.fixture
def shop(bench: Any) -> Any:
    """The bench, with a namespace besides the context's own."""
    bench.sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    return bench


def _images(bench: Any, name: str) -> dict[str, str]:
    found = bench.sandbox.get("Deployment", name)
    return {item["name"]: item["image"] for item in found["spec"]["template"]["spec"]["containers"]}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "planted",
    [
        _workload("web", "shop"),
        _workload("web", "shop", "StatefulSet"),
        _workload("web-api", "shop", labels={INSTANCE: "web"}),
        _workload("web-api", "shop", labels={"app": "web"}),
    ],
    ids=["deployment", "statefulset", "instance label", "app label"],
)
async def test_every_tool_without_a_namespace_says_in_which_namespace_the_application_is(
    shop: Any, tool: str, planted: dict[str, Any], dry_run: bool
) -> None:
    if dry_run and tool in ("get_deployment_status", "list_releases"):
        pytest.skip("it changes nothing")
    shop.sandbox.create(planted)
    said = await shop.call(tool, app_name="web", **TOOLS[tool], **({"dry_run": True} if dry_run else {}))
    assert said.is_error
    assert "It is in: shop (context sandbox)" in said.text
    assert shop.sandbox.get("Deployment", "web") is None, "nothing was made beside it"


async def test_manifests_without_a_namespace_do_not_make_a_second_application_beside_one_elsewhere(shop: Any) -> None:
    shop.sandbox.create(_workload("web", "shop"))
    own = _workload("web")
    del own["metadata"]["namespace"]
    said = await shop.call("deploy_application", app_name="web", manifests=json.dumps(own))
    assert "It is in: shop (context sandbox)" in said.text
    assert "namespace='default' to deploy another one there" in said.text


async def test_a_namespace_that_was_named_is_taken_though_another_has_the_application(shop: Any) -> None:
    shop.sandbox.create(_workload("web", "shop"))
    said = await shop.deploy(namespace="default")
    assert not said.is_error, said.text
    assert shop.sandbox.get("Deployment", "web") is not None


async def test_of_two_namespaces_with_the_application_the_context_s_own_is_meant(shop: Any) -> None:
    shop.sandbox.create(_workload("web", "shop"))
    shop.sandbox.create(_workload("web"))
    said = await shop.deploy(image="example/app:2", take_ownership=True)
    assert not said.is_error, said.text
    assert _images(shop, "web") == {"main": "example/app:2"}


async def test_without_rights_to_look_elsewhere_a_first_deployment_is_made(shop: Any) -> None:
    for kind in ("deployments", "statefulsets", "daemonsets"):
        shop.sandbox.deny("list", kind, "")
    said = await shop.deploy()
    assert not said.is_error, said.text


async def test_variables_given_alone_keep_the_running_image_and_say_which(bench: Any) -> None:
    await bench.deploy(image="example/app:3", port=8080)
    for settings in ({"env_vars": ["A=1"]}, {"replicas": 2}, {"resources": {"memory": "64Mi"}}):
        dry = await bench.call("deploy_application", app_name="web", dry_run=True, **settings)
        assert "The image stays example/app:3." in dry.text
        said = await bench.call("deploy_application", app_name="web", **settings)
        assert not said.is_error, said.text
        assert "The image stays example/app:3." in said.text
    assert bench.env() == {"A": "1"}
    assert bench.container()["image"] == "example/app:3"


async def test_variables_alone_for_what_does_not_run_are_refused(bench: Any) -> None:
    said = await bench.call("deploy_application", app_name="web", env_vars=["A=1"])
    assert said.is_error
    assert "nothing says what it runs" in said.text
    assert bench.sandbox.get("Deployment", "web") is None


@pytest.mark.parametrize(
    ("containers", "annotations", "goes_to"),
    [
        ({"first": "a/x:1", "main": "b/y:1"}, {DEFAULT_CONTAINER: "main"}, "main"),
        ({"proxy": "envoy:1", "web": "b/y:1"}, {}, "web"),
        ({"proxy": "envoy:1", "main": "registry.example:5000/example/app:1"}, {}, "main"),
        ({"only": "something/else:1"}, {}, "only"),
        ({"web": "b/y:1", "main": "b/z:1"}, {DEFAULT_CONTAINER: "main"}, "main"),
    ],
    ids=["annotation", "name", "repository", "only one", "annotation before name"],
)
async def test_an_image_goes_to_the_container_that_is_meant(
    bench: Any, containers: dict[str, str], annotations: dict[str, str], goes_to: str
) -> None:
    bench.sandbox.create(_workload("web", containers=containers, annotations=annotations))
    image = "registry.example:5000/example/app:2"
    said = await bench.deploy(image=image, take_ownership=True)
    assert not said.is_error, said.text
    assert _images(bench, "web") == {**containers, goes_to: image}


async def test_where_nothing_says_which_container_is_meant_it_is_asked_with_the_names(bench: Any) -> None:
    bench.sandbox.create(_workload("web", containers={"a": "example/one:1", "b": "example/two:1"}))
    said = await bench.deploy(image="example/three:1")
    assert said.code == "bad_request"
    assert "a (example/one:1), b (example/two:1)" in said.text
    assert _images(bench, "web") == {"a": "example/one:1", "b": "example/two:1"}


async def test_an_application_that_a_label_names_is_deployed_to_its_workload(bench: Any) -> None:
    bench.sandbox.create(_workload("web-api", labels={INSTANCE: "web"}))
    said = await bench.deploy(image="example/app:2", take_ownership=True)
    assert not said.is_error, said.text
    assert _images(bench, "web-api") == {"main": "example/app:2"}
    assert bench.sandbox.get("Deployment", "web") is None


async def test_an_application_of_several_workloads_is_asked_about_with_their_names(bench: Any) -> None:
    for name in ("web-api", "web-worker"):
        bench.sandbox.create(_workload(name, labels={INSTANCE: "web"}))
    said = await bench.deploy(image="example/app:2")
    assert said.code == "bad_request"
    assert "several workloads: deployment web-api, deployment web-worker" in said.text
