"""Where planned changes are tried: a namespace of the sandbox, and of a real API server where one is named.

KLEPAAS_TEST_KUBECONFIG=~/.kube/config pytest -m cluster tests/plugins/kubernetes/write
"""

import json
import os
import secrets
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from klepaas.changes import ObjectChange
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.settings import KubernetesSettings
from klepaas_plugins.kubernetes.write.planning import ApplyRequest, plan_apply
from klepaas_plugins.kubernetes.write.writer import Written, write

Json = dict[str, Any]
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
LIMIT_S = scale_timeout(15)
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
}


@dataclass
class World:
    """A namespace that a test has for itself.

    Attributes:
        cluster: klepaas' way to it.
        http: Everybody else's.
        namespace: Its name.
    """

    cluster: Cluster
    http: httpx.AsyncClient
    namespace: str

    def path(self, kind: str, name: str = "") -> str:
        return _PATHS[kind].format(self.namespace) + (f"/{name}" if name else "")

    async def plan(self, body: Json, **request: Any) -> ObjectChange:
        metadata = {"namespace": self.namespace, **body["metadata"]}
        resource = await self.cluster.resource(f"{body['apiVersion']}/{body['kind']}")
        return await plan_apply(
            ApplyRequest(cluster=self.cluster, resource=resource, body={**body, "metadata": metadata}, **request)
        )

    async def apply(self, body: Json, **request: Any) -> Written:
        """Plan and write, as one call of a tool does."""
        return await write(self.cluster, await self.plan(body, **request))

    async def get(self, kind: str, name: str) -> Json:
        answer = await self.http.get(self.path(kind, name))
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def patch(
        self, kind: str, name: str, body: Any, manager: str, media_type: str = MERGE, subresource: str = ""
    ) -> Json:
        """What another manager does."""
        answer = await self.http.patch(
            self.path(kind, name) + (f"/{subresource}" if subresource else ""),
            params={"fieldManager": manager},
            content=json.dumps(body),
            headers={"content-type": media_type},
        )
        assert answer.status_code < 300, answer.text
        found: Json = answer.json()
        return found

    async def post(self, body: Json, manager: str) -> Json:
        answer = await self.http.post(self.path(body["kind"]), params={"fieldManager": manager}, json=body)
        assert answer.status_code == 201, answer.text
        found: Json = answer.json()
        return found


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.cluster)])
async def world(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "sandbox":
        async with (
            Sandbox(Timing.instant()) as sandbox,
            httpx.AsyncClient(base_url=sandbox.url, timeout=LIMIT_S, trust_env=False) as http,
        ):
            sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
            clusters = Clusters(KubernetesSettings(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "sandbox"))))
            yield World(await clusters.cluster(), http, "shop")
            await clusters.aclose()
        return
    kubeconfig = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KLEPAAS_TEST_KUBECONFIG names no real API server")
    async with _client_of(Path(kubeconfig), tmp_path) as http:
        namespace = f"klepaas-write-{secrets.token_hex(4)}"
        made = await http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})
        assert made.status_code == 201, made.text
        clusters = Clusters(KubernetesSettings(kubeconfig=kubeconfig))
        try:
            yield World(await clusters.cluster(), http, namespace)
        finally:
            await clusters.aclose()
            await http.delete(f"/api/v1/namespaces/{namespace}")


def _client_of(kubeconfig: Path, folder: Path) -> httpx.AsyncClient:
    """A bare client with the certificate of the current context's user."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    for name in ("client-certificate-data", "client-key-data"):
        (folder / name).write_bytes(b64decode(user[name]))
    trusted = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    trusted.load_cert_chain(folder / "client-certificate-data", folder / "client-key-data")
    return httpx.AsyncClient(base_url=cluster["server"], verify=trusted, timeout=LIMIT_S, trust_env=False)


def config_map(data: Json | None = None, name: str = "settings", **metadata: Any) -> Json:
    body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return body if data is None else {**body, "data": data}


def deployment(*containers: Json, name: str = "web", **spec: Any) -> Json:
    labels = {"app": name}
    pod = {"containers": list(containers) or [{"name": "main", "image": "example/app:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def container(name: str = "main", **fields: Any) -> Json:
    """A part of the Deployment `web` that names one container only."""
    pod = {"spec": {"containers": [{"name": name, **fields}]}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": pod}}


def managers(obj: Json) -> set[tuple[str, str, str]]:
    """Who owns something of an object: manager, operation and subresource."""
    found = obj["metadata"].get("managedFields") or ()
    return {(one["manager"], one["operation"], one.get("subresource", "")) for one in found}


def lines(change: ObjectChange) -> dict[str, tuple[str | None, str | None]]:
    """The fields that change, by their path."""
    return {one.path: (one.before, one.after) for one in change.fields}
