"""One pipeline a name, shared by everybody who asks."""

import anyio
import pytest

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.metrics import Metrics
from klepaas.resilience import Policy, State, Upstreams
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


async def refused() -> None:
    raise ConnectionRefusedError


def test_a_name_has_one_upstream() -> None:
    upstreams = Upstreams.of(Host(Settings()))
    limits = Policy(attempts=1)
    first = upstreams.get("prometheus", limits)
    assert upstreams.get("prometheus") is first
    assert upstreams.get("prometheus", limits) is first
    with pytest.raises(ValueError, match="other limits"):
        upstreams.get("prometheus", Policy(attempts=2))


def test_a_host_has_one_registry_and_two_hosts_share_nothing() -> None:
    one, other = Host(Settings()), Host(Settings())
    assert Upstreams.of(one) is Upstreams.of(one)
    assert Upstreams.of(one) is not Upstreams.of(other)
    assert Upstreams.of(one).get("slack") is not Upstreams.of(other).get("slack")


async def test_all_can_be_looked_at_together_and_one_does_not_drag_down_another() -> None:
    host = Host(Settings())
    upstreams = Upstreams.of(host)
    upstreams.get("slack")
    upstream = upstreams.get("kubernetes/prod", Policy(attempts=1, fail_max=1))
    with anyio.fail_after(scale_timeout(5)), pytest.raises(KlepaasError):
        await upstream.call(refused, safe=True, what="list pods")
    found = {shot.name: (shot.state, shot.failures, shot.last_error) for shot in upstreams.snapshot()}
    assert found == {
        "kubernetes/prod": (State.OPEN, 1, "cannot be reached"),
        "slack": (State.CLOSED, 0, None),
    }
    assert list(found) == sorted(found)
    text = Metrics.of(host).exposition()[0].decode()
    assert 'circuit_breaker_state{upstream="kubernetes/prod"} 1.0' in text
    assert 'circuit_breaker_state{upstream="slack"} 0.0' in text
