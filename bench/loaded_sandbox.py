"""A sandbox with 20 namespaces of 10 Deployments with 10 pods each, until standard input is closed.

python bench/loaded_sandbox.py KUBECONFIG
"""

import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

NAMESPACES, DEPLOYMENTS, PODS = 20, 10, 10


def deployment(namespace: str, name: str) -> dict[str, Any]:
    """A Deployment of ten pods."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
        },
    }


async def main(path: Path) -> None:
    """Load the sandbox, say so, and wait."""
    async with Sandbox(timing=Timing.instant()) as sandbox:
        for at in range(NAMESPACES):
            namespace = f"load-{at}"
            sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            for number in range(DEPLOYMENTS):
                sandbox.create(deployment(namespace, f"app-{number}"))
        wanted = NAMESPACES * DEPLOYMENTS * PODS
        with anyio.fail_after(120):
            while sum(pod["status"].get("phase") == "Running" for pod in sandbox.list("pods")) < wanted:
                await sandbox.changed()
        sandbox.write_kubeconfig(path)
        print(f"{wanted} pods", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
