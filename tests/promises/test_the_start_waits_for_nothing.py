"""A client is answered at once while the configured cluster is a black hole: it takes connections and says nothing."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.settings import Mode
from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.sandbox import Sandbox

from .conftest import TRANSPORTS, Platform

pytestmark = pytest.mark.anyio


@pytest.fixture
def black_hole() -> Iterator[socket.socket]:
    """A socket that accepts into its queue and never reads."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(64)
        yield hole


@pytest.fixture
def lost_platform(black_hole: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A klepaas whose only cluster is the black hole."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(_leading_to(f"http://127.0.0.1:{black_hole.getsockname()[1]}")))
    kubeconfig.chmod(0o600)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    stderr = tmp_path / "stderr.log"
    stderr.touch()
    return Platform(Sandbox(), kubeconfig, stderr)


def _leading_to(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "hole",
        "contexts": [{"name": "hole", "context": {"cluster": "hole", "user": "nobody"}}],
        "clusters": [{"name": "hole", "cluster": {"server": server}}],
        "users": [{"name": "nobody", "user": {}}],
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_initialize_and_the_list_never_touch_the_cluster(
    lost_platform: Platform, black_hole: socket.socket, transport: str
) -> None:
    with anyio.fail_after(scale_timeout(20)):
        async with lost_platform.client(transport, Mode.WRITES) as client:
            assert len(await client.list_tools()) > 5
    black_hole.settimeout(0)
    with pytest.raises(BlockingIOError):
        black_hole.accept()


async def test_a_call_gives_up_in_time_and_says_what_to_do(
    lost_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_K8S_READ_TIMEOUT_S", "0.5")
    async with lost_platform.client("memory, 2025-11-25") as client:
        started_s = time.monotonic()
        result = await client.call_tool("k8s_get", {"kind": "pods"}, raise_on_error=False)
        assert time.monotonic() - started_s < time_budget(5, "it would wait for a cluster that never answers")
    assert result.is_error
    assert (result.meta or {})["code"] == "timeout"
    assert "context hole" in str(result.content)
