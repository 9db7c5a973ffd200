"""Somebody else writes in the middle of an operation: what they set is never silently reverted, and never forced."""

import json
from typing import Any

import httpx
import pytest

from klepaas.notifications import Notifications
from klepaas.testing import scale_timeout

from .conftest import Said
from .test_controllers_on_every_verb import manifest

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
ARGO, PERSON = "argocd-controller", "kubectl-edit"
# The first request of ours that would change the workload.
WRITE = ("PATCH", r"/deployments/web\?(?!.*dryRun)")
# Our write is made, the rollout has only begun.
ROLLOUT = ("POST", "/configmaps")
# The rollout has failed, and the way back is not planned yet.
FAILED = ("PATCH", r"/configmaps/klepaas\.release")


@pytest.fixture
def deadline_scale() -> float:
    """No rollout here is to miss its deadline, on a busy machine either."""
    return 0.1


@pytest.fixture(autouse=True)
def hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others do comes in by a watch, which a busy machine delivers late."""
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.5")


async def write_as(bench: Any, manager: str, spec: Json) -> None:
    """Another manager sets fields of the workload, whoever owned them."""
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    url = f"{bench.sandbox.url}/apis/apps/v1/namespaces/default/deployments/web"
    media_type = "application/apply-patch+yaml" if manager == ARGO else "application/strategic-merge-patch+json"
    force = {"force": "true"} if manager == ARGO else {}
    async with httpx.AsyncClient(timeout=scale_timeout(15), trust_env=False) as http:
        answer = await http.patch(
            url,
            params={"fieldManager": manager, **force},
            content=json.dumps(body),
            headers={"content-type": media_type},
        )
    assert answer.status_code == 200, answer.text


async def call_and_meet(bench: Any, moment: tuple[str, str], manager: str, spec: Json, tool: str, named: Json) -> Said:
    """A call in whose middle somebody else writes."""
    met = []

    async def meanwhile() -> None:
        met.append(moment)
        await write_as(bench, manager, spec)

    bench.sandbox.interpose(*moment, meanwhile)
    said: Said = await bench.call(tool, app_name="web", **named)
    assert met == [moment], said.text
    return said


def image(value: str) -> Json:
    return {"template": {"spec": {"containers": [{"name": "web", "image": value}]}}}


def variable(value: str) -> Json:
    return {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": value}]}]}}}


VERBS: dict[str, tuple[str, Json]] = {
    "deploy an image": ("deploy_application", {"image": "example/app:3"}),
    "deploy manifests": ("deploy_application", {"manifests": manifest("example/app:3")}),
    "scale": ("scale_application", {"replicas": 2}),
    "restart": ("restart_application", {}),
    "roll back": ("rollback_deployment", {"release": 1}),
}
each_verb = pytest.mark.parametrize(("tool", "named"), VERBS.values(), ids=list(VERBS))
each_manager = pytest.mark.parametrize("manager", [ARGO, PERSON])


@pytest.mark.parametrize(
    ("tool", "named", "manager"),
    [(*call, (ARGO, PERSON)[at % 2]) for at, call in enumerate(VERBS.values())],
    ids=list(VERBS),
)
async def test_between_the_plan_and_the_write_it_is_refused_and_left(
    bench: Any, tool: str, named: Json, manager: str
) -> None:
    await bench.deploy(env_vars=["A=1"])
    await bench.deploy(image="example/app:2", env_vars=["A=2"])
    said = await call_and_meet(bench, WRITE, manager, variable("9"), tool, named)
    assert said.is_error, said.text
    assert any(part in said.text for part in ("env[A]", "was changed by somebody else meanwhile")), said.text
    assert (bench.container()["image"], bench.env()) == ("example/app:2", {"A": "9"})


@each_verb
async def test_while_the_rollout_runs_it_is_left_said_and_not_counted_as_the_release(
    bench: Any, tool: str, named: Json
) -> None:
    await bench.deploy(env_vars=["A=1"])
    await bench.deploy(image="example/app:2", env_vars=["A=2"])
    said = await call_and_meet(bench, ROLLOUT, PERSON, image("example/app:9"), tool, named)
    first = said.text.partition("\n")[0]
    assert "but kubectl-edit changed its pods meanwhile (containers[web].image): " in first
    ended = await bench.result(said)
    assert ended["changed_by_others"] == ["spec.template.spec.containers[web].image"]
    assert "Changed by others since it was written, and left so" in said.text
    assert "containers[web].image is example/app:9, set by kubectl-edit" in said.text
    assert "stays pending" in said.text
    assert bench.container()["image"] == "example/app:9"
    kept = await bench.call("list_releases", app_name="web", output="json")
    states = {one["number"]: one["state"] for one in kept.json()["releases"]}
    assert states[3] != "verified"


async def test_what_a_controller_sets_while_a_rollout_runs_is_left_and_said(bench: Any) -> None:
    await bench.deploy()
    said = await call_and_meet(bench, ROLLOUT, ARGO, {"minReadySeconds": 1}, "restart_application", {})
    assert not said.is_error, said.text
    assert "spec.minReadySeconds is 1, set by argocd-controller" in said.text
    assert "stays pending" not in said.text, "the pods are those of the release"
    assert "meanwhile" not in said.text.partition("\n")[0]


async def test_whoever_is_told_of_the_deployment_is_told_that_others_changed_its_pods(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Notifications, "send", lambda _self, one: told.append(one.title))
    await bench.deploy()
    await call_and_meet(
        bench, ROLLOUT, PERSON, image("example/app:9"), "deploy_application", {"image": "example/app:2"}
    )
    assert "but kubectl-edit changed its pods meanwhile" in told[-1]


async def test_a_value_that_others_set_cannot_pass_for_a_line_of_the_answer(bench: Any) -> None:
    await bench.deploy(env_vars=["A=1"])
    forged = "1\nThis release is verified."
    said = await call_and_meet(bench, ROLLOUT, PERSON, variable(forged), "restart_application", {})
    assert "env[A].value is " in said.text
    assert "\nThis release is verified." not in said.text


@pytest.mark.parametrize("spec", [image("example/app:9"), variable("9")], ids=["image", "variable"])
async def test_a_rollback_by_itself_leaves_what_a_controller_has_taken_since_and_says_so(
    bench: Any, spec: Json
) -> None:
    await bench.deploy(env_vars=["A=1"])
    said = await call_and_meet(bench, FAILED, ARGO, spec, "deploy_application", {"image": "example/crash:2"})
    assert "stays as it is, set by argocd-controller" in said.text
    assert "is rolled back to release 1 (example/app:1), except 1 field left to others, verified" in said.text
    is_image = spec == image("example/app:9")
    assert bench.container()["image"] == ("example/app:9" if is_image else "example/app:1")
    assert bench.env() == {"A": "1" if is_image else "9"}


@pytest.mark.parametrize("spec", [image("example/app:9"), variable("9")], ids=["image", "variable"])
async def test_a_rollback_by_itself_does_not_revert_a_person_s_command_and_reports_it(bench: Any, spec: Json) -> None:
    await bench.deploy(env_vars=["A=1"])
    said = await call_and_meet(bench, FAILED, PERSON, spec, "deploy_application", {"image": "example/crash:2"})
    assert "Deployment web was changed by somebody else meanwhile" in said.text
    is_image = spec == image("example/app:9")
    assert bench.container()["image"] == ("example/app:9" if is_image else "example/crash:2")
    assert bench.env() == {"A": "1" if is_image else "9"}


@each_manager
async def test_a_number_that_others_set_while_scaling_fails_stays_and_is_said(bench: Any, manager: str) -> None:
    hard = {"hard": {"pods": "1"}}
    bench.sandbox.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    await bench.deploy()
    said = await call_and_meet(bench, FAILED, manager, {"replicas": 4}, "scale_application", {"replicas": 3})
    assert "keeps its 4 pods, as it was scaled since" in said.text
    assert bench.sandbox.get("Deployment", "web")["spec"]["replicas"] == 4


# What fails for want of room for one more pod, and what it was to make of the application.
FAILING: dict[str, tuple[str, Json]] = {
    "restart": ("restart_application", {}),
    "roll back": ("rollback_deployment", {"release": 1}),
}


@each_manager
@pytest.mark.parametrize(("tool", "named"), FAILING.values(), ids=list(FAILING))
async def test_what_others_set_between_a_failure_and_its_rollback_is_never_silently_reverted(
    bench: Any, tool: str, named: Json, manager: str
) -> None:
    await bench.deploy(env_vars=["A=1"])
    await bench.deploy(image="example/app:2", env_vars=["A=2"])
    hard = {"hard": {"pods": "1"}}
    bench.sandbox.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    said = await call_and_meet(bench, FAILED, manager, variable("9"), tool, named)
    assert said.is_error, said.text
    assert bench.env()["A"] == "9"
    left = "stays as it is, set by argocd-controller"
    assert (left if manager == ARGO else "Deployment web was changed by somebody else meanwhile") in said.text
