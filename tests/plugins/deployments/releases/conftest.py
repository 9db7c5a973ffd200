"""Releases of applications in the sandbox, without a server around them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from klepaas.host import Host
from klepaas.settings import Mode, Settings
from klepaas.store.keys import Keys
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.releases import Releases, ReleaseSettings
from klepaas_plugins.kubernetes.client import Clusters
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing


def deployment(name: str = "web", image: str = "example/app:1", **spec: Any) -> dict[str, Any]:
    """A Deployment as a person would write it; `env`, `envFrom`, `volumes` and `labels` may be given."""
    marks = spec.pop("labels", {"app": name})
    pod: dict[str, Any] = {"containers": [{"name": name, "image": image}]}
    for key in ("env", "envFrom"):
        if key in spec:
            pod["containers"][0][key] = spec.pop(key)
    for key in ("volumes", "imagePullSecrets"):
        if key in spec:
            pod[key] = spec.pop(key)
    template = {"metadata": {"labels": marks}, "spec": pod}
    body = {"replicas": 1, "selector": {"matchLabels": marks}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": marks}, "spec": body}


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": data}


def service(name: str, selector: dict[str, str], labels: dict[str, str] | None = None) -> dict[str, Any]:
    spec = {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def autoscaler(name: str, target: str, low: int = 2, high: int = 5) -> dict[str, Any]:
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    ]
    spec = {"scaleTargetRef": aim, "minReplicas": low, "maxReplicas": high, "metrics": metrics}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec}


def plain(api_version: str, kind: str, name: str, labels: dict[str, str] | None = None, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, **rest}


def budget(name: str, selector: dict[str, str]) -> dict[str, Any]:
    spec = {"minAvailable": 1, "selector": {"matchLabels": selector}}
    return plain("policy/v1", "PodDisruptionBudget", name, spec=spec)


def claim(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return plain("v1", "PersistentVolumeClaim", name, labels, spec=spec)


def ingress(name: str, *services: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """An Ingress with a path for each Service."""
    paths = [
        {"path": f"/{item}", "pathType": "Prefix", "backend": {"service": {"name": item, "port": {"number": 80}}}}
        for item in services
    ]
    spec = {"rules": [{"host": "web.example", "http": {"paths": paths}}]}
    return plain("networking.k8s.io/v1", "Ingress", name, labels, spec=spec)


@dataclass
class Yard:
    """A cluster, and the releases of an application in it."""

    sandbox: Sandbox
    clusters: Clusters
    keys: Keys

    async def place(self, app_name: str = "web") -> Place:
        return Place(await self.clusters.cluster(None), "default", app_name, None)

    async def releases(self, app_name: str = "web", **settings: Any) -> Releases:
        return Releases(await self.place(app_name), ReleaseSettings(**settings).with_keys(self.keys))

    async def apply(self, body: dict[str, Any], manager: str = "klepaas") -> dict[str, Any]:
        """Apply, as klepaas or as somebody else."""
        cluster = await self.clusters.cluster(None)
        return await cluster.apply(body, force=True, field_manager=manager)

    async def scale(self, replicas: int, manager: str = "kubectl") -> None:
        """Scale Deployment web by its subresource, as `kubectl scale` and autoscalers do."""
        async with httpx.AsyncClient(base_url=self.sandbox.url, trust_env=False) as http:
            answer = await http.patch(
                "/apis/apps/v1/namespaces/default/deployments/web/scale",
                params={"fieldManager": manager},
                json={"spec": {"replicas": replicas}},
                headers={"content-type": "application/merge-patch+json"},
            )
            assert answer.status_code == 200, answer.text

    def change(self, kind: str, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
        """Change an object as somebody else would."""
        found = self.sandbox.get(kind, name)
        assert found is not None
        found = {**found, "metadata": {key: v for key, v in found["metadata"].items() if key != "resourceVersion"}}
        edit(found)
        self.sandbox.plant(found)

    def records(self, app_name: str = "web") -> list[dict[str, Any]]:
        """The ConfigMaps that hold its releases."""
        found = self.sandbox.list("ConfigMap", "default")
        return [item for item in found if item["metadata"]["name"].startswith(f"klepaas.release.{app_name}.")]


@pytest.fixture
async def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    """A cluster whose steps take milliseconds."""
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.02, autoscaler_s=3600.0)) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        host = Host(Settings(mode=Mode.WRITES, state_dir=tmp_path))
        clusters = Clusters.of(host)
        yield Yard(sandbox, clusters, Keys.of(host))
        await clusters.aclose()


@pytest.fixture
def shapes() -> SimpleNamespace:
    """What builds the objects of applications."""
    return SimpleNamespace(
        deployment=deployment,
        config_map=config_map,
        service=service,
        autoscaler=autoscaler,
        plain=plain,
        budget=budget,
        claim=claim,
        ingress=ingress,
    )


@pytest.fixture
def yard_of() -> Callable[[Any], Awaitable[Releases]]:
    """The releases of an application in the cluster that a whole server is in front of."""

    async def releases(bench: Any, app_name: str = "web") -> Releases:
        cluster = await Clusters.of(bench.host).cluster(None)
        return Releases(Place(cluster, "default", app_name, None), ReleaseSettings.of(bench.host))

    return releases
