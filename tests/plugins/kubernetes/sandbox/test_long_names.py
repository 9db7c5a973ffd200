"""Names of pods, ReplicaSets and slices are shortened as an API server and its controllers shorten them."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]{5}"


def _pods(sandbox: Sandbox) -> list[str]:
    return [pod["metadata"]["name"] for pod in sandbox.list("Pod", "default")]


@pytest.mark.parametrize("length", [10, 46, 47, 57, 58, 59, 63, 64, 230, 242, 243, 253])
async def test_a_pod_of_a_deployment_has_at_most_63_characters_and_its_replicaset_253(
    sandbox: Sandbox, until: Until, length: int
) -> None:
    name, labels = "d" * length, {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "nginx:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    sandbox.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    await until(lambda: _pods(sandbox))
    (replica_set,) = sandbox.list("ReplicaSet", "default")
    owner, suffix = replica_set["metadata"]["name"], replica_set["metadata"]["labels"]["pod-template-hash"]
    assert owner == f"{name[: 253 - 1 - len(suffix)]}-{suffix}"
    base = f"{owner}-" if len(owner) < 253 else owner
    (pod,) = _pods(sandbox)
    assert re.fullmatch(re.escape(base[:58]) + _RANDOM, pod)
    assert len(pod) <= 63


async def test_a_daemon_set_and_a_job_shorten_the_names_of_their_pods(sandbox: Sandbox, until: Until) -> None:
    labels = {"app": "d"}
    pod = {"containers": [{"name": "m", "image": "nginx:1"}]}
    sandbox.create({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d" * 253},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    })  # fmt: skip
    sandbox.create({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j" * 63},
        "spec": {"template": {"spec": {**pod, "restartPolicy": "Never"}}},
    })  # fmt: skip
    await until(lambda: len(_pods(sandbox)) == 3)
    expected = [re.compile("d" * 58 + _RANDOM)] * 2 + [re.compile("j" * 58 + _RANDOM)]
    assert all(one.fullmatch(name) for one, name in zip(expected, sorted(_pods(sandbox)), strict=True))


async def test_a_stateful_set_whose_pods_labels_would_be_too_long_makes_none_and_says_so(
    sandbox: Sandbox, until: Until
) -> None:
    labels = {"app": "s"}
    sandbox.create({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s" * 62},
        "spec": {
            "replicas": 1, "serviceName": "s", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "nginx:1"}]}},
        },
    })  # fmt: skip
    await until(lambda: [one for one in sandbox.list("Event", "default") if one["reason"] == "FailedCreate"])
    failed = next(one for one in sandbox.list("Event", "default") if one["reason"] == "FailedCreate")
    assert "must be no more than 63 bytes" in failed["message"]
    assert _pods(sandbox) == []


async def test_a_generated_name_is_cut_before_its_random_end_and_a_long_label_is_refused(
    api: httpx.AsyncClient,
) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    made = await api.post(path, json={"metadata": {"generateName": "c" * 70}})
    assert re.fullmatch("c" * 58 + _RANDOM, made.json()["metadata"]["name"])
    assert made.json()["metadata"]["generateName"] == "c" * 70
    refused = await api.post(path, json={"metadata": {"name": "x", "labels": {"a": "b" * 64}}})
    assert refused.status_code == 422
    assert "must be no more than 63 bytes" in refused.json()["message"]
    labels = {"a": "b" * 64}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "nginx:1"}]}}
    refused = await api.post(
        "/apis/apps/v1/namespaces/default/deployments",
        json={"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": labels}, "template": template}},
    )
    assert refused.status_code == 422
    assert "spec.template.labels" in refused.json()["message"]
    for selector in (f"a={'b' * 64}", f"a in (x,{'b' * 64})"):
        refused = await api.get(path, params={"labelSelector": selector})
        assert refused.status_code == 400
        assert "must be no more than 63 bytes" in refused.json()["message"]


async def test_the_slice_of_a_service_has_a_shortened_name(sandbox: Sandbox, until: Until) -> None:
    name = "s" * 63
    sandbox.create({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": "s"}, "ports": [{"port": 80}]},
    })  # fmt: skip
    await until(lambda: sandbox.list("EndpointSlice", "default"))
    (found,) = sandbox.list("EndpointSlice", "default")
    assert re.fullmatch("s" * 58 + _RANDOM, found["metadata"]["name"])
