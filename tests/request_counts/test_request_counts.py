"""How many requests reach the API server from a call to the end of its operation. See bench/api_requests.

One Deployment and one Service, warm. The limits only ever go down: a verb that needs more fails here.
"""

from pathlib import Path

import pytest
from api_requests.counting import SCENARIOS, Scenario, count, listing

from klepaas.testing import scale_timeout
from klepaas_plugins.deployments import watching
from klepaas_plugins.kubernetes.client import looks

pytestmark = pytest.mark.anyio

LATENCY_S = 0.05
# Measured; each may have as many and no more.
LIMITS = {
    # One of them looks for releases of an earlier version; it goes when these are read no more.
    "deploy, the first of all": 50,
    "deploy": 24,
    "deploy over a foreign change": 34,
    "deploy, cold": 27,
    "deploy manifests": 26,
    "deploy manifests, one object more": 28,
    "status": 8,
    "status with drift": 12,
    "rollback": 25,
    "scale": 24,
    "restart": 23,
    "delete a ConfigMap": 8,
    "delete a ConfigMap, confirmed": 15,
}


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes no look old, and no pod pending for long."""
    monkeypatch.setattr(looks, "MAX_AGE_S", scale_timeout(60))
    monkeypatch.setattr(watching, "PENDING_S", scale_timeout(60))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.verb)
async def test_a_verb_takes_no_more_requests_than_its_limit(scenario: Scenario, tmp_path: Path) -> None:
    counted = await count(scenario, tmp_path)
    print(listing(counted, each=True))
    limit = LIMITS[scenario.verb]
    assert len(counted.requests) <= limit, listing(counted, each=True)
    assert counted.requests, "the verb should have asked something"


async def test_each_verb_that_is_played_has_a_limit() -> None:
    assert LIMITS.keys() == {scenario.verb for scenario in SCENARIOS}


async def test_with_50_ms_more_a_request_a_deployment_takes_less_than_2_s_beyond_its_rollout(tmp_path: Path) -> None:
    scenario = next(one for one in SCENARIOS if one.verb == "deploy")
    counted = await count(scenario, tmp_path, latency_s=LATENCY_S)
    # A watch goes on beside the rollout. Even if all others came one after another, as they do not, they take less.
    waits = [line for line in counted.requests if not line.startswith("WATCH")]
    assert len(waits) * LATENCY_S < 2.0, listing(counted, each=True)
    assert len(counted.requests) <= LIMITS["deploy"], "latency alone makes nothing be asked twice"
