"""The history of deployments, and what is kept of applications."""

from pathlib import Path

import anyio
import pytest
from sqlalchemy import insert

from klepaas.store import Store
from klepaas.store.applications import ApplicationKey, Applications, Scaling
from klepaas.store.history import Deployment, History, Stage, Statistics
from klepaas.store.tables import DeploymentRow

pytestmark = pytest.mark.anyio

WEB = ApplicationKey("https://10.0.0.1 ca", "shop", "web")


def deployment(number: int, state: str = "succeeded", kind: str = "deploy", took_s: float | None = 10.0) -> Deployment:
    began_at = 1000.0 * number
    return Deployment(
        f"op-{number}", kind, state, "https://10.0.0.1 ca", "shop", "web", "anna over stdio", began_at,
        None if took_s is None else began_at + took_s,
    )  # fmt: skip


async def test_a_deployment_is_kept_with_everything_that_is_known_of_it(store: Store) -> None:
    whole = Deployment(
        operation_id="op-1", operation_type="rollback", state="rolled_back", cluster="c", namespace="n",
        application="a", deployed_by="anna", started_at=1.5, ended_at=4.0, context="prod", workload="deployment web",
        repository="r", branch="main", commit_sha="0123abc", commit_message="Fix", commit_author="Bo", commit_url="https://x.example/c",
        image="x/web:1@sha256:aa", image_name="x/web", image_tag="1", image_digest="sha256:aa", replicas=3,
        previous_replicas=2, release=8, rollback_from_release=7, rollback_to_release=5, is_rollback=True,
        automatic=True, url="https://web.example", provider_ids={"build": "b-1"},
        stages=(Stage("apply", "succeeded", 1.5, 0.5), Stage("rollout", "failed", 2.0, 2.0, "r-1")),
        error_stage="rollout", error_message="web crashes", trigger={"kind": "webhook"},
    )  # fmt: skip
    history = History(store)
    await history.put(whole)
    assert await history.find() == [whole]
    assert whole.duration_s == 2.5


async def test_a_deployment_is_written_again_as_it_goes_on(store: Store) -> None:
    history = History(store)
    await history.put(deployment(1, "running", took_s=None))
    await history.put(deployment(1))
    assert [(one.state, one.duration_s) for one in await history.find()] == [("succeeded", 10.0)]


async def test_what_is_kept_holds_no_secret(store: Store) -> None:
    history = History(store)
    told = Deployment("op-1", "deploy", "failed", "c", "n", "a", "anna", 1.0, error_message="password=hunter2-hunter2")
    await history.put(told)
    (found,) = await history.find()
    assert found.error_message == "password=‹redacted›"


async def test_deployments_are_found_newest_first_by_what_they_are_about(store: Store) -> None:
    history = History(store)
    for number in range(1, 6):
        await history.put(deployment(number, kind="scale" if number % 2 else "deploy"))
    found = await history.find(cluster=WEB.cluster, namespace="shop", application="web", limit=2)
    assert [one.operation_id for one in found] == ["op-5", "op-4"]
    assert [one.operation_id for one in await history.find(before=4000.0, operation_type="deploy")] == ["op-2"]
    assert await history.find(application="other") == []


async def test_statistics_say_how_deployments_went(store: Store) -> None:
    history = History(store)
    for number, state in enumerate(("succeeded", "failed", "succeeded", "rolled_back"), 1):
        await history.put(deployment(number, state, took_s=float(number)))
    await history.put(deployment(9, "running", took_s=None))
    assert await history.statistics(application="web") == Statistics(
        total=5,
        by_state={"running": 1, "rolled_back": 1, "succeeded": 2, "failed": 1},
        by_type={"deploy": 5},
        success_rate=0.5,
        median_s=1.0,
        last_success_at=3003.0,
        last_failure_at=4004.0,
    )
    assert (await history.statistics(since=9000.0)).total == 1


async def test_statistics_count_every_deployment_however_many_there_are(store: Store) -> None:
    history = History(store)
    await history.put(deployment(1))
    more = [{**vars(deployment(number)), "stages": []} for number in range(2, 10_001)]
    await store.write(lambda session: bool(session.execute(insert(DeploymentRow), more)))
    figures = await history.statistics(application="web", since=0.0)
    assert (figures.total, figures.by_state, figures.median_s) == (10_000, {"succeeded": 10_000}, 10.0)


async def test_asking_where_nothing_was_ever_stored_makes_no_store(folder: Path) -> None:
    store = Store(folder)
    history, applications = History(store), Applications(store)
    assert (await history.find(), await applications.scaling(WEB), await applications.address(WEB)) == ([], None, None)
    assert (await history.statistics()).success_rate is None
    assert not await anyio.Path(folder).exists()


async def test_the_last_scaling_is_kept(store: Store) -> None:
    applications = Applications(store)
    for replicas in (3, 5):
        await applications.scaled(WEB, Scaling(replicas, 10.0 * replicas, "anna"))
    assert await applications.scaling(WEB) == Scaling(5, 50.0, "anna")
    assert await applications.scaling(ApplicationKey("other", "shop", "web")) is None


async def test_an_address_that_a_person_set_stays_until_they_take_it_back(store: Store) -> None:
    applications = Applications(store)
    await applications.found_at(WEB, "http://found.example")
    await applications.set_address(WEB, "https://mine.example", "anna")
    kept = await applications.found_at(WEB, "http://found-again.example")
    assert (kept.url, kept.is_user_modified, kept.updated_by) == ("https://mine.example", True, "anna")
    await applications.set_address(WEB, None, "anna")
    assert await applications.address(WEB) is None
    assert (await applications.found_at(WEB, "http://found.example")).url == "http://found.example"
