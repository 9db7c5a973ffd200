"""A sandbox with 100 pods of production's size in one namespace, until standard input is closed.

python bench/sandbox_of_large_pods.py KUBECONFIG
"""

import copy
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

NAMESPACE, PODS = "shop", 100
DIGEST = "sha256:2c1f9e1b1a6c4a3c0f7e4b1d2a9c8b7f6e5d4c3b2a190817263544a5b6c7d8e9"
_VALUES = (
    *("info", "8080", "https://api.shop.svc.cluster.local:8443/v1", "true", "shop-production", "/var/lib/web/data"),
    *("30s", "Europe/Berlin", "web,api,worker", "amqp://rabbit.shop.svc:5672/", "-Xmx512m -XX:+UseG1GC"),
    *("cache-redis-master.shop.svc.cluster.local:6379", "postgres.shop.svc", "feature-a=on,feature-b=off"),
)


def container(name: str) -> dict[str, Any]:
    """One container, with what people set."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 5}
    secret = {"secretKeyRef": {"name": "web-db", "key": "password"}}
    return {
        "name": name,
        "image": f"registry.example.com/shop/{name}:2.14.3",
        "command": ["/bin/server"],
        "args": ["--config=/etc/web/config.yaml", "--log-level", "info", "--listen=:8080"],
        "ports": [{"name": f"http-{name}"[:15], "containerPort": 8080}],
        "env": [
            *({"name": f"SETTING_{at}", "value": value} for at, value in enumerate(_VALUES)),
            {"name": "DB_PASSWORD", "valueFrom": secret},
        ],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}, {"name": "data", "mountPath": "/var/lib/web"}],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "securityContext": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
    }


def pod(name: str) -> dict[str, Any]:
    """A pod of three containers, about 10 kB as the API sends it."""
    status = [
        {
            "name": one,
            "image": f"registry.example.com/shop/{one}:2.14.3",
            "imageID": f"registry.example.com/shop/{one}@{DIGEST}",
            "ready": True,
            "restartCount": 0,
            "lastState": {},
            "state": {"running": {"startedAt": "2026-11-30T10:01:02Z"}},
        }
        for one in ("web", "proxy", "metrics")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web", "team": "shop"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        },
        "spec": {
            "containers": [container(one) for one in ("web", "proxy", "metrics")],
            "volumes": [{"name": "config", "configMap": {"name": "web-config"}}, {"name": "data", "emptyDir": {}}],
            "serviceAccountName": "web",
        },
        "status": {"phase": "Running", "containerStatuses": status},
    }


async def main(path: Path) -> None:
    """Load the sandbox, say so, and wait."""
    async with Sandbox(timing=Timing.instant()) as sandbox:
        sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for number in range(PODS):
            sandbox.plant(copy.deepcopy(pod(f"web-{number}")))
        sandbox.write_kubeconfig(path)
        print(f"{PODS} pods", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
