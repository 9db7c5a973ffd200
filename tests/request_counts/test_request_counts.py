"""How many requests reach the API server from a call to the end of its operation. See bench/api_requests.

One Deployment and one Service, warm. The limits only ever go down: a verb that needs more fails here.
"""

from pathlib import Path

import pytest
from api_requests.counting import SCENARIOS, Scenario, count, listing

pytestmark = pytest.mark.anyio

# Measured; each may have as many and no more.
LIMITS = {
    "deploy, the first of all": 49,
    "deploy": 24,
    "deploy over a foreign change": 34,
    "status": 8,
    "status with drift": 12,
    "rollback": 26,
    "scale": 24,
    "restart": 23,
    "delete a ConfigMap": 8,
    "delete a ConfigMap, confirmed": 15,
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.verb)
async def test_a_verb_takes_no_more_requests_than_its_limit(scenario: Scenario, tmp_path: Path) -> None:
    counted = await count(scenario, tmp_path)
    print(listing(counted, each=True))
    limit = LIMITS[scenario.verb]
    assert len(counted.requests) <= limit, listing(counted, each=True)
    assert counted.requests, "the verb should have asked something"


async def test_each_verb_that_is_played_has_a_limit() -> None:
    assert LIMITS.keys() == {scenario.verb for scenario in SCENARIOS}
