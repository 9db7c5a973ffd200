"""metrics.k8s.io: what pods and nodes use, when a test says that there is a metrics server.

Usage is what a test sets for pods by name or prefix, else 1m of cpu and 16Mi of memory a container; a node uses the sum
of its pods.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from .model import Json, timestamp
from .pods import is_finished
from .quantities import quantity, quantity_text
from .resources import NODES, POD_METRICS, PODS, Resource
from .store import Store

_WINDOW = "15.000s"
_DEFAULT = {"cpu": "1m", "memory": "16Mi"}


class Metrics:
    """The numbers, and the objects that show them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._usage: dict[tuple[str, str], Json] = {}
        self.served = False

    def use(self, namespace: str, pod_or_prefix: str, cpu: str, memory: str) -> None:
        """Say what each container of these pods uses."""
        self._usage[namespace, pod_or_prefix] = {"cpu": cpu, "memory": memory}

    def of_pod(self, pod: Json) -> Json:
        """What each container of a pod uses."""
        namespace, name = pod["metadata"].get("namespace", ""), pod["metadata"]["name"]
        found = [key for key in self._usage if key[0] == namespace and name.startswith(key[1])]
        return self._usage[max(found, key=lambda key: len(key[1]))] if found else _DEFAULT

    def objects(self, resource: Resource, namespace: str | None) -> list[Json]:
        """PodMetrics or NodeMetrics."""
        found = self._pods(namespace) if resource is POD_METRICS else self._nodes()
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return [{**head, **one} for one in found]

    def _head(self, obj: Json) -> Json:
        meta = {key: obj["metadata"][key] for key in ("name", "namespace", "labels") if obj["metadata"].get(key)}
        stamp = timestamp(time.time())
        return {"metadata": {**meta, "creationTimestamp": stamp}, "timestamp": stamp, "window": _WINDOW}

    def _pods(self, namespace: str | None) -> Iterator[Json]:
        for pod in self._store.list(PODS, namespace):
            if (pod.get("status") or {}).get("phase") == "Running" and not is_finished(pod):
                usage = self.of_pod(pod)
                containers = [{"name": one["name"], "usage": usage} for one in pod["spec"].get("containers") or ()]
                yield {**self._head(pod), "containers": containers}

    def _nodes(self) -> Iterator[Json]:
        total: dict[str, dict[str, float]] = {}
        for pod in self._store.list(PODS):
            node = total.setdefault(pod["spec"].get("nodeName") or "", {"cpu": 0.0, "memory": 0.0})
            for name, value in self.of_pod(pod).items():
                node[name] += quantity(value) * len(pod["spec"].get("containers") or ())
        for node_object in self._store.list(NODES):
            used = total.get(node_object["metadata"]["name"], {"cpu": 0.0, "memory": 0.0})
            usage = {name: quantity_text(name, value) for name, value in used.items()}
            yield {**self._head(node_object), "usage": usage}
