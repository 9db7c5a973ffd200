"""Deploying through klepaas into the sandbox: what goes well, what is kept, what is refused."""

from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.deployments.watching import Target, follow
from klepaas_plugins.kubernetes.client import Clusters
from klepaas_plugins.kubernetes.sandbox import mutating

pytestmark = pytest.mark.anyio

CAUSE = "kubernetes.io/change-cause"


async def test_a_first_deployment_ends_when_its_pods_are_ready(bench: Any) -> None:
    said = await bench.deploy(replicas=2, port=8080, env_vars={"LOG_LEVEL": "info"}, health_path="/healthz")
    assert not said.is_error
    assert "web in default is deployed: 2 of 2 pods ready, revision 1" in said.text
    assert "web.default.svc:8080" in said.text
    assert f"Operation: {said.operation}" in said.text
    found = await bench.result(said)
    assert found.pop("operation") == said.operation
    assert found.pop("observed")[0].startswith("rollout, pods and restarts for ")
    assert found.pop("not_checked") == ["requests from outside the cluster"]
    assert found.pop("at").endswith("Z")
    assert found == {
        "app": "web",
        "namespace": "default",
        "state": "healthy",
        "ready": 2,
        "replicas": 2,
        "image": "example/app:1",
        "revision": 1,
        "release": 1,
    }
    assert bench.container()["readinessProbe"]["httpGet"]["path"] == "/healthz"
    service = bench.sandbox.get("Service", "web")
    deployment = bench.sandbox.get("Deployment", "web")
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert deployment["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "klepaas"
    assert deployment["metadata"]["annotations"][CAUSE].startswith("deploy example/app:1")


async def test_progress_tells_how_many_pods_are_ready(bench: Any) -> None:
    said: list[str] = []
    heard = anyio.Event()

    async def hear(_progress: float, _total: float | None, message: str | None) -> None:
        said.append(message or "")
        if "0 of 3 pods ready" in said:
            heard.set()

    arguments = {"app_name": "web", "image": "example/unready:1", "replicas": 3}
    with anyio.fail_after(scale_timeout(20)):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: bench.client.call_tool("deploy_application", arguments, progress_handler=hear))
            await heard.wait()
            group.cancel_scope.cancel()
    assert "apply Deployment web" in said


async def test_an_application_without_a_port_has_neither_service_nor_probe(bench: Any) -> None:
    assert not (await bench.deploy()).is_error
    assert bench.sandbox.get("Service", "web") is None
    assert "readinessProbe" not in bench.container()


async def test_a_redeploy_keeps_what_it_does_not_name(bench: Any) -> None:
    await bench.deploy(replicas=2, port=8080, env_vars={"A": "1", "B": "2"}, resources={"memory": "64Mi"})
    said = await bench.deploy(image="example/app:2", env_vars={"B": "3"})
    assert not said.is_error
    assert "image: example/app:1 -> example/app:2" in said.text
    assert "Kept from before: port 8080; env A; resources" in said.text
    assert "env[B].value: 2 -> 3" in said.text
    assert (await bench.result(said))["previous_revision"] == 1
    assert bench.env() == {"A": "1", "B": "3"}
    container = bench.container()
    assert container["ports"][0]["containerPort"] == 8080
    assert container["resources"] == {"requests": {"memory": "64Mi"}}
    assert bench.sandbox.get("Deployment", "web")["spec"]["replicas"] == 2


async def test_a_redeploy_keeps_the_number_of_pods_that_was_scaled_to(bench: Any) -> None:
    await bench.deploy(replicas=1)
    await bench.call("scale_application", app_name="web", replicas=3)
    said = await bench.deploy(image="example/app:2")
    assert (await bench.result(said))["replicas"] == 3
    said = await bench.deploy(image="example/app:2", replicas=2)
    assert not said.is_error, "klepaas' own scaling is no obstacle"
    assert (await bench.result(said))["replicas"] == 2


async def test_the_same_deployment_again_changes_nothing(bench: Any) -> None:
    await bench.deploy(port=8080)
    bench.sandbox.clear_requests()
    said = await bench.deploy(port=8080)
    assert "already runs exactly this" in said.text
    assert not [request for request in bench.sandbox.requests if mutating(request)]


