"""Each answer about an application says what was looked at, what was not and when, as text and as data."""

from typing import Any

import pytest

from klepaas.operations import Operations
from klepaas.operations.failpoints import Failpoint, armed
from klepaas.output.verdict import Verdict
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState
from klepaas_plugins.deployments.rollout import Phase

pytestmark = pytest.mark.anyio


def _assert_founded(found: dict[str, Any], *observed: str) -> None:
    assert found["at"].endswith("Z")
    assert found["not_checked"]
    assert all(any(text in one for one in found["observed"]) for text in observed), found["observed"]


async def test_states_and_lists_as_data_carry_what_was_looked_at_and_when(bench: Any) -> None:
    await bench.deploy()
    for tool, arguments, observed in (
        ("get_deployment_status", {"app_name": "web"}, "deployment web, 1 pod"),
        ("list_applications", {"namespace": "default"}, "status of 1 workload"),
        ("get_overview", {"namespace": "default"}, "status of 1 workload"),
    ):
        _assert_founded((await bench.call(tool, output="json", **arguments)).json(), observed)


async def test_a_change_that_was_verified_carries_what_was_watched_and_for_how_long(bench: Any) -> None:
    said = await bench.deploy()
    _assert_founded(await bench.result(said), "rollout, pods and restarts for ")


async def test_a_failed_change_says_what_showed_the_failure(bench: Any) -> None:
    said = await bench.deploy(image="example/crash:1")
    assert said.is_error
    assert "\nLooked at (" in said.text
    _assert_founded(await bench.result(said), "deployment web, 1 pod")


async def test_a_change_that_was_rolled_back_says_what_showed_the_failure_and_what_was_looked_at_since(
    bench: Any,
) -> None:
    await bench.deploy()
    said = await bench.deploy(image="example/crash:2")
    assert "is rolled back to release 1" in said.text
    assert "\nLooked at (" in said.text
    observed = "deployment web, ", "after going back rollout, pods and restarts for "
    _assert_founded(await bench.result(said), *observed)


async def test_what_was_stopped_before_its_first_effect_rests_on_the_operations_steps_and_says_what_it_leaves_open(
    bench: Any,
) -> None:
    async def cancel() -> None:
        operations = Operations.of(bench.host)
        newest = max(await operations.find(None, limit=20), key=lambda one: one.created_at)
        await operations.cancel(newest.id, None)

    with armed(Failpoint("before_intent", cancel, "apply Deployment web")):
        said = await bench.deploy()
    assert f"the steps of operation {said.operation}: none that changes the application had begun" in said.text
    assert "Not checked: whether what ran before was put on record as a release" in said.text
    _assert_founded(await bench.result(said), "the steps of operation")


def test_a_state_that_nothing_was_looked_at_for_has_no_good_word() -> None:
    assert "not known" in Phase.HEALTHY.words(Verdict(observed=()))
    assert Phase.HEALTHY.words(Verdict(observed=("deployment web",))) == Phase.HEALTHY.value


@pytest.mark.parametrize(("number", "is_known"), [(3, True), (0, False)])
def test_a_release_without_a_record_has_no_good_word(number: int, is_known: bool) -> None:
    release = Release("web", number, ReleaseState.VERIFIED, Cause.DEPLOY, "", "", "", "", "", "")
    assert (release.state_text == ReleaseState.VERIFIED.value) is is_known
