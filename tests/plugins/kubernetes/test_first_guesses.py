"""What a model, or a person who knows kubectl, asks at first, works."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Settings

pytestmark = pytest.mark.anyio


def _pod(name: str, *containers: dict[str, Any]) -> dict[str, Any]:
    spec = {"containers": [{"image": "example/app:1", **one} for one in containers]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest.fixture
def planted(sandbox: Any) -> Any:
    sandbox.plant(_pod("web", {"name": "a", "livenessProbe": {"httpGet": {"port": 1}}}, {"name": "b"}))
    sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}})
    return sandbox


@pytest.mark.usefixtures("planted")
async def test_several_kinds_are_listed_one_below_the_other(ask: Any, text: Any) -> None:
    said = text(await ask("k8s_get", kind="pods,cm"))
    assert said.index("== pods\nNAME") < said.index("== cm\nNAME")


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("kind", ["pod/web", "pods/web", "v1/Pod/web"])
async def test_kind_and_name_in_one_are_the_object(ask: Any, text: Any, kind: str) -> None:
    assert text(await ask("k8s_get", kind=kind)) == text(await ask("k8s_get", kind="pod", name="web"))


@pytest.mark.usefixtures("planted")
async def test_several_objects_are_shown_and_one_that_is_not_there_hides_no_other(ask: Any, text: Any) -> None:
    said = text(await ask("k8s_get", kind="pod/web,cm/web,svc/nope", output="names"))
    assert "== pod/web\nweb" in said
    assert "== cm/web\nweb" in said
    assert "== svc/nope\nThere is no" in said


@pytest.mark.usefixtures("planted")
async def test_a_version_before_a_kind_is_no_name(ask: Any, text: Any) -> None:
    assert "web" in text(await ask("k8s_get", kind="v1/ConfigMap"))


async def test_two_names_for_one_object_are_refused(ask: Any) -> None:
    result = await ask("k8s_get", kind="pod/web", name="other")
    assert (result.meta or {})["code"] == "bad_request"


@pytest.mark.parametrize("kind", ["", ",", "pod/..", "pod/../secrets", "pods,%2e%2e", "pod/", "/web", "a," * 9 + "a"])
async def test_what_is_no_list_of_kinds_is_refused(ask: Any, sandbox: Any, kind: str) -> None:
    sandbox.clear_requests()
    assert (await ask("k8s_get", kind=kind)).is_error
    assert sandbox.requests == []


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("path", [".spec.containers[*].livenessProbe", ".spec.containers.livenessProbe"])
async def test_what_an_element_of_a_list_lacks_is_a_dash_in_its_place(ask: Any, text: Any, path: str) -> None:
    columns = f"NAMES:.spec.containers[*].name,PROBES:{path}.httpGet.port"
    assert text(await ask("k8s_get", kind="pod", name="web", columns=columns)).splitlines()[1] == "a,b\t1,-"


@pytest.mark.parametrize("since_s", [60, 3600])
async def test_events_are_those_of_the_last_seconds_where_that_is_asked(
    ask: Any, text: Any, sandbox: Any, since_s: int
) -> None:
    from datetime import UTC, datetime, timedelta

    for name, age_s in (("fresh", 10), ("old", 600)):
        moment = f"{datetime.now(UTC) - timedelta(seconds=age_s):%Y-%m-%dT%H:%M:%SZ}"
        about = {"kind": "Pod", "name": name, "namespace": "default"}
        sandbox.plant({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
            "involvedObject": about, "type": "Warning", "reason": "Testing", "message": name, "lastTimestamp": moment,
        })  # fmt: skip
    said = text(await ask("k8s_events", since_s=since_s))
    assert "fresh" in said
    assert ("old" in said) == (since_s == 3600)


def _container(**fields: Any) -> dict[str, Any]:
    return {"name": "main", "image": "example/app:1", "ports": [{"containerPort": 80}], **fields}


def _workload(kind: str, api_version: str, pod: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    spec = {"template": template, "selector": {"matchLabels": {"app": "web"}}, **spec}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web", "namespace": "default"}, "spec": spec}


_PROBE = {"httpGet": {"path": "/live", "port": 80}}
_POD_SPEC = {
    "containers": [_container(readinessProbe=_PROBE)],
    "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
}
_WRITTEN = {
    "Pod": {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}, "spec": _POD_SPEC,
    },
    "Deployment": _workload("Deployment", "apps/v1", _POD_SPEC, replicas=0),
    "StatefulSet": _workload("StatefulSet", "apps/v1", _POD_SPEC, replicas=0, serviceName="web"),
    "DaemonSet": _workload("DaemonSet", "apps/v1", _POD_SPEC),
    "CronJob": {
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"template": {"spec": {**_POD_SPEC, "restartPolicy": "Never"}}}},
        },
    },
    "Service": {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    },
    "PersistentVolumeClaim": {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}},
        },
    },
}  # fmt: skip
# What a cluster adds that is not a default: where it runs, which address it got.
_FACTS = {"nodeName", "clusterIP", "volumeName"}


def _without_empty_metadata(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty_metadata(one) for key, one in value.items() if (key, one) != ("metadata", {})}
    return [_without_empty_metadata(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", _WRITTEN)
async def test_yaml_is_what_was_written_without_status_and_defaults_and_full_has_them(
    ask: Any, text: Any, sandbox: Any, kind: str
) -> None:
    sandbox.create(_WRITTEN[kind])
    said = text(await ask("k8s_get", kind=kind, name="web", output="yaml"))
    assert said.startswith("# Without status and server defaults; output=full shows them\n")
    found = yaml.safe_load(said)
    assert "status" not in found
    spec = {name: value for name, value in found["spec"].items() if name not in _FACTS}
    assert _without_empty_metadata(spec) == _WRITTEN[kind]["spec"]
    listed = yaml.safe_load_all(text(await ask("k8s_get", kind=kind, output="yaml")))
    assert spec in [{name: one["spec"].get(name) for name in spec} for one in listed]
    full = yaml.safe_load(text(await ask("k8s_get", kind=kind, name="web", output="full")))
    stored = sandbox.get(kind, "web")
    assert full["spec"] == stored["spec"]
    assert ("status" in full) == ("status" in stored)


async def test_yaml_keeps_a_default_that_a_person_applied_and_every_other_value(
    ask: Any, text: Any, sandbox: Any, change: Any
) -> None:
    mine = _container(
        imagePullPolicy="IfNotPresent", terminationMessagePath="/dev/termination-log",
        livenessProbe={**_PROBE, "periodSeconds": 10, "failureThreshold": 7},
    )  # fmt: skip
    wish = _workload("Deployment", "apps/v1", {"containers": [mine], "dnsPolicy": "ClusterFirst"}, replicas=1)
    wish["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}
    assert not (await change("k8s_apply", manifests=yaml.safe_dump(wish))).is_error
    spec = yaml.safe_load(text(await ask("k8s_get", kind="deploy", name="web", output="yaml")))["spec"]
    assert spec["template"] == wish["spec"]["template"]
    assert spec["strategy"]["rollingUpdate"]["maxSurge"] == "25%"
    assert "progressDeadlineSeconds" not in spec
    assert "progressDeadlineSeconds" in sandbox.get("Deployment", "web")["spec"]


async def test_the_memory_of_one_bare_pod_is_asked_for_by_its_name(
    ask: Any, text: Any, sandbox: Any, until: Any
) -> None:
    for name in ("web", "web-2"):
        sandbox.create(_pod(name, {"name": "main"}))
        sandbox.set_usage("default", name, cpu="120m", memory="310Mi")
    await until(lambda: all(sandbox.get("Pod", name)["status"]["phase"] == "Running" for name in ("web", "web-2")))
    sandbox.serve_metrics()
    assert text(await ask("k8s_top", name="web")) == "NAME\tCPU\tMEMORY\nweb\t120m\t310Mi"
    assert "web\tmain\t" in text(await ask("k8s_top", what="containers", name="web"))
    assert text(await ask("k8s_top", name="web", all_namespaces=True)).splitlines()[1:] == ["default\tweb\t120m\t310Mi"]
    missing = await ask("k8s_top", name="wbe")
    assert missing.is_error
    assert "Did you mean web" in text(missing)


KOREAN = "쇼핑 몰 점검"


@pytest.mark.parametrize("context", ["내 클러스터 (운영)", "team a", "gke_프로젝트/zone-1"])
async def test_a_context_with_spaces_and_korean_is_called_by_its_name(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    content = sandbox.kubeconfig()
    content["contexts"] = [{**content["contexts"][0], "name": context}]
    content["current-context"] = context
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    path.chmod(0o600)
    monkeypatch.setenv("KUBECONFIG", str(path))
    app = create_app(Settings(external_plugins=False, state_dir=tmp_path / "state"))
    async with Client(app.server) as client:
        for tool, arguments in (("k8s_get", {"kind": "namespaces"}), ("get_overview", {})):
            result = await client.call_tool(tool, {**arguments, "context": context}, raise_on_error=False)
            assert not result.is_error, result.content
        assert context in result.content[0].text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        *(("k8s_get", {"kind": "cm", "name": "web", "output": output}) for output in ("yaml", "json", "full")),
        ("k8s_get", {"kind": "cm", "columns": "NOTE:.metadata.annotations.note"}),
        ("k8s_events", {}),
        ("get_overview", {}),
        ("get_overview", {"output": "json"}),
    ],
)
async def test_korean_text_in_an_answer_is_never_escaped(
    ask: Any, text: Any, sandbox: Any, tool: str, arguments: dict[str, Any]
) -> None:
    meta = {"namespace": "default", "annotations": {"note": KOREAN, "kubernetes.io/change-cause": KOREAN}}
    sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "web"}})
    labels = {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "example/app:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    sandbox.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**meta, "name": "shop"}, "spec": spec})
    event = {"type": "Warning", "reason": "Odd", "message": KOREAN, "lastTimestamp": "2026-01-01T00:00:00Z"}
    about = {"kind": "Deployment", "name": "shop", "namespace": "default"}
    sandbox.create({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "odd"}, "involvedObject": about, **event})
    said = text(await ask(tool, **arguments))
    assert KOREAN in said
    assert "\\u" not in said
