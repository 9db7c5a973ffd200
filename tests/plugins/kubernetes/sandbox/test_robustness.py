"""Whatever is sent, the sandbox refuses it in an API server's words or stores it, and goes on."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

Json = dict[str, Any]
POD: Json = {
    "containers": [
        {
            "name": "main",
            "image": "nginx:1",
            "ports": [{"containerPort": 80, "name": "http"}],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            ],
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "1Gi"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }
    ],
    "volumes": [{"name": "v", "configMap": {"name": "c"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}],
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
}
LABELS = {"app": "x"}
SELECTOR = {"matchLabels": LABELS}
PORT = {"port": 80, "targetPort": "http"}
ROLLING = {"rollingUpdate": {"maxSurge": 1}}
TEMPLATE: Json = {"metadata": {"labels": LABELS}, "spec": POD}
WORKLOAD: Json = {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}
SCHEMA = {
    "openAPIV3Schema": {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    }
}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "s"}
VALID: dict[str, Json] = {
    "/api/v1/namespaces/default/pods": {"spec": POD},
    "/api/v1/namespaces/default/configmaps": {"data": {"k": "v"}},
    "/api/v1/namespaces/default/services": {"spec": {"selector": LABELS, "ports": [PORT]}},
    "/api/v1/namespaces/default/resourcequotas": {"spec": {"hard": {"pods": "9", "requests.cpu": "1"}}},
    "/api/v1/namespaces/default/limitranges": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
    "/api/v1/namespaces/default/persistentvolumeclaims": {"spec": CLAIM},
    "/api/v1/nodes": {"spec": {"unschedulable": True}},
    "/apis/apps/v1/namespaces/default/deployments": {"spec": {**WORKLOAD, "strategy": ROLLING}},
    "/apis/apps/v1/namespaces/default/replicasets": {"spec": WORKLOAD},
    "/apis/apps/v1/namespaces/default/statefulsets": {
        "spec": {**WORKLOAD, "serviceName": "x", "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": CLAIM}]}
    },
    "/apis/apps/v1/namespaces/default/daemonsets": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "/apis/batch/v1/namespaces/default/jobs": {
        "spec": {"completions": 1, "template": {"spec": {**POD, "restartPolicy": "Never"}}}
    },
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}
    },
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets": {
        "spec": {"minAvailable": "50%", "selector": {"matchLabels": LABELS}}
    },
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "x", "kind": "X"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
        }
    },
}  # fmt: skip
WRONG = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "-1", "1Gi", "50%", "..", "a" * 300, "\ud800", "\x00", "yes", "日本"]),
    st.just([]), st.just({}), st.just([None]), st.just([1, "x"]), st.just({"a": {"b": [1]}}), st.just([[[[]]]]),
    st.just([{}]), st.just({"": ""}),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything below a value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, item in below for one in ((*path, key), *places(item, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Json]:
    path = draw(st.sampled_from(sorted(VALID)))
    name = "x.example.com" if "customresource" in path else "x"
    obj = copy.deepcopy({"metadata": {"name": name, "labels": LABELS, "ownerReferences": [OWNER]}, **VALID[path]})
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(obj)))
        at = obj
        for key in place[:-1]:
            at = at[key]
        if draw(st.booleans()) and isinstance(at, dict):
            at[draw(st.sampled_from(["x", "name", "spec", "0"]))] = copy.deepcopy(draw(WRONG))
        else:
            at[place[-1]] = copy.deepcopy(draw(WRONG))
        if not places(obj):
            break
    return path, obj


async def post(objects: list[tuple[str, Json]]) -> list[httpx.Response]:
    async with (
        Sandbox(Timing.instant()) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url, trust_env=False, timeout=scale_timeout(20)) as client,
    ):
        answers = []
        for path, obj in objects:
            answers.append(
                await client.post(path, content=json.dumps(obj), headers={"content-type": "application/json"})
            )
            answers.append(await client.get(path, headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}))
        await anyio.sleep(0.02)
        made = await client.post("/api/v1/namespaces/default/pods", json={"metadata": {"name": "last"}, "spec": POD})
        assert made.status_code in (201, 403)
        pod = {"metadata": {"name": "after"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
        await client.post("/api/v1/namespaces/kube-public/pods", json=pod)
        with anyio.fail_after(scale_timeout(10)):
            while (sandbox.get("Pod", "after", "kube-public") or {"status": {}})["status"].get("phase") != "Running":
                await sandbox.changed()
        return answers


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(mutated(), min_size=10, max_size=20))
def test_mutated_objects_are_refused_or_stored_and_the_sandbox_lives(objects: list[tuple[str, Json]]) -> None:
    for answer in anyio.run(post, objects):
        body = answer.json()
        assert answer.status_code in (200, 201, 400, 403, 404, 409, 422), body
        if answer.status_code >= 400:
            assert body["kind"] == "Status"


APPLY = "application/apply-patch+yaml"
JSON = "application/json"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"a', "unexpected end of JSON input"),
        (b"[1]", "json: cannot unmarshal array into Go value of type struct"),
        (b'{"kind":5}', "cannot unmarshal number into Go struct field .kind of type string"),
        (b'{"a":' * 100_000, "exceeded max depth"),
        (b'{"data":{"a":NaN}}', "invalid character 'N'"),
        (
            b'{"metadata":{"name":"c"},"data":{"a":1}}',
            "cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (b'{"metadata":"c"}', "cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta"),
    ],
)
async def test_what_is_no_object_is_refused_in_the_words_of_go(api: httpx.AsyncClient, body: bytes, said: str) -> None:
    response = await api.post(MAPS, content=body, headers={"content-type": JSON})
    assert response.status_code == 400
    assert said in response.json()["message"]


@pytest.mark.anyio
async def test_a_body_of_four_megabytes_is_too_large(api: httpx.AsyncClient) -> None:
    response = await api.post(MAPS, content=b" " * 4_000_000, headers={"content-type": JSON})
    assert response.status_code == 413
    assert response.json()["message"] == "Request entity too large: limit is 3145728"


@pytest.mark.anyio
async def test_yaml_that_refers_to_itself_too_often_is_refused(api: httpx.AsyncClient) -> None:
    lines = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: c}", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    response = await api.patch(f"{MAPS}/c?fieldManager=k", content="\n".join(lines), headers={"content-type": APPLY})
    assert response.status_code == 400
    assert response.json()["message"].endswith("yaml: document contains excessive aliasing")
    recursive = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: &d {a: *d}\n"
    response = await api.patch(f"{MAPS}/c?fieldManager=k", content=recursive, headers={"content-type": APPLY})
    assert response.status_code == 400


@pytest.mark.anyio
async def test_yaml_dates_and_numbers_stay_what_they_were_written_as(api: httpx.AsyncClient) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {day: '2026-01-01', 5: x, on: 'y'}\n"
    response = await api.patch(f"{MAPS}/c?fieldManager=k", content=text, headers={"content-type": APPLY})
    assert response.json()["data"] == {"day": "2026-01-01", "5": "x", "true": "y"}


@pytest.mark.anyio
async def test_a_controller_that_fails_is_logged_and_tried_again_and_ends_nothing(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, deployment: Callable[..., Json]
) -> None:
    broken = deployment("broken", "nginx:1")
    broken["metadata"]["generation"] = 1
    broken["spec"]["replicas"] = "three"
    with caplog.at_level(logging.ERROR):
        sandbox.plant(broken)
        sandbox.create(deployment("sound", "nginx:1", 1))
        with anyio.fail_after(scale_timeout(10)):
            while not (sandbox.get("Deployment", "sound") or {}).get("status", {}).get("readyReplicas"):
                await sandbox.changed()
        with anyio.fail_after(scale_timeout(10)):
            while sum("default/broken" in record.getMessage() for record in caplog.records) < 2:
                await anyio.lowlevel.checkpoint()
    sandbox.delete("Deployment", "broken")