@pytest.mark.parametrize(
    "variables",
    [
        ["A=1", "EMPTY=", "URL=postgres://db/x?a=b&c=d", "OLD"],
        {"A": "1", "EMPTY": "", "URL": "postgres://db/x?a=b&c=d", "OLD": None},
        {"A": 1, "EMPTY": "", "URL": "postgres://db/x?a=b&c=d", "OLD": None},
        '["A=1", "EMPTY=", "URL=postgres://db/x?a=b&c=d", "OLD"]',
        '{"A": "1", "EMPTY": "", "URL": "postgres://db/x?a=b&c=d", "OLD": null}',
    ],
    ids=["list", "map", "number", "text of a list", "text of a map"],
)
async def test_variables_are_a_list_of_assignments_or_a_map_and_the_text_of_either_is_read(
    bench: Any, variables: Any
) -> None:
    await bench.deploy(env_vars=["OLD=1", "KEPT=2"])
    said = await bench.deploy(env_vars=variables)
    assert not said.is_error, said.text
    assert bench.env() == {"KEPT": "2", "A": "1", "EMPTY": "", "URL": "postgres://db/x?a=b&c=d"}


async def test_a_variable_that_is_named_twice_is_refused(bench: Any) -> None:
    said = await bench.deploy(env_vars=["A=1", "B=2", "A=3"])
    assert said.is_error
    assert "env_vars names A twice" in said.text
    assert bench.sandbox.get("Deployment", "web") is None


@pytest.mark.parametrize("variables", [["A B=1"], ["=1"], [""], {"A=B": "1"}, {"A": ["1"]}], ids=str)
async def test_what_is_no_variable_is_refused_with_the_form_that_is_meant(bench: Any, variables: Any) -> None:
    said = await bench.deploy(env_vars=variables)
    assert said.is_error
    assert "env_vars" in said.text
    assert "NAME=value" in said.text or "is not a valid environment variable name" in said.text


@pytest.mark.parametrize("absent", [None, ""], ids=["null", "empty"])
async def test_a_field_of_the_resources_that_a_strict_client_must_send_and_has_no_value_for_is_not_given(
    bench: Any, absent: str | None
) -> None:
    wanted = {"cpu": "100m", "memory": absent, "cpu_limit": absent, "memory_limit": "64Mi"}
    said = await bench.deploy(resources=wanted)
    assert not said.is_error, said.text
    assert bench.container()["resources"] == {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}}


async def test_a_resource_that_is_none_of_the_four_is_refused_with_those_there_are(bench: Any) -> None:
    said = await bench.deploy(resources={"gpu": "1"})
    assert said.is_error
    assert "resources has no field 'gpu'" in said.text
    assert "cpu, memory, cpu_limit, memory_limit" in said.text


async def test_a_variable_is_removed_by_null(bench: Any) -> None:
    await bench.deploy(env_vars={"A": "1", "B": "2"})
    assert not (await bench.deploy(env_vars={"A": None})).is_error
    assert bench.env() == {"B": "2"}


async def test_a_variable_is_removed_by_null_even_after_a_rollback(bench: Any) -> None:
    await bench.deploy(env_vars={"A": "1"})
    await bench.deploy(image="example/app:2", env_vars={"A": "2"})
    await bench.call("rollback_deployment", app_name="web")
    said = await bench.deploy(env_vars={"A": None, "B": "3"})
    assert not said.is_error, said.text
    assert bench.env() == {"B": "3"}
    replicasets = [item for item in bench.sandbox.list("ReplicaSet") if item["spec"]["replicas"]]
    assert len(replicasets) == 1


