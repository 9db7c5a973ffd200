"""The history of deployments, and what is kept of applications."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from klepaas.store import Store
from klepaas.store.applications import ApplicationKey, Applications, Scaling
from klepaas.store.history import Deployment, History, Stage, Statistics, _statistics
from klepaas.store.tables import DeploymentRow
from klepaas.testing import scale_timeout

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


IS_SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
COUNT = 1_000_000 if IS_SOAK else 20_000
# For each of the four questions, on a machine that does nothing else; 1,000,000 take about 1.5 s.
LIMIT_S = 8.0 if IS_SOAK else 2.0


def _state(number: int) -> str:
    return "failed" if number % 10 == 0 else "rolled_back" if number % 10 == 1 else "succeeded"


def _fill(session: Session) -> bool:
    """As many rows, made by the database out of the first: of 50 applications, each ended another way."""
    varied = {
        "operation_id": "'op-' || n.n",
        "state": "CASE n.n % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'rolled_back' ELSE 'succeeded' END",
        "operation_type": "CASE n.n % 3 WHEN 0 THEN 'scale' ELSE 'deploy' END",
        "application": "'app-' || (n.n % 50)",
        "started_at": "n.n * 1.0",
        "ended_at": "n.n * 1.0 + (n.n * 7919 % 100003) / 1000.0",
        "duration_s": "(n.n * 7919 % 100003) / 1000.0",
    }
    columns = [column.name for column in DeploymentRow.__table__.columns if column.name != "id"]
    chosen = ", ".join(varied.get(name, f"d.{name}") for name in columns)
    if session.get_bind().dialect.name == "postgresql":
        numbers = f"generate_series(2::bigint, {COUNT}::bigint) AS n(n)"
    else:
        numbers = (
            f"(WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < {COUNT}) SELECT n FROM n) AS n"
        )
    session.execute(
        text(
            f"INSERT INTO deployment_history ({', '.join(columns)}) SELECT {chosen} "
            f"FROM {numbers}, deployment_history AS d WHERE d.operation_id = 'op-1'"
        )
    )
    return True


def _expected(numbers: Sequence[int]) -> tuple[int, dict[str, int], dict[str, int], float]:
    """Total, by state, by type and median as they are counted by hand; the first row is no one of the 50."""
    took = sorted((number * 7919 % 100003) / 1000.0 for number in numbers if _state(number) == "succeeded")
    return (
        len(numbers),
        dict(Counter(_state(number) for number in numbers)),
        dict(Counter("deploy" if number % 3 else "scale" for number in numbers)),
        took[(len(took) - 1) // 2],
    )


@pytest.mark.timeout(240)
async def test_figures_of_a_million_deployments_are_right_and_quick_in_both_databases(store: Store) -> None:
    history = History(store)
    await history.put(replace(deployment(1), started_at=-1000.0, ended_at=-990.0))
    await store.write(_fill)
    everything, newest = range(2, COUNT + 1), range(COUNT * 9 // 10, COUNT + 1)
    questions: tuple[tuple[dict[str, Any], Sequence[int]], ...] = (
        ({"since": 0.0}, everything),
        ({"cluster": WEB.cluster, "since": 0.0}, everything),
        ({"namespace": "shop", "since": float(newest[0])}, newest),
        (
            {"cluster": WEB.cluster, "namespace": "shop", "application": "app-7", "since": 0.0},
            [number for number in everything if number % 50 == 7],
        ),
    )
    for asked, numbers in questions:
        began_at = time.monotonic()
        found = await history.statistics(**asked)
        took_s = time.monotonic() - began_at
        assert (found.total, found.by_state, found.by_type, found.median_s) == _expected(numbers), asked
        assert took_s < scale_timeout(LIMIT_S), asked
        began_at = time.monotonic()
        asked.pop("since")
        page = await history.find(**asked, limit=21)
        assert [one.operation_id for one in page] == [f"op-{number}" for number in sorted(numbers, reverse=True)[:21]]
        assert time.monotonic() - began_at < scale_timeout(LIMIT_S), asked


async def test_figures_read_no_row_of_the_table(folder: Path) -> None:
    store = Store(folder)
    await History(store).put(deployment(1))
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    def explain(session: Session) -> list[str]:
        event.listen(session.connection(), "before_cursor_execute", note)
        for asked in ({"cluster": WEB.cluster}, {"namespace": "shop"}, vars(WEB), {}):
            _statistics(session, asked, 0.0)
        return [
            str(session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
            for statement, parameters in list(statements)
        ]

    plans = await store.read(explain)
    await store.aclose()
    assert len(plans) == 8
    assert [plan for plan in plans if "USING COVERING INDEX" not in plan] == []


async def test_the_middle_one_is_found_among_durations_that_differ_little(store: Store) -> None:
    history = History(store)
    for number, took_s in enumerate((10.04, 10.01, 10.02, 10.03, 99.0), 1):
        await history.put(deployment(number, took_s=took_s))
    assert (await history.statistics()).median_s == pytest.approx(10.03)


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
