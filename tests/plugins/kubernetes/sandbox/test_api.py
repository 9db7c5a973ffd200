"""The verbs of the sandbox: selectors, pages, watches, apply, dry run, faults, and a clean stop."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml

from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing, mutating

pytestmark = pytest.mark.anyio
Until = Callable[[Callable[[], Any]], Awaitable[None]]
MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
APPLY = {"content-type": "application/apply-patch+yaml"}
MERGE = {"content-type": "application/merge-patch+json"}


def config_map(name: str, data: dict[str, str] | None = None, **labels: str) -> dict[str, Any]:
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data or {}}


def names(response: httpx.Response) -> list[str]:
    return [item["metadata"]["name"] for item in response.json()["items"]]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=web", ["a", "b"]),
        ("tier==web,env!=test", ["a"]),
        ("env in (test, live)", ["a", "b"]),
        ("env notin (test)", ["a", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
    ],
)
async def test_label_selectors_select(
    sandbox: Sandbox, api: httpx.AsyncClient, selector: str, found: list[str]
) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    for name, labels in {"a": {"tier": "web", "env": "live"}, "b": {"tier": "web", "env": "test"}, "c": {}}.items():
        made = config_map(name, None, **labels)
        made["metadata"]["namespace"] = "team"
        sandbox.create(made)
    listed = names(await api.get("/api/v1/namespaces/team/configmaps", params={"labelSelector": selector}))
    assert [name for name in listed if name != "kube-root-ca.crt"] == found


async def test_pages_add_up_to_the_whole(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    for index in range(5):
        sandbox.create(config_map(f"m{index}", None, page="yes"))
    seen: list[str] = []
    token = ""
    while True:
        params = {"limit": "2", "labelSelector": "page=yes", **({"continue": token} if token else {})}
        response = await api.get(MAPS, params=params)
        seen += names(response)
        token = response.json()["metadata"].get("continue", "")
        if not token:
            break
    assert seen == [f"m{index}" for index in range(5)]


async def test_a_watch_says_what_enters_changes_and_leaves_a_selection(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    version = (await api.get(MAPS)).json()["metadata"]["resourceVersion"]
    params = {"watch": "1", "resourceVersion": version, "labelSelector": "on=yes", "timeoutSeconds": "5"}
    seen: list[str] = []
    with anyio.fail_after(scale_timeout(5)):
        async with api.stream("GET", MAPS, params=params) as stream:
            sandbox.create(config_map("a", None, on="yes"))
            sandbox.create(config_map("b"))
            await api.patch(f"{MAPS}/a", json={"data": {"k": "v"}}, headers=MERGE)
            await api.patch(f"{MAPS}/a", json={"metadata": {"labels": {"on": "no"}}}, headers=MERGE)
            await api.patch(f"{MAPS}/a", json={"metadata": {"labels": {"on": "yes"}}}, headers=MERGE)
            await api.delete(f"{MAPS}/a")
            async for line in stream.aiter_lines():
                event = json.loads(line)
                seen.append(event["type"])
                assert event["object"]["metadata"]["name"] == "a"
                if len(seen) == 5:
                    break
    assert seen == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]


async def test_a_watch_ends_at_its_timeout(api: httpx.AsyncClient) -> None:
    with anyio.fail_after(scale_timeout(5)):
        response = await api.get(MAPS, params={"watch": "1", "resourceVersion": "0", "timeoutSeconds": "1"})
    kinds = [json.loads(line)["type"] for line in response.text.splitlines()]
    assert set(kinds) == {"ADDED"}


async def test_apply_takes_away_what_is_no_longer_applied(api: httpx.AsyncClient) -> None:
    first = config_map("a", {"kept": "1", "dropped": "2"})
    await api.patch(f"{MAPS}/a?fieldManager=one", content=json.dumps(first), headers=APPLY)
    await api.patch(f"{MAPS}/a", json={"data": {"theirs": "3"}}, headers=MERGE)
    response = await api.patch(
        f"{MAPS}/a?fieldManager=one", content=yaml.safe_dump(config_map("a", {"kept": "1"})), headers=APPLY
    )
    assert response.json()["data"] == {"kept": "1", "theirs": "3"}


async def test_apply_keeps_what_two_managers_share(api: httpx.AsyncClient) -> None:
    both = json.dumps(config_map("a", {"shared": "1"}))
    for manager in ("one", "two"):
        await api.patch(f"{MAPS}/a?fieldManager={manager}", content=both, headers=APPLY)
    response = await api.patch(f"{MAPS}/a?fieldManager=one", content=json.dumps(config_map("a")), headers=APPLY)
    assert response.json()["data"] == {"shared": "1"}


async def test_apply_conflicts_name_every_field_and_force_takes_them(api: httpx.AsyncClient) -> None:
    await api.patch(
        f"{MAPS}/a?fieldManager=one", content=json.dumps(config_map("a", {"x": "1", "y": "1"})), headers=APPLY
    )
    wanted = json.dumps(config_map("a", {"x": "2", "y": "2"}))
    refused = await api.patch(f"{MAPS}/a?fieldManager=two", content=wanted, headers=APPLY)
    assert refused.status_code == 409
    assert refused.json()["message"] == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'
    assert [cause["field"] for cause in refused.json()["details"]["causes"]] == [".data.x", ".data.y"]
    forced = await api.patch(f"{MAPS}/a?fieldManager=two&force=true", content=wanted, headers=APPLY)
    assert forced.json()["data"] == {"x": "2", "y": "2"}
    assert [entry["manager"] for entry in forced.json()["metadata"]["managedFields"]] == ["two"]


async def test_apply_conflicts_with_an_update_say_so(api: httpx.AsyncClient) -> None:
    await api.post(MAPS, json=config_map("a", {"x": "1"}), params={"fieldManager": "editor"})
    refused = await api.patch(
        f"{MAPS}/a?fieldManager=two", content=json.dumps(config_map("a", {"x": "2"})), headers=APPLY
    )
    assert 'conflict with "editor" using v1 at ' in refused.json()["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_dry_run_changes_nothing(sandbox: Sandbox, api: httpx.AsyncClient, method: str) -> None:
    sandbox.create(config_map("a", {"x": "1"}))
    before = (await api.get(MAPS)).json()
    name = "b" if method == "POST" else "a"
    path = MAPS if method == "POST" else f"{MAPS}/a"
    headers = MERGE if method == "PATCH" else {"content-type": "application/json"}
    body = None if method == "DELETE" else json.dumps(config_map(name, {"x": "2"}))
    sandbox.clear_requests()
    response = await api.request(method, path, params={"dryRun": "All"}, content=body, headers=headers)
    assert response.status_code in (200, 201)
    assert (await api.get(MAPS)).json() == before
    assert not any(mutating(request) for request in sandbox.requests)


async def test_requests_are_recorded_with_what_they_would_change(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=review)
    await api.post(MAPS, json=config_map("a"))
    assert [mutating(request) for request in sandbox.requests] == [False, True]
    assert sandbox.requests[1].parsed["metadata"]["name"] == "a"


async def test_deleting_a_collection_deletes_all_of_it(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.create(config_map("a", None, on="yes"))
    sandbox.create(config_map("b", None, on="yes"))
    response = await api.delete(MAPS, params={"labelSelector": "on=yes"})
    assert names(response) == ["a", "b"]
    assert sandbox.get("ConfigMap", "a") is None


async def test_custom_resources_appear_with_their_definition(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [version],
    }  # fmt: skip
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    assert (await api.get("/apis/example.com/v1")).status_code == 404
    sandbox.create({**head, "metadata": {"name": "widgets.example.com"}, "spec": spec})
    assert [one["name"] for one in (await api.get("/apis/example.com/v1")).json()["resources"]] == ["widgets"]
    sandbox.delete("CustomResourceDefinition", "widgets.example.com")
    assert (await api.get("/apis/example.com/v1/namespaces/default/widgets")).status_code == 404


async def test_a_denied_verb_is_refused_in_the_words_of_rbac(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.deny("list", "secrets", "default")
    response = await api.get("/api/v1/namespaces/default/secrets")
    assert response.status_code == 403
    assert response.json()["message"].endswith(
        'cannot list resource "secrets" in API group "" in the namespace "default"'
    )
    assert (await api.get("/api/v1/namespaces/kube-system/secrets")).status_code == 200
    asked = {"spec": {"resourceAttributes": {"namespace": "default", "verb": "list", "resource": "secrets"}}}
    review = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=asked)
    assert review.json()["status"]["allowed"] is False


async def test_a_planted_failure_ends_when_its_times_are_up(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.fail("GET", "configmaps", 503, reason="ServiceUnavailable", message="try later", times=2)
    codes = [(await api.get(MAPS)).status_code for _ in range(3)]
    assert codes == [503, 503, 200]


async def test_credentials_may_run_out(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.unauthorized_after(1)
    assert [(await api.get(MAPS)).status_code for _ in range(3)] == [200, 401, 401]


async def test_a_hanging_path_never_answers(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.hang("configmaps")
    with pytest.raises(httpx.ReadTimeout):
        await api.get(MAPS, timeout=0.2)
    assert (await api.get("/api/v1/nodes")).status_code == 200


async def test_planted_logs_are_read_back(sandbox: Sandbox, api: httpx.AsyncClient, until: Until) -> None:
    spec = {"containers": [{"name": "main", "image": "nginx:1"}]}
    sandbox.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1"}, "spec": spec})
    pod = "/api/v1/namespaces/default/pods/web-1"
    refused = await api.get(f"{pod}/log")
    assert refused.status_code == 400
    sandbox.set_log("default", "web-", "one\ntwo\nthree")
    await until(lambda: (sandbox.get("Pod", "web-1") or {})["status"]["phase"] == "Running")
    assert (await api.get(f"{pod}/log", params={"tailLines": "2"})).text == "two\nthree\n"
    assert (await api.get(f"{pod}/log", params={"limitBytes": "3"})).text == "one"
    previous = await api.get(f"{pod}/log", params={"previous": "true"})
    assert previous.json()["message"] == 'previous terminated container "main" in pod "web-1" not found'


async def test_what_the_sandbox_does_not_do_it_says(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    spec = {"containers": [{"name": "main", "image": "nginx:1"}]}
    sandbox.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
    response = await api.post("/api/v1/namespaces/default/pods/web/exec", params={"command": "sh"})
    assert response.status_code == 501
    assert response.json()["reason"] == "NotImplemented"


async def test_it_stops_at_once_with_watches_and_hanging_requests_open() -> None:
    async with anyio.create_task_group() as group:
        async with Sandbox(Timing.instant()) as sandbox:
            sandbox.hang("/api/v1/nodes")

            async def hold(path: str) -> None:
                async with httpx.AsyncClient(trust_env=False, timeout=scale_timeout(30)) as client:
                    try:
                        await client.get(f"{sandbox.url}{path}")
                    except httpx.HTTPError:
                        return

            group.start_soon(hold, f"{MAPS}?watch=1")
            group.start_soon(hold, "/api/v1/nodes")
            with anyio.fail_after(scale_timeout(5)):
                while len(sandbox.requests) < 2:
                    await anyio.lowlevel.checkpoint()
            began_s = time.monotonic()
        assert time.monotonic() - began_s < time_budget(3, "an end would wait for requests that hang")


async def test_its_kubeconfig_is_for_its_owner_only(tmp_path: Path) -> None:
    async with Sandbox(Timing.instant(), token="t0k3n") as sandbox:
        path = sandbox.write_kubeconfig(tmp_path / "config")
        assert path.stat().st_mode & 0o777 == 0o600
        content = yaml.safe_load(path.read_text())
        assert content["current-context"] == "sandbox"
        assert content["users"][0]["user"] == {"token": "t0k3n"}
        async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
            assert (await client.get("/api/v1/pods")).status_code == 403
            allowed = await client.get("/api/v1/pods", headers={"authorization": "Bearer t0k3n"})
            assert allowed.status_code == 200


async def test_two_thousand_pods_are_listed_as_a_table_quickly(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    spec = {"containers": [{"name": "main", "image": "nginx:1"}], "nodeName": "elsewhere"}
    state = {"name": "main", "state": {"running": {}}, "lastState": {}, "ready": True, "restartCount": 0}
    for index in range(2000):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{index}"}, "spec": spec}
        sandbox.plant({**pod, "status": {"phase": "Running", "containerStatuses": [state]}})
    began_s = time.process_time()
    response = await api.get("/api/v1/pods", params={"includeObject": "None"}, headers=TABLE)
    assert len(response.json()["rows"]) == 2000
    assert time.process_time() - began_s < time_budget(2, "the work would grow with the square of the size")