async def test_a_port_can_be_changed(bench: Any) -> None:
    await bench.deploy(port=8080, health_path="/ready")
    said = await bench.deploy(port=9090)
    assert not said.is_error, said.text
    assert [item["containerPort"] for item in bench.container()["ports"]] == [9090]
    assert bench.container()["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 9090, "scheme": "HTTP"}
    assert [item["port"] for item in bench.sandbox.get("Service", "web")["spec"]["ports"]] == [9090]


async def test_fields_of_another_manager_are_changed_only_with_ownership(bench: Any) -> None:
    _plant_by_kubectl(bench)
    said = await bench.deploy(image="example/app:2")
    assert said.is_error
    assert said.code == "conflict"
    assert "sandbox owns spec.template.spec.containers[main].image" in said.text
    assert "take_ownership=true" in said.text
    assert bench.container()["image"] == "example/app:1"
    said = await bench.deploy(image="example/app:2", take_ownership=True)
    assert not said.is_error, said.text
    assert bench.container()["image"] == "example/app:2"
    assert bench.container()["env"] == [{"name": "THEIRS", "value": "1"}], "what is not named stays"


async def test_an_existing_deployment_keeps_its_selector_and_gets_a_service_for_it(bench: Any) -> None:
    _plant_by_kubectl(bench)
    said = await bench.deploy(image="example/app:1", port=8080)
    assert not said.is_error, said.text
    assert bench.sandbox.get("Deployment", "web")["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert bench.sandbox.get("Service", "web")["spec"]["selector"] == {"app": "web"}


async def test_a_service_of_somebody_else_is_not_taken(bench: Any) -> None:
    ports = [{"port": 80}]
    spec = {"selector": {"app": "other"}, "ports": ports}
    bench.sandbox.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
    said = await bench.deploy(port=8080)
    assert said.code == "conflict"
    assert "Service web in default belongs to somebody else" in said.text
    assert bench.sandbox.get("Deployment", "web") is None, "nothing is half done"


async def test_a_missing_namespace_is_not_created(bench: Any) -> None:
    said = await bench.deploy(namespace="nope")
    assert said.code == "not_found"
    assert "There is no namespace nope" in said.text
    assert bench.sandbox.get("Namespace", "nope") is None


async def test_a_name_of_another_kind_of_workload_is_refused(bench: Any) -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}
    spec = {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    bench.sandbox.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
    said = await bench.deploy(name="db")
    assert said.code == "conflict"
    assert "is a statefulset" in said.text


async def test_what_the_credentials_do_not_allow_is_said_and_nothing_is_stored(bench: Any) -> None:
    bench.sandbox.deny("patch", "deployments")
    said = await bench.deploy(port=8080)
    assert said.code == "forbidden"
    assert bench.sandbox.get("Deployment", "web") is None
    assert bench.sandbox.get("Service", "web") is None


@pytest.mark.parametrize("deadline_scale", [0.1])
async def test_where_watching_is_refused_looking_again_does(bench: Any) -> None:
    bench.sandbox.deny("watch", "*")
    said = await bench.deploy(image="example/slow:1")
    assert not said.is_error
    assert "is deployed" in said.text


async def test_pods_that_may_not_be_read_do_not_make_a_stored_change_an_error(bench: Any) -> None:
    bench.sandbox.deny("list", "pods")
    said = await bench.deploy()
    assert not said.is_error
    assert "is applied, but how it goes could not be seen" in said.text
    assert (await bench.result(said))["state"] == "unknown"
    assert bench.container()["image"] == "example/app:1"


async def test_a_refusal_by_admission_is_quoted_and_nothing_is_stored(bench: Any) -> None:
    denied = "ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: at most 5 replicas"
    bench.sandbox.fail("PATCH", "/deployments/web$", 422, reason="Invalid", message=denied)
    said = await bench.deploy(replicas=9, port=80)
    assert said.is_error
    assert "at most 5 replicas" in said.text
    assert bench.sandbox.get("Service", "web") is None


async def test_a_dry_run_shows_changes_without_secret_values_and_stores_nothing(bench: Any) -> None:
    await bench.deploy(port=8080, env_vars={"DB_PASSWORD": "hunter2hunter2"})
    bench.sandbox.clear_requests()
    said = await bench.deploy(
        image="example/app:2", replicas=3, env_vars={"DB_PASSWORD": "swordfish7swordfish7"}, dry_run=True
    )
    assert not said.is_error
    assert "image: example/app:1 -> example/app:2" in said.text
    assert "replicas: 1 -> 3" in said.text
    assert "env[DB_PASSWORD].value: " in said.text
    assert "hidden, not compared" in said.text
    assert "hunter2" not in said.text
    assert "swordfish7" not in said.text
    writes = [item for item in bench.sandbox.requests if item.method != "GET"]
    assert writes
    assert all(item.query.get("dryRun") == "All" for item in writes)
    assert bench.container()["image"] == "example/app:1"


async def test_a_dry_run_of_a_first_deployment_lists_what_it_would_create(bench: Any) -> None:
    said = await bench.deploy(port=8080, dry_run=True)
    assert "create deployment/web (namespace default)" in said.text
    assert "create service/web (namespace default)" in said.text
    assert len(said.text) < 1500
    assert bench.sandbox.get("Deployment", "web") is None


async def test_without_waiting_the_answer_says_how_to_wait(bench: Any) -> None:
    with anyio.fail_after(scale_timeout(5)):
        said = await bench.deploy(image="example/unready:1", wait_s=0)
    assert not said.is_error
    assert said.text.startswith(f"{said.operation}: Deploying example/unready:1 as web is under way")
    assert f'get_operation(operation_id="{said.operation}", wait_s=45)' in said.text


async def test_what_is_refused_is_said_at_once_although_nobody_waits(bench: Any) -> None:
    said = await bench.deploy(namespace="nope", wait_s=0)
    assert said.code == "not_found"


@pytest.mark.parametrize("deadline_scale", [0.1])
async def test_a_second_change_of_the_same_application_is_refused_while_the_first_runs(bench: Any) -> None:
    answers: list[Any] = []

    async def first() -> None:
        answers.append(await bench.deploy(image="example/slow:1"))

    with anyio.fail_after(scale_timeout(20)):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            while bench.sandbox.get("Deployment", "web") is None:
                await bench.sandbox.changed()
            second = await bench.deploy(image="example/app:2")
            other = await bench.deploy(name="other")
    assert second.code == "conflict"
    assert "Deploying example/slow:1 as web is under way (operation op-" in second.text
    assert not other.is_error
    assert not answers[0].is_error
    assert not (await bench.deploy(image="example/app:2")).is_error, "the application is free again"


async def test_a_cancelled_wait_leaves_no_task(bench: Any) -> None:
    cluster = await Clusters().cluster()
    # Made by somebody else, so that nothing of klepaas follows it but this.
    target = Target.of("Deployment", bench.sandbox.create(_deployment("slow", "example/unready:1")))
    before = _watches()
    heard = anyio.Event()

    async def hear(_ready: float, _wanted: float, _message: str) -> None:
        heard.set()

    with anyio.fail_after(scale_timeout(10)):
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                await follow(cluster, target, wait_s=60, grace_s=1, report=hear)

            group.start_soon(wait)
            await heard.wait()
            assert _watches() > before
            group.cancel_scope.cancel()
        assert _watches() == before
    await cluster.aclose()


def _deployment(name: str, image: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": image}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _watches() -> int:
    return sum("_pump" in (task.name or "") for task in anyio.get_running_tasks())


async def test_a_client_that_leaves_ends_the_waiting_and_not_the_change(bench: Any) -> None:
    with anyio.fail_after(scale_timeout(20)):
        async with anyio.create_task_group() as group:
            group.start_soon(bench.deploy, "web", "example/unready:1")
            while not bench.sandbox.list("Pod"):
                await bench.sandbox.changed()
            group.cancel_scope.cancel()
    assert bench.container()["image"] == "example/unready:1"
    with anyio.fail_after(scale_timeout(10)):
        while (said := await bench.deploy(image="example/app:2")).is_error:
            assert "is under way" in said.text
    assert (await bench.result(said))["state"] == "healthy"


def _plant_by_kubectl(bench: Any) -> None:
    container = {"name": "main", "image": "example/app:1", "env": [{"name": "THEIRS", "value": "1"}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "labels": {"app": "web"}}
    bench.sandbox.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
