"""Several contexts in one server: each has its own trouble."""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from klepaas.errors import CircuitOpen, KlepaasError
from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Resource
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", "configmap", (), True, frozenset({"list"}))


async def _median_s(cluster: Cluster) -> float:
    took: list[float] = []
    for _ in range(40):
        started_at = time.perf_counter()
        await cluster.list(CONFIG_MAPS, "default")
        took.append(time.perf_counter() - started_at)
    return statistics.median(took)


async def test_a_dead_context_slows_no_other(
    sandbox: Sandbox, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(64)
        paths = [write_kubeconfig(f"http://127.0.0.1:{hole.getsockname()[1]}", name="dead")]
        paths.append(write_kubeconfig(sandbox.url, name="alive"))
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(path) for path in paths))
        clusters = open_clusters(read_timeout_s=2.0)
        alive, dead = await clusters.cluster("alive"), await clusters.cluster("dead")
        await alive.list(CONFIG_MAPS, "default")
        before_s = await _median_s(alive)
        told: list[KlepaasError] = []

        async def hammer() -> None:
            with pytest.raises(KlepaasError) as caught:
                await dead.list(CONFIG_MAPS, "default")
            told.append(caught.value)

        with anyio.fail_after(scale_timeout(80)):
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(hammer)
                meanwhile_s = await _median_s(alive)
                assert told == []
        assert meanwhile_s < 2 * before_s + time_budget(0.02, "calls would queue behind those to the dead cluster")
        assert len(told) == 20
        # Failures of one moment count once.
        with anyio.fail_after(scale_timeout(30)):
            while not isinstance(told[-1], CircuitOpen):
                await hammer()
        started_at = time.perf_counter()
        with pytest.raises(CircuitOpen):
            await dead.list(CONFIG_MAPS, "default")
        assert time.perf_counter() - started_at < time_budget(0.5, "it would wait for the dead cluster")
        assert (await alive.list(CONFIG_MAPS, "default"))["kind"] == "ConfigMapList"


async def test_a_context_is_chosen_with_each_call(
    sandbox: Sandbox, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox() as other:
        other.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "only-there"}})
        paths = [write_kubeconfig(sandbox.url, name="one"), write_kubeconfig(other.url, name="two")]
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(path) for path in paths))
        clusters = open_clusters()
        found = {
            name: {item["metadata"]["name"] for item in (await one.list(CONFIG_MAPS, "default"))["items"]}
            for name in ("one", "two", None)
            if (one := await clusters.cluster(name))
        }
    assert ("only-there" in found["two"], "only-there" in found["one"]) == (True, False)
    assert found[None] == found["one"]


async def test_a_cluster_of_an_older_kubeconfig_can_still_be_used_and_keeps_nothing_open(
    sandbox: Sandbox, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas_plugins.kubernetes.client.clusters.LOOK_AGAIN_S", 0.0)
    write_kubeconfig(sandbox.url, {"token": "first"})
    clusters = open_clusters()
    old = await clusters.cluster()
    await old.list(CONFIG_MAPS, "default")
    write_kubeconfig(sandbox.url, {"token": "another"})
    assert await clusters.cluster() is not old
    assert (await old.list(CONFIG_MAPS, "default"))["kind"] == "ConfigMapList"
    assert old._transport._session._live is None


def test_the_kubernetes_package_is_not_imported_with_the_plugin() -> None:
    script = "import sys, klepaas_plugins.kubernetes.plugin, klepaas_plugins.kubernetes.tools\n"
    script += "from klepaas_plugins.kubernetes.client import Clusters\nClusters()\n"
    script += "sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=scale_timeout(50)).returncode == 0
