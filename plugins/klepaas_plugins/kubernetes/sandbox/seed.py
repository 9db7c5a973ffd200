"""What a fresh sandbox holds: its nodes, the usual namespaces, the API server's own Service."""

from __future__ import annotations

import time

from .controllers.kubelet import SANDBOX_NODE
from .model import Json, timestamp
from .objects import Objects, Write
from .resources import NAMESPACES, NODES, SERVICES

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_ROOM = {"cpu": "8", "memory": "32Gi", "pods": "2000", "ephemeral-storage": "100Gi"}
_HEALTH = (("Ready", "True"), ("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"))


def node_status(name: str) -> Json:
    """The status of a healthy node with much room."""
    stamp = timestamp(time.time())
    conditions = [
        {"type": kind, "status": value, "reason": "Kubelet", "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
        for kind, value in _HEALTH
    ]
    info = {
        "machineID": name, "systemUUID": name, "bootID": name, "kernelVersion": "6", "osImage": "sim",
        "containerRuntimeVersion": "sim://1", "kubeletVersion": "v1.36.2", "kubeProxyVersion": "",
        "operatingSystem": "linux", "architecture": "amd64",
    }  # fmt: skip
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}]
    return {
        "capacity": _ROOM, "allocatable": _ROOM, "conditions": conditions, "addresses": addresses, "nodeInfo": info,
    }  # fmt: skip


def seed(objects: Objects, nodes: int) -> None:
    """Fill an empty sandbox."""
    for name in _NAMESPACES:
        objects.create(NAMESPACES, "", {"metadata": {"name": name}}, Write("kube-apiserver"))
    for index in range(nodes):
        name = f"node-{index}"
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", SANDBOX_NODE: "true"}
        made = objects.create(NODES, "", {"metadata": {"name": name, "labels": labels}, "spec": {}}, Write("kubelet"))
        objects.set_status(NODES, made, node_status(name), "kubelet")
    service: Json = {
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
    }
    objects.create(SERVICES, "default", service, Write("kube-apiserver"))
