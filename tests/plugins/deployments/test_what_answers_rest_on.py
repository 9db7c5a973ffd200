"""Each answer about an application says what was looked at, what was not and when, as text and as data."""

from typing import Any

import pytest

from klepaas.operations import Operations
from klepaas.operations.failpoints import Failpoint, armed
from klepaas.output.verdict import Verdict
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState
from klepaas_plugins.deployments.rollout import Phase

pytestmark = pytest.mark.anyio
_CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: colours}\ndata: {sky: blue}"


def _assert_founded(found: dict[str, Any], *observed: str) -> None:
    assert found["at"].endswith("Z")
    assert found["not_checked"]
    assert all(any(text in one for one in found["observed"]) for text in observed), found["observed"]


async def _cancelled_before(bench: Any, step: str, image: str = "example/app:1") -> Any:
    """What a deployment answers that is cancelled before one of its steps."""

    async def cancel() -> None:
        operations = Operations.of(bench.host)
        newest = max(await operations.find(None, limit=20), key=lambda one: one.created_at)
        await operations.cancel(newest.id, None)

    with armed(Failpoint("before_intent", cancel, step)):
        return await bench.deploy(image=image)


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
    said = await _cancelled_before(bench, "apply Deployment web")
    assert f"the steps of operation {said.operation}: none that changes the application had begun" in said.text
    assert "Not checked: whether what ran before was put on record as a release" in said.text
    _assert_founded(await bench.result(said), "the steps of operation")


async def test_a_first_deployment_that_was_cancelled_says_that_its_steps_show_it(bench: Any) -> None:
    said = await _cancelled_before(bench, "record the release")
    assert "was cancelled and stays as it is" in said.text
    assert "\nLooked at (" in said.text
    found = await bench.result(said)
    _assert_founded(found, "the steps of the operation")
    assert (found["state"], found["app"]) == ("cancelled", "web")


async def test_a_cancelled_change_that_was_rolled_back_says_what_was_looked_at_after_going_back(bench: Any) -> None:
    await bench.deploy()
    said = await _cancelled_before(bench, "record the release", "example/app:2")
    assert "was cancelled and is rolled back to release 1" in said.text
    found = await bench.result(said)
    _assert_founded(found, "the steps of the operation", "after going back rollout, pods and restarts for ")
    assert (found["state"], found["release"], found["image"]) == ("cancelled", 1, "example/app:1")


async def test_a_change_whose_rollback_failed_too_says_what_showed_both(bench: Any) -> None:
    await bench.deploy()

    async def deny() -> None:
        bench.sandbox.deny("patch", "deployments")

    with armed(Failpoint("before_intent", deny, "mark the release failed")):
        said = await bench.deploy(image="example/crash:2")
    assert "failed AND ITS ROLLBACK to release 1 FAILED TOO" in said.text
    found = await bench.result(said)
    _assert_founded(found, "deployment web, ", "going back to release 1")
    assert (found["state"], found["rollback_failed"]) == ("failed", True)


async def test_a_change_that_was_applied_and_not_seen_rests_on_what_the_cluster_answered(bench: Any) -> None:
    bench.sandbox.deny("list", "pods")
    said = await bench.deploy()
    assert "is applied, but how it goes could not be seen" in said.text
    found = await bench.result(said)
    _assert_founded(found, "the cluster's answers to what was applied")
    assert found["state"] == "unknown"
    assert "whether it stays so" in found["not_checked"]


async def test_history_and_releases_say_in_both_forms_what_they_rest_on_and_what_they_do_not_know(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/app:2")
    for tool, arguments, observed, unchecked in (
        ("get_deployment_history", {}, "this server's record of changes of all applications", "other servers"),
        ("get_deployment_history", {"app_name": "web"}, "record of changes of web in default", "other servers"),
        ("list_releases", {"app_name": "web"}, "2 release records", "whether what runs now is ready"),
        ("diff_releases", {"app_name": "web", "before": 1}, "release 1", "values of Secrets"),
        ("get_operation", {}, "the records of operations", "the cluster"),
    ):
        found = (await bench.call(tool, output="json", **arguments)).json()
        _assert_founded(found, observed)
        assert any(unchecked in one for one in found["not_checked"])
        if tool != "get_operation":
            text = (await bench.call(tool, **arguments)).text.split("\n")[-1]
            assert text.startswith("Looked at (")
            assert all(part in text for part in (observed, unchecked))


async def test_a_refusal_prints_how_it_is_known_that_nothing_was_changed(bench: Any) -> None:
    refused = await bench.call("k8s_apply", manifests="kind: [")
    assert "nothing was changed (the documents were refused before any of them was sent)" in refused.text
    tried = await bench.call("k8s_apply", manifests=_CONFIG, dry_run=True)
    assert "nothing was changed (the server tried it out and stored nothing)" in tried.text


def test_a_state_that_nothing_was_looked_at_for_has_no_good_word() -> None:
    assert "not known" in Phase.READY.words(Verdict(observed=()))
    assert Phase.READY.words(Verdict(observed=("deployment web",))) == "healthy"


@pytest.mark.parametrize(("number", "is_known"), [(3, True), (0, False)])
def test_a_release_without_a_record_has_no_good_word(number: int, is_known: bool) -> None:
    release = Release("web", number, ReleaseState.PASSED, Cause.DEPLOY, "", "", "", "", "", "")
    assert (release.state_text == "verified") is is_known
