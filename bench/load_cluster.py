"""Load a real cluster as `loaded_sandbox.py` loads the sandbox: 20 namespaces of 10 Deployments with 10 pods each.

    KUBECONFIG=FILE python bench/load_cluster.py [NAMESPACES]

It creates `load-0` ... and leaves them; delete the namespaces when done.
"""

import sys

import anyio
from loaded_sandbox import DEPLOYMENTS, NAMESPACES, deployment

from klepaas_plugins.kubernetes.client import Clusters


async def main(namespaces: int) -> None:
    """Apply the load."""
    clusters = Clusters()
    cluster = await clusters.cluster()
    try:
        for at in range(namespaces):
            name = f"load-{at}"
            await cluster.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"load": "1"}}}
            )
            for number in range(DEPLOYMENTS):
                await cluster.apply(deployment(name, f"app-{number}"))
            print(name, flush=True)
    finally:
        await clusters.aclose()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else NAMESPACES)
