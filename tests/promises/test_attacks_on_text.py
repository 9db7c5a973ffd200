"""Attacks on what an answer is made of, each a sentence: none brings out a secret, or tells whether a guess is right.

Over an MCP session on the sandbox; those that a real API server can be made to play also on one:

    KLEPAAS_TEST_KUBECONFIG=~/.kube/config pytest -m cluster tests/promises/test_attacks_on_text.py
"""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .attack_registry import ON_ANY, ON_SANDBOX, attack
from .attack_world import World, obj, real_client, session
from .attacks_on_selection import with_vaults

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]
# Read before the tests' fixtures take every setting away.
REAL = os.environ.get("KLEPAAS_TEST_KUBECONFIG")


# Messages of the API server, as a real one writes them.
def refuse(world: World, message: str, *, method: str = "PATCH", status: int = 422, reason: str = "Invalid") -> None:
    """Have the API server refuse a Deployment with a message."""
    world.fake.fail(method, "/deployments", status, reason=reason, message=message)


async def dry_run_refused(world: World, message: str, **more: Any) -> list[str]:
    refuse(world, message.replace("SECRET", world.secret), **more)
    shown = await world.dry_run(obj("Deployment", "web", spec={"replicas": 2}))
    assert "web" in shown
    return [shown]


GO = (
    'core.PodTemplateSpec{Spec:core.PodSpec{Containers:[]core.Container{core.Container{Name:"a", '
    'Command:[]string{"sh", "-c", "run SECRET"}, Env:[]core.EnvVar{core.EnvVar{Name:"X", Value:"SECRET"}}}}}}'
)
MESSAGES = {
    "a field that is immutable is quoted as JSON": 'Deployment.apps "web" is invalid: spec.template: Invalid value: '
    '{"spec":{"containers":[{"env":[{"name":"X","value":"SECRET"}]}]}}: field is immutable',
    "a field that is immutable is quoted in Go's syntax": f'Job.batch "web" is invalid: spec.template: Invalid value: '
    f"{GO}: field is immutable",
    "a struct that the message cuts off has no closing brace": f"spec.template: Invalid value: {GO[:-4]}",
    "a map is quoted in Go's syntax": 'spec: Invalid value: map[string]interface {}{"color":"SECRET"}: no',
    "the difference to the live pod is printed": 'Pod "web" is invalid: spec: Forbidden: pod updates may not change '
    "fields other than `spec.containers[*].image`\n@@ -3,7 +3,7 @@\n-  X=SECRET\n+  X=other",
    "the difference is printed as go-cmp prints it": 'Pod "web" is invalid: spec: Forbidden: pod updates may not '
    "change fields\n  core.PodSpec{\n  \t... // 2 identical fields\n- \tArgs: SECRET,\n+ \tArgs: nil,\n  }",
    "the value of a variable is quoted": 'Deployment.apps "web" is invalid: '
    'spec.template.spec.containers[0].env[0].value: Invalid value: "SECRET": must not',
    "a command is quoted as a list": 'spec.template.spec.containers[0].command: Invalid value: ["sh","SECRET"]: no',
    "a number under a secret's name is quoted": "spec.pin: Invalid value: SECRET: must be longer",
    "a typed patch quotes what it met": "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): "
    ".spec.template: expected map, got &{SECRET}",
    "a decoder quotes the body around its mistake": 'Secret in version "v1" cannot be handled as a Secret: illegal '
    'base64 data at input byte 6, error found in #10 byte of ...|word":"SECRET"},"k|..., bigger context ...|{"data":'
    '{"x":"SECRET"}|...',
    "a webhook quotes the object as JSON": 'admission webhook "guard.example" denied the request: no: '
    '{"kind":"Pod","spec":{"containers":[{"args":["SECRET"]}]}}',
    "a webhook quotes the object as YAML": 'admission webhook "guard.example" denied the request:\n'
    "data:\n  db_password: SECRET\n  token: |\n    SECRET\n",
}


@pytest.mark.parametrize("case", MESSAGES)
async def test_a_refusal_tells_no_value_where(world: World, case: str) -> None:
    if world.sandbox is None:
        pytest.skip("a real server is not told what to answer")
    for shown in await dry_run_refused(world, MESSAGES[case]):
        assert world.leaks(shown) == [], shown


@attack("an operation's outcome quotes the object that the server refused")
async def _outcome(world: World) -> list[str]:
    # The dry run of the plan passes, else there would be no operation.
    message = MESSAGES["a field that is immutable is quoted as JSON"].replace("SECRET", world.secret)
    world.fake.fail("PATCH", r"/deployments/(?!.*dryRun)", 422, reason="Invalid", message=message)
    first = await world.ask("deploy_application", app_name="web", image="example/app:1", wait_s=45)
    operation = first.partition("Operation: ")[2].split()[0].split("\\")[0]
    return [first, await world.ask("get_operation", operation_id=operation)]


