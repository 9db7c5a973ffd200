"""Rollouts that fail are explained and undone exactly; rollouts that go well are verified. See bench/rollouts.

With `KLEPAAS_TEST_KUBECONFIG` the same on a real control plane whose pods the stand-in kubelet moves (not any cluster:
real images do not behave by their names).
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from rollouts.playing import Stage, on_a_cluster, on_the_sandbox, play
from rollouts.scenarios import BAD, FLOOR, GOOD, Scenario

from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.deployments.executor.shadow import Shadow, shadowing

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

# So many scenarios are promised.
LEAST_BAD, LEAST_GOOD = 25, 10
# From the first decisive signal to the decision.
LIMIT_S = time_budget(10, "a sign that decides would be left until the deadline")


@pytest.fixture(params=["sandbox", pytest.param("cluster", marks=pytest.mark.cluster)])
async def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    for name in ("KUBECONFIG", "KLEPAAS_POLICY", "KLEPAAS_NAMESPACE", "KLEPAAS_ROLLOUT_UNSCHEDULABLE_GRACE_S"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("KLEPAAS_ROLLOUT_UNSCHEDULABLE_GRACE_S", "0.5")
    # The sandbox's programs that fall over do so within a few hundredths of a second.
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.5" if request.param == "cluster" else "0.25")
    kubeconfig = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    if request.param == "cluster" and not kubeconfig:
        pytest.skip("KLEPAAS_TEST_KUBECONFIG names no cluster: the rollouts were NOT played on a real one")
    async with on_a_cluster(kubeconfig) if request.param == "cluster" and kubeconfig else on_the_sandbox() as found:
        yield found


@pytest.fixture(autouse=True)
def shadow() -> Iterator[Shadow]:
    """Each rollout is decided once more by the table to come; where the two differ, it must be known why."""
    with shadowing() as found:
        yield found
    for difference in found.differences:
        print(difference.text)
    assert [one.text for one in found.differences if one.reason is None] == []


def test_there_are_as_many_scenarios_as_promised() -> None:
    assert len(BAD) >= LEAST_BAD
    assert len(GOOD) >= LEAST_GOOD
    assert len({scenario.name for scenario in (*BAD, *GOOD)}) == len(BAD) + len(GOOD)


@pytest.mark.parametrize("scenario", BAD, ids=lambda scenario: scenario.name)
async def test_a_rollout_that_fails_is_explained_and_undone_exactly(stage: Stage, scenario: Scenario) -> None:
    if scenario.fault and stage.sandbox is None:
        pytest.skip("a real cluster cannot be told to refuse this request")
    result = await play(stage, scenario)
    assert not result.problem, result.text
    assert result.missing == [], result.text
    assert result.restored == [], "these are not as they were"
    assert result.least >= FLOOR
    assert (result.decided_s or 0.0) <= LIMIT_S


@pytest.mark.parametrize("scenario", GOOD, ids=lambda scenario: scenario.name)
async def test_a_rollout_that_goes_well_is_verified(stage: Stage, scenario: Scenario) -> None:
    result = await play(stage, scenario)
    assert not result.problem
    assert result.least >= FLOOR
