"""Services: the ready pods they select, as an EndpointSlice and as Endpoints."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from klepaas_plugins.kubernetes.sandbox.model import Json, generated_name, timestamp
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, Write
from klepaas_plugins.kubernetes.sandbox.pods import is_ready
from klepaas_plugins.kubernetes.sandbox.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, owner_reference

_SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


def _selects(service: Json, labels: Json) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


class EndpointController(Base):
    """Keeps the endpoints of Services."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """A Service, or those that select a pod whose address or readiness changed."""
        if change.resource is SERVICES:
            return [key_of(change.object)] if change.type != "DELETED" else ()
        if change.resource is not PODS or (
            change.old and _face(change.old) == _face(change.object) and change.type != "DELETED"
        ):
            return ()
        namespace = change.object["metadata"]["namespace"]
        labels = change.object["metadata"].get("labels") or {}
        return [key_of(one) for one in self.store.list(SERVICES, namespace) if _selects(one, labels)]

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Write a Service's endpoints."""
        service = self.store.get(SERVICES, namespace, name)
        if service is None or not service["spec"].get("selector"):
            return None
        pods = [
            pod
            for pod in self.store.list(PODS, namespace)
            if pod.get("status", {}).get("podIP")
            and pod["status"].get("phase") == "Running"
            and _selects(service, pod["metadata"].get("labels") or {})
        ]
        self._slice(service, pods)
        self._endpoints(service, pods)
        return None

    def _slice(self, service: Json, pods: list[Json]) -> None:
        meta = service["metadata"]
        owned = self.owned(service, ENDPOINT_SLICES)
        content: Json = {
            "addressType": "IPv4",
            "endpoints": [_endpoint(pod) for pod in pods] or None,
            "ports": _ports(service, pods) or None,
        }
        if owned:
            self.objects.control(ENDPOINT_SLICES, owned[0], **content)
            return
        made: Json = {
            "metadata": {
                "name": generated_name(f"{meta['name']}-"),
                "generateName": f"{meta['name']}-",
                "labels": {_MANAGED_BY: "endpointslice-controller.k8s.io", _SERVICE_NAME: meta["name"]},
                "annotations": {_TRIGGER: timestamp(time.time())},
                "ownerReferences": [owner_reference(SERVICES, service)],
            },
            **content,
        }
        self.objects.create(ENDPOINT_SLICES, meta["namespace"], made, Write(CONTROLLER))

    def _endpoints(self, service: Json, pods: list[Json]) -> None:
        meta = service["metadata"]
        ports = _ports(service, pods)
        ready, waiting = [_address(p) for p in pods if is_ready(p)], [_address(p) for p in pods if not is_ready(p)]
        subset: Json = {}
        if ready:
            subset["addresses"] = ready
        if waiting:
            subset["notReadyAddresses"] = waiting
        subsets = [{**subset, "ports": ports}] if subset else []
        live = self.store.get(ENDPOINTS, meta["namespace"], meta["name"])
        if live is not None:
            if (live.get("subsets") or []) != subsets:
                self.store.put(ENDPOINTS, {**live, "subsets": subsets})
            return
        made: Json = {"metadata": {"name": meta["name"], "ownerReferences": [owner_reference(SERVICES, service)]}}
        if subsets:
            made["subsets"] = subsets
        self.objects.create(ENDPOINTS, meta["namespace"], made, Write(CONTROLLER))


def _face(pod: Json) -> tuple[Any, ...]:
    status = pod.get("status", {})
    return status.get("podIP"), status.get("phase"), is_ready(pod), pod["metadata"].get("deletionTimestamp")


def _reference(pod: Json) -> Json:
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def _endpoint(pod: Json) -> Json:
    ending = bool(pod["metadata"].get("deletionTimestamp"))
    ready = is_ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not ending, "serving": ready, "terminating": ending},
        "targetRef": _reference(pod),
        "nodeName": pod["spec"].get("nodeName"),
    }


def _address(pod: Json) -> Json:
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": _reference(pod)}


def _ports(service: Json, pods: list[Json]) -> list[Json]:
    ports = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        if isinstance(target, str):
            target = next((number for number in (_named(pod, target) for pod in pods) if number), None)
        if target is not None:
            ports.append({"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": target})
    return ports


def _named(pod: Json, name: str) -> int | None:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return None
