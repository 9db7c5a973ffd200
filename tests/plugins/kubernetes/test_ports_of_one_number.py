"""Two ports of one number, one of them without its protocol, as in MetalLB's manifests: applied twice, then changed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]
_UDP = {"containerPort": 7946, "name": "memberlist-udp", "protocol": "UDP"}
_TCP = {"containerPort": 7946, "name": "memberlist-tcp"}


@pytest.mark.parametrize("ports", [[_TCP, _UDP], [_UDP, _TCP], [{"containerPort": 9120, "name": "m"}, _TCP, _UDP]])
async def test_a_port_without_its_protocol_beside_one_of_its_number_is_unchanged_and_can_change(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any, ports: list[dict[str, Any]]
) -> None:
    manifests = json.dumps(deployment("speaker", ports=ports))
    assert text(await change("k8s_apply", manifests=manifests)).startswith("created\t")
    assert text(await change("k8s_apply", manifests=manifests)).startswith("unchanged\t")
    renamed = manifests.replace("memberlist-tcp", "gossip-tcp")
    assert "memberlist-tcp -> gossip-tcp" in text(await change("k8s_apply", manifests=renamed))
    stored = (sandbox.get("deployments", "speaker") or {})["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert {(one["name"], one["protocol"]) for one in stored if one["containerPort"] == 7946} == {
        ("gossip-tcp", "TCP"),
        ("memberlist-udp", "UDP"),
    }
