"""The decision in shadow: off unless a test asks, and beside the older way it decides the same, or it is known why."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.deployments import carrying
from klepaas_plugins.deployments.executor.decide import ROWS
from klepaas_plugins.deployments.executor.differences import EXPECTED, Older, find_reason
from klepaas_plugins.deployments.executor.shadow import Shadow, shadowing

START = """
import sys
from klepaas.app import create_app
from klepaas.settings import Settings
create_app(Settings(external_plugins=False, state_dir=sys.argv[1]))
print(sorted(name for name in sys.modules if ".executor" in name and "klepaas" in name))
"""


@pytest.fixture
def shadow() -> Iterator[Shadow]:
    with shadowing() as found:
        yield found


def unexpected(shadow: Shadow) -> list[str]:
    return [one.text for one in shadow.differences if one.reason is None]


def test_it_is_off_by_default() -> None:
    assert carrying.shadow is None


def test_a_start_does_not_import_it(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=scale_timeout(60),
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_every_difference_that_is_expected_is_about_a_row_that_there_is() -> None:
    titles = {row.title for row in ROWS}
    assert {row for _, row in EXPECTED} <= titles
    assert find_reason(Older.VERIFY, "a decisive cause is a failure") is None


@pytest.mark.anyio
async def test_good_and_failing_changes_of_every_verb_are_decided_alike(bench: Any, shadow: Shadow) -> None:
    assert not (await bench.deploy(replicas=2)).is_error
    assert (await bench.deploy(image="example/crash:2")).is_error
    assert not (await bench.call("scale_application", app_name="web", replicas=3)).is_error
    assert not (await bench.call("restart_application", app_name="web")).is_error
    assert not (await bench.deploy(image="example/app:3")).is_error
    assert not (await bench.call("rollback_deployment", app_name="web")).is_error
    assert unexpected(shadow) == []
    # Each change before its first write and at its end, the one that failed after going back too.
    assert shadow.count >= 10


@pytest.mark.anyio
async def test_a_failure_that_has_nothing_to_go_back_to_is_left_by_both(bench: Any, shadow: Shadow) -> None:
    assert (await bench.deploy(image="example/crash:1")).is_error
    assert (await bench.deploy("other", image="example/oom:1", auto_rollback=False)).is_error
    assert shadow.differences == []
    assert shadow.count == 4


@pytest.mark.anyio
async def test_a_difference_is_returned_and_logged_at_debug(
    bench: Any, shadow: Shadow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas_plugins.deployments.executor.shadow._is_same", lambda *_: False)
    with caplog.at_level(logging.DEBUG, logger="klepaas_plugins.deployments.executor.shadow"):
        await bench.deploy()
    assert [one.older for one in shadow.differences] == [Older.APPLY, Older.VERIFY]
    assert "older: verify; newer: verify" in caplog.text
    assert "NOT EXPECTED" in caplog.text
