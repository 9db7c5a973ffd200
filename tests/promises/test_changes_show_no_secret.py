"""What a change shows holds no secret of the objects it changes: dry run, question, answer, release, news, record.

The secrets stand where people put them (arguments, variables, annotations, probes, volumes, configuration), as they
are, in base64, URL-encoded and JSON-escaped, and differ between the versions, so that each change is of a secret.
"""

import base64
import gzip
import itertools
import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.notifications import Notification, Notifications
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout

from .conftest import Platform
from .planted import Canaries

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(90))]

SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: urllib.parse.quote(f"{secret}&/"),
    lambda secret: json.dumps(f'"{secret}"')[1:-1],
]


def _workload(new: Callable[[], str], image: str = "registry.example/shop:1") -> dict[str, Any]:
    """A Deployment with a secret at every place that holds texts."""
    container = {
        "name": "shop",
        "image": image,
        "command": ["sh", "-c", f"export API_TOKEN={new()}\nexec run --db-password {new()}"],
        "args": [f"--db-password={new()}", "--api-key", new(), f"--dsn=postgres://app:{new()}@db/shop", "--verbose"],
        "env": [
            {"name": "DB_PASSWORD", "value": new()},
            {"name": "DATABASE_URL", "value": f"mysql://root:{new()}@db/shop"},
            {"name": "JAVA_OPTS", "value": f"-Xmx1g -Dkey.password={new()}"},
        ],
        "livenessProbe": {"httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "X-Api-Key", "value": new()}]}},
        "readinessProbe": {"exec": {"command": ["curl", "-u", f"me:{new()}", "http://localhost"]}},
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", f"curl -H 'X-Api-Key: {new()}' http://x"]}}},
    }
    volume = {"name": "share", "csi": {"driver": "smb.csi.k8s.io", "volumeAttributes": {"password": new()}}}
    labels = {"app.kubernetes.io/name": "shop"}
    notes = {"example.com/api-token": new(), "example.com/hint": f"log in with password={new()}"}
    template = {
        "metadata": {"labels": labels, "annotations": {"example.com/deploy-token": new()}},
        "spec": {"containers": [container], "volumes": [volume]},
    }
    metadata = {"name": "shop", "namespace": "default", "labels": labels, "annotations": notes}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _configuration(new: Callable[[], str]) -> dict[str, Any]:
    manifest = f"apiVersion: v1\nkind: Secret\nstringData:\n  greeting: {new()}\n"
    files = f"db:\n  host: db\n  password: {new()}\n"
    data = {"DB_PASSWORD": new(), "app.yaml": files, "bootstrap.yaml": manifest, "mode": "fast"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop", "namespace": "default"}, "data": data}


def _manifests(canaries: Canaries, version: int) -> str:
    """One version; each place is spelled in another way in each of them."""
    spellings = itertools.cycle(SPELLINGS[version:] + SPELLINGS[:version])

    def new() -> str:
        return next(spellings)(canaries.new())

    return "\n---\n".join(json.dumps(item) for item in (_workload(new), _configuration(new)))


def _calls(versions: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every kind of change, tried and done, and everything that tells of it afterwards."""
    deploy = {"app_name": "shop", "take_ownership": True}
    for text in versions[:2]:
        yield "deploy_application", {**deploy, "manifests": text, "dry_run": True}
        yield "deploy_application", {**deploy, "manifests": text, "wait_s": 45}
    for text in versions[2:]:
        yield "k8s_apply", {"manifests": text, "take_ownership": True, "dry_run": True}
        yield "k8s_apply", {"manifests": text, "take_ownership": True}
    for dry_run in (True, False):
        said = {"dry_run": dry_run, **({} if dry_run else {"wait_s": 45})}
        yield "deploy_application", {**deploy, "image": "registry.example/shop:2", "env_vars": {"A": "b"}, **said}
        yield "scale_application", {"app_name": "shop", "replicas": 2, **said}
        yield "restart_application", {"app_name": "shop", **said}
        yield "rollback_deployment", {"app_name": "shop", **said}
    for output in ("text", "json"):
        yield "list_releases", {"app_name": "shop", "output": output}
        yield "diff_releases", {"app_name": "shop", "output": output}
        yield "get_deployment_status", {"app_name": "shop", "output": output}
        yield "get_deployment_history", {"app_name": "shop", "output": output}
        yield "get_overview", {"output": output}
        yield "get_operation", {"output": output}
    for kind in ("deployments", "replicasets", "pods", "configmaps"):
        yield "k8s_get", {"kind": kind, "output": "full"}
        yield "k8s_get", {"kind": kind, "output": "wide"}
    yield "k8s_delete", {"kind": "deployment", "name": "shop", "confirm_name": "shop", "dry_run": True}
    yield "k8s_delete", {"kind": "deployment", "name": "shop", "confirm_name": "shop"}


def _release_records(platform: Platform) -> list[str]:
    """Every ConfigMap that klepaas has written for itself, unpacked, with its metadata."""
    found = []
    for item in platform.sandbox.list("ConfigMap", "default"):
        packed = (item.get("binaryData") or {}).get("release")
        if item["metadata"]["name"].startswith("klepaas."):
            assert packed is not None, item
            found.append(f"{item} {gzip.decompress(base64.b64decode(packed)).decode()}")
    return found


async def test_no_dry_run_question_answer_release_notification_or_record_shows_a_secret(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries = Canaries()
    versions = [_manifests(canaries, version) for version in range(len(SPELLINGS))]
    shown: dict[str, list[str]] = {"question": [], "notification": [], "answer": []}

    async def confirm(message: str, *_: Any) -> dict[str, bool]:
        shown["question"].append(message)
        return {"confirm": True}

    send = Notifications.send

    def listen(self: Notifications, notification: Notification) -> Any:
        shown["notification"].append(str(notification))
        return send(self, notification)

    monkeypatch.setattr(Notifications, "send", listen)
    app = create_app(Settings(mode=Mode.WRITES, policy=json.loads('[{"decision": "confirm"}]')))
    failed: list[str] = []
    async with Client(app.server, elicitation_handler=confirm) as client:
        for tool, arguments in _calls(versions):
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            answer = f"{tool}: {result.content} {result.structured_content} {result.meta}"
            assert not list(canaries.found_in(answer)), answer
            shown["answer"].append(answer)
            failed += [answer] if result.is_error and tool not in ("rollback_deployment", "get_operation") else []
    assert failed == []
    assert len(shown["question"]) >= 6
    assert shown["notification"]
    stored = _release_records(platform)
    assert len(stored) >= 6
    assert any("--verbose" in text for text in stored), "the record should hold the arguments that are no secret"
    for where, texts in {**shown, "record": [platform.audit.read_text()], "release": stored}.items():
        assert list(canaries.found_in("\n".join(texts))) == [], where
    assert any("args" in answer for answer in shown["answer"]), "the changed arguments should have been named"
