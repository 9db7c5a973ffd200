"""Going back by itself: when it does, when it must not, and what is said when that fails, too."""

from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

OWNED = {"app.kubernetes.io/instance": "web", "app.kubernetes.io/name": "web"}
MANIFESTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: web-config}}
data: {{mode: {mode}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}, annotations: {{checksum/config: {mode}}}}}
    spec:
      containers:
      - name: web
        image: example/app:1
        envFrom: [{{configMapRef: {{name: web-config}}}}]
"""


def _manifests(mode: str) -> str:
    return MANIFESTS.format(mode=mode)


async def _until(bench: Any, holds: Any) -> None:
    with anyio.fail_after(scale_timeout(20)):
        while not holds():
            await bench.sandbox.changed()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than it takes the sandbox's flaky program to fall over."""
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "1")


async def test_what_is_healthy_at_first_and_falls_over_is_not_verified(patient: None, bench: Any) -> None:
    await bench.deploy()
    said = await bench.deploy(image="example/flaky:2", wait_s=60)
    assert "is rolled back to release 1" in said.text
    assert "lost the connection to the broker" in said.text


async def test_a_configuration_that_breaks_goes_back_with_its_pods(bench: Any) -> None:
    first = await bench.call("deploy_application", app_name="web", manifests=_manifests("fast"))
    assert not first.is_error, first.text
    said = await bench.call("deploy_application", app_name="web", manifests=_manifests("broken"))
    assert "is rolled back to release 1" in said.text
    assert "mode has a value that is not valid" in said.text
    assert "ConfigMap web-config: data.mode: fast -> broken" in said.text
    assert bench.sandbox.get("ConfigMap", "web-config")["data"] == {"mode": "fast"}


async def test_manifests_say_everything_themselves(bench: Any) -> None:
    both = await bench.call("deploy_application", app_name="web", manifests=_manifests("fast"), replicas=2)
    assert both.code == "bad_request"
    assert "replicas cannot be given beside manifests" in both.text
    other = await bench.call("deploy_application", app_name="api", manifests=_manifests("fast"))
    assert "one workload, of the name api" in other.text
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {a: b}\n---\n" + _manifests("fast")
    refused = await bench.call("deploy_application", app_name="web", manifests=secret)
    assert "Secrets are kept in no operation and no release" in refused.text
    assert bench.sandbox.get("Deployment", "web") is None


async def test_a_dry_run_of_manifests_shows_each_object(bench: Any) -> None:
    said = await bench.call("deploy_application", app_name="web", manifests=_manifests("fast"), dry_run=True)
    assert "create configmap/web-config (namespace default)" in said.text
    assert "create deployment/web (namespace default)" in said.text
    assert bench.sandbox.get("ConfigMap", "web-config") is None


async def test_a_rollback_that_fails_too_is_said_loudly_with_what_to_do(bench: Any) -> None:
    await bench.deploy()
    answers: list[Any] = []

    async def deploy() -> None:
        answers.append(await bench.deploy(image="example/crash:2"))

    async with anyio.create_task_group() as group:
        group.start_soon(deploy)
        await _until(bench, lambda: len(bench.sandbox.list("ReplicaSet")) == 2)
        bench.sandbox.deny("patch", "deployments")
    (said,) = answers
    assert "failed AND ITS ROLLBACK to release 1 FAILED TOO, so it needs a person now" in said.text
    assert 'rollback_deployment(app_name="web", namespace="default", release=1)' in said.text
    assert (await bench.result(said))["rollback_failed"] is True


async def test_what_somebody_deletes_meanwhile_is_not_brought_back(bench: Any) -> None:
    await bench.deploy()
    answers: list[Any] = []

    async def deploy() -> None:
        answers.append(await bench.deploy(image="example/unready:2"))

    async with anyio.create_task_group() as group:
        group.start_soon(deploy)
        await _until(bench, lambda: len(bench.sandbox.list("ReplicaSet")) == 2)
        bench.sandbox.delete("Deployment", "web")
    assert "deployment web was deleted meanwhile" in answers[0].text
    assert "It is not brought back" in answers[0].text
    assert bench.sandbox.get("Deployment", "web") is None


async def test_without_the_right_to_keep_releases_it_is_said_and_this_process_still_goes_back(bench: Any) -> None:
    bench.sandbox.deny("create", "configmaps")
    first = await bench.deploy()
    assert not first.is_error, first.text
    assert "This release could not be recorded" in first.text
    said = await bench.deploy(image="example/crash:2")
    assert "is rolled back to" in said.text
    assert bench.container()["image"] == "example/app:1"


async def test_the_same_key_is_the_same_operation(bench: Any) -> None:
    one = await bench.deploy(idempotency_key="release-1")
    two = await bench.deploy(idempotency_key="release-1")
    assert one.operation == two.operation
    other = await bench.deploy(image="example/app:2", idempotency_key="release-1")
    assert other.code == "bad_request"


async def test_a_cancelled_deployment_is_undone(bench: Any) -> None:
    await bench.deploy()
    begun = await bench.deploy(image="example/unready:2", wait_s=0)
    said = await bench.call("cancel_operation", operation_id=begun.operation, wait_s=30)
    assert "cancelled" in said.text
    assert "rolled back to release 1" in said.text
    assert bench.container()["image"] == "example/app:1"


async def test_a_first_deployment_that_is_cancelled_stays_and_is_no_failure(bench: Any) -> None:
    begun = await bench.deploy(image="example/unready:2", wait_s=0)
    said = await bench.call("cancel_operation", operation_id=begun.operation, wait_s=30)
    assert "was cancelled and stays as it is. There is no earlier verified release" in said.text
