"""What an API server answers when an admission webhook refuses, changes, is slow or not there: on both servers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.errors import Act, error_for
from klepaas_plugins.kubernetes.sandbox import Webhook

from .api_server import MAIN, Json, Server, config_map, deployment, entries
from .webhook_server import ADMISSION, configuration, webhook_on

pytestmark = pytest.mark.anyio
MAPS = "configmaps"


async def refused(server: Server, webhook: Webhook, folder: Path, *, dry_run: bool = False) -> httpx.Response:
    """The answer to an apply of a ConfigMap that a webhook is asked about, once it is asked."""
    path = server.path(MAPS, "settings")
    async with webhook_on(server, webhook, folder):
        return await server.answers(
            lambda: server.apply(path, config_map({"a": "1"}), dry_run=dry_run),
            lambda answer: answer.status_code not in (200, 201),
        )


async def test_a_denial_without_a_code_is_400_and_explains_nothing(server: Server, tmp_path: Path) -> None:
    answer = await refused(server, Webhook(resource=MAPS, denies=True), tmp_path)
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'admission webhook "check.example.com" denied the request without explanation',
        "code": 400,
    }


@pytest.mark.parametrize("code", [401, 403, 404, 407, 409, 410, 413, 422, 425, 429, 500, 502, 503, 504, 599])
async def test_a_denial_carries_the_webhooks_code_and_no_reason_and_klepaas_reads_it_as_one(
    server: Server, tmp_path: Path, code: int
) -> None:
    answer = await refused(server, Webhook(resource=MAPS, denies=True, code=code, message="no owner"), tmp_path)
    assert answer.status_code == code
    assert "reason" not in answer.json()
    assert answer.json()["message"] == 'admission webhook "check.example.com" denied the request: no owner'
    act = Act("apply", "configmap settings", "prod", "settings", changes=True)
    error = error_for(act, answer.status_code, answer.content, answer.headers.get("retry-after"))
    assert type(error) is BadRequest
    assert "denied the request: no owner" in error.what


@pytest.mark.parametrize(("code", "shown"), [(200, 400), (0, 400)])
async def test_a_denial_with_a_code_of_success_is_400(server: Server, tmp_path: Path, code: int, shown: int) -> None:
    answer = await refused(server, Webhook(resource=MAPS, denies=True, code=code, message="no"), tmp_path)
    assert answer.status_code == shown


async def test_a_denial_with_a_reason_says_it(server: Server, tmp_path: Path) -> None:
    webhook = Webhook(resource=MAPS, denies=True, code=422, reason="Invalid", message="no owner")
    answer = await refused(server, webhook, tmp_path)
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")


async def test_a_webhook_that_cannot_be_called_is_500(server: Server, tmp_path: Path) -> None:
    webhook = Webhook(resource=MAPS, failure="dial tcp 127.0.0.1:1: connect: connection refused")
    answer = await refused(server, webhook, tmp_path)
    assert (answer.status_code, answer.json()["reason"]) == (500, "InternalError")
    said = answer.json()["message"]
    assert said.startswith(
        'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post "https://'
    )
    assert said.endswith("connect: connection refused")
    assert [cause["message"] for cause in answer.json()["details"]["causes"]] == [said.partition(": ")[2]]


async def test_a_webhook_that_does_not_answer_in_time_is_500(server: Server, tmp_path: Path) -> None:
    limit_s = 1.0 if server.is_real else 0.01
    answer = await refused(server, Webhook(resource=MAPS, delay_s=60.0, timeout_s=limit_s), tmp_path)
    assert answer.status_code == 500
    assert answer.json()["message"].startswith('Internal error occurred: failed calling webhook "check.example.com"')
    assert answer.json()["message"].endswith("context deadline exceeded")


async def test_a_failed_call_that_is_to_be_ignored_lets_through(server: Server, tmp_path: Path) -> None:
    webhook = Webhook(resource=MAPS, failure="connection refused", ignores_failure=True)
    path = server.path(MAPS, "settings")
    async with webhook_on(server, webhook, tmp_path):
        assert (await server.apply(path, config_map({"a": "1"}))).status_code == 201


async def test_a_slow_webhook_that_answers_in_time_delays_the_write(server: Server, tmp_path: Path) -> None:
    path, webhook = server.path(MAPS, "settings"), Webhook(resource=MAPS, delay_s=0.5)
    async with webhook_on(server, webhook, tmp_path):
        asked = await server.answers(
            lambda: server.apply(path, config_map({"a": "1"})), lambda answer: answer.elapsed.total_seconds() >= 0.5
        )
    assert asked.status_code in (200, 201)


async def test_an_apply_that_changes_nothing_is_denied_too(server: Server, tmp_path: Path) -> None:
    await server.apply(server.path(MAPS, "settings"), config_map({"a": "1"}))
    answer = await refused(server, Webhook(resource=MAPS, denies=True, code=409), tmp_path)
    assert answer.status_code == 409
    assert not answer.json().get("details")


async def test_a_dry_run_is_denied_as_a_write_is(server: Server, tmp_path: Path) -> None:
    answer = await refused(server, Webhook(resource=MAPS, denies=True, code=403), tmp_path, dry_run=True)
    assert answer.status_code == 403
    assert "reason" not in answer.json()


async def test_a_deletion_can_be_denied(server: Server, tmp_path: Path) -> None:
    path = server.path(MAPS, "settings")
    await server.apply(path, config_map({"a": "1"}, finalizers=["example.com/wait"]))
    async with webhook_on(server, Webhook(resource=MAPS, denies=True, code=429, operations=("DELETE",)), tmp_path):
        answer = await server.answers(lambda: server.http.delete(path), lambda answer: answer.status_code != 200)
    await server.patch(path, {"metadata": {"finalizers": None}})
    assert answer.status_code == 429
    assert "denied the request" in answer.json()["message"]


async def test_what_a_webhook_changes_is_in_the_answer_and_nobody_owns_it(server: Server, tmp_path: Path) -> None:
    path, body = server.path(MAPS, "settings"), config_map({"a": "1"})
    async with webhook_on(server, Webhook(resource=MAPS, merge={"data": {"b": "2"}}), tmp_path):
        tried = await server.answers(
            lambda: server.apply(path, body, dry_run=True), lambda answer: len(answer.json()["data"]) > 1
        )
        made = (await server.apply(path, body)).json()
    assert tried.json()["data"] == made["data"] == {"a": "1", "b": "2"}
    assert entries(made) == {MAIN: {"f:data": {"f:a": {}}}}


async def test_what_a_webhook_changes_of_ones_own_fields_stays_ones_own(server: Server, tmp_path: Path) -> None:
    path, body = server.path(MAPS, "settings"), config_map({"a": "1"})
    async with webhook_on(server, Webhook(resource=MAPS, merge={"data": {"a": "2"}}), tmp_path):
        await server.answers(
            lambda: server.apply(path, body, dry_run=True), lambda answer: answer.json()["data"] == {"a": "2"}
        )
        made = (await server.apply(path, body)).json()
        again = await server.apply(path, body)
    assert made["data"] == {"a": "2"}
    assert entries(made) == {MAIN: {"f:data": {"f:a": {}}}}
    assert (again.status_code, again.json()["data"]) == (200, {"a": "2"})


async def test_a_webhook_with_side_effects_cannot_be_registered(server: Server, tmp_path: Path) -> None:
    if server.sandbox is not None:
        pytest.skip("the sandbox serves no objects that configure webhooks")
    for effects in ("Some", "Unknown"):
        body = configuration(server, Webhook(resource=MAPS), 1, tmp_path, effects)
        answer = await server.post(f"/apis/{ADMISSION}/validatingwebhookconfigurations", body)
        assert answer.status_code == 422
        assert [cause["field"] for cause in answer.json()["details"]["causes"]] == ["webhooks[0].sideEffects"]


async def test_an_old_webhook_with_side_effects_refuses_every_dry_run_and_no_write(
    server: Server, tmp_path: Path
) -> None:
    if server.sandbox is None:
        pytest.skip("a real server registers no such webhook any more")
    answer = await refused(server, Webhook(resource=MAPS, supports_dry_run=False), tmp_path, dry_run=True)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")
    assert answer.json()["message"] == 'admission webhook "check.example.com" does not support dry run'
    assert (await server.apply(server.path(MAPS, "settings"), config_map({"a": "1"}))).status_code == 201


async def test_a_webhook_that_denies_pods_lets_a_workload_in_and_holds_its_pods_back(
    server: Server, tmp_path: Path
) -> None:
    webhook = Webhook(resource="pods", denies=True, code=403, message="unsigned image", operations=("CREATE",))
    pod: Json = {"metadata": {"name": "p"}, "spec": deployment()["spec"]["template"]["spec"]}
    async with webhook_on(server, webhook, tmp_path):
        await server.answers(
            lambda: server.post(server.path("pods"), pod, dryRun="All"), lambda answer: answer.status_code == 403
        )
        assert (await server.apply(server.deployment(), deployment())).status_code == 201
        found = await server.until(server.deployment(), _failed)
    assert _failed(found)[0]["message"].endswith(
        'admission webhook "check.example.com" denied the request: unsigned image'
    )


def _failed(found: Json) -> list[Json]:
    conditions = (found.get("status") or {}).get("conditions") or []
    return [one for one in conditions if (one["type"], one["status"]) == ("ReplicaFailure", "True")]


async def test_a_webhook_is_gone_after_as_many_requests_as_it_was_to_be_asked_about(
    server: Server, tmp_path: Path
) -> None:
    if server.sandbox is None:
        pytest.skip("a knob of the sandbox")
    await refused(server, Webhook(resource=MAPS, denies=True, times=1), tmp_path)
    assert (await server.apply(server.path(MAPS, "settings"), config_map({"a": "1"}))).status_code == 201
    server.sandbox.add_webhook(Webhook(resource="*", denies=True))
    server.sandbox.clear_faults()
    assert (await server.apply(server.path(MAPS, "settings"), config_map({"a": "2"}))).status_code == 200