@attack("an immutable selector is quoted whole", everywhere=True)
async def _selector(world: World) -> list[str]:
    labels = {"app": "web"}
    container = {"name": "main", "image": "example/app:1", "env": [{"name": "X_TOKEN", "value": world.secret}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    web = obj("Deployment", "web", spec={"selector": {"matchLabels": labels}, "template": template})
    await world.plant(web)
    web["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    return [await world.dry_run(web, take_ownership=True)]


@attack("a custom resource's secret that breaks a rule is quoted", everywhere=True)
async def _rule(world: World) -> list[str]:
    await with_vaults(world, password={"type": "string", "maxLength": 3})
    return [await world.dry_run(obj("Vault", "v", spec={"password": world.secret}))]


@attack("an event quotes the pod that could not be made", everywhere=True)
async def _event(world: World) -> list[str]:
    quoted = 'Error creating: Pod "x" is invalid: spec: Invalid value: {"env":[{"name":"A","value":"SECRET"}]}: no'
    await world.plant(event(quoted.replace("SECRET", world.secret)))
    return [
        await world.ask("k8s_events"),
        await world.ask("k8s_get", kind="events"),
        await world.ask("k8s_get", kind="events", output="yaml"),
        await world.ask("k8s_get", kind="events", columns="M:.message"),
    ]


@attack("an event quotes a hook's command", everywhere=True)
async def _hook(world: World) -> list[str]:
    await world.plant(event(f'Exec lifecycle hook ([/bin/sh -c curl -u a:{world.secret} x]) for Container "a" failed'))
    return [await world.ask("k8s_events"), await world.ask("k8s_get", kind="events", output="wide")]


@attack("an event's message is cut in the middle of a token", everywhere=True)
async def _event_cut(world: World) -> list[str]:
    shown = []
    for at, before in enumerate((370, 380, 390, 396)):
        await world.plant(event("x" * before + f" ghp_{world.secret}{world.secret} and more" * 2, f"e{at}"))
        shown.append(await world.ask("k8s_events"))
    return shown


@attack("two events differ only in the secret that they quote", everywhere=True)
async def _event_count(world: World) -> list[str]:
    for at, value in enumerate((world.secret, world.wrong)):
        await world.plant(event(f"login failed: password={value}", f"e{at}"))
    shown = await world.ask("k8s_events")
    assert "x2" in shown, shown
    return [shown]


@attack("a container's state quotes what it could not start")
async def _state(world: World) -> list[str]:
    # No node takes it, so that its status stays as it is planted.
    container = {"name": "main", "image": "example/app:1", "resources": {"requests": {"cpu": "900"}}}
    await world.plant(obj("Pod", "web", spec={"containers": [container]}))
    with anyio.fail_after(scale_timeout(10)):
        while not (world.fake.get("pods", "web", world.namespace) or {}).get("status", {}).get("conditions"):
            await world.fake.changed()
    message = f'spec.x: Invalid value: {{"a":"{world.secret}"}}; command "run --password {world.secret}" failed'
    waiting = {"waiting": {"reason": "CreateContainerError", "message": message}}
    one = {"name": "main", "ready": False, "restartCount": 0, "state": waiting}
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"phase": "Pending", "containerStatuses": [one], "conditions": [unscheduled]}
    answer = await world.http.patch(
        f"/api/v1/namespaces/{world.namespace}/pods/web/status",
        json={"status": status},
        headers={"content-type": "application/merge-patch+json"},
    )
    assert answer.status_code == 200, answer.text
    shown = [
        await world.ask("k8s_logs", name="web"),
        await world.ask("k8s_get", kind="pod", name="web", output="full"),
        await world.ask("get_overview"),
    ]
    assert "waiting: CreateContainerError" in shown[0]
    assert "Unschedulable" in shown[1]
    return shown


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.cluster)])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("KLEPAAS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KLEPAAS_POLICY", '[{"decision": "auto"}]')
    if request.param == "real":
        if not REAL:
            pytest.skip("KLEPAAS_TEST_KUBECONFIG names no real API server")
        async with _real(Path(REAL), tmp_path, monkeypatch) as http, session() as client:
            namespace = f"klepaas-attack-{secrets.token_hex(4)}"
            made = await http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})
            assert made.status_code == 201, made.text
            yield World(http, client, namespace, None)
            await http.delete(f"/api/v1/namespaces/{namespace}")
        return
    async with Sandbox(timing=Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        http = httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(20), trust_env=False)
        async with http, session() as client:
            yield World(http, client, "default", sandbox)


def _real(kubeconfig: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    return real_client(kubeconfig, folder)


def event(message: str, name: str = "e") -> Any:
    about = {"apiVersion": "v1", "kind": "Pod", "name": "web"}
    times = {"firstTimestamp": "2026-11-21T00:00:00Z", "lastTimestamp": "2026-11-21T00:00:00Z"}
    return obj("Event", name, involvedObject=about, reason="Failed", type="Warning", message=message, count=1, **times)


@pytest.mark.parametrize("sentence", [*ON_ANY, *ON_SANDBOX])
async def test_nothing_comes_out_when(world: World, sentence: str) -> None:
    if world.sandbox is None and sentence not in ON_ANY:
        pytest.skip("a real server cannot be made to play it")
    for shown in await {**ON_ANY, **ON_SANDBOX}[sentence](world):
        assert world.leaks(shown) == [], shown


def test_there_are_at_least_forty_attacks() -> None:
    assert len({*MESSAGES, *ON_ANY, *ON_SANDBOX}) >= 40
