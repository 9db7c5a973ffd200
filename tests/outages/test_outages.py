"""The whole product in outages: every change, at every stage, with every fault, for seconds and for hours.

The clock is turned by hand, so hours take milliseconds. What is enumerated is data (`cases`); a fixed sample is played
each time, and all of it with `KLEPAAS_TEST_SOAK=1`. The counts are printed: `pytest tests/outages -s`. Real kills are
in `tests/plugins/deployments/test_crashes.py`.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

from .cases import FAULTS, VERBS, Case, Stage, enumerate_cases, sample
from .judging import Finding, Wrong, changes, judge
from .known import KNOWN
from .playing import Home, Played, play
from .world import World, open_world

IS_SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(7200 if IS_SOAK else 450))]

SAMPLE = 48
# A part of the names of the cases to be played; for whoever looks into one.
ONLY = os.environ.get("KLEPAAS_TEST_OUTAGE", "")


async def _play_all(world: World, cases: list[Case]) -> dict[str, list[Finding]]:
    homes: dict[object, Home] = {}
    found: dict[str, list[Finding]] = {}
    for number, case in enumerate(cases):
        key = (case.stage is Stage.ROLLOUT, case.verb.operates)
        home = homes.setdefault(key, Home(f"case-{number}"))
        played = await play(world, case, home)
        found[case.id] = judge(played)
        if ONLY:
            print(f"\n{case.id}: {played.text}\n{changes(played)}\n{played.meanwhile}\n{found[case.id]}")
        if found[case.id] or not _is_well(played):
            del homes[key]
    return found


def _is_well(played: Played) -> bool:
    """Whether the next case may begin where this one ended."""
    has_ended = played.ended is None or played.ended.ended
    return bool(played.after["ready"]) and has_ended


def _report(found: dict[str, list[Finding]]) -> list[str]:
    counts = Counter(finding.wrong for findings in found.values() for finding in findings)
    print(f"\n{len(found)} outages: " + ", ".join(f"{counts[wrong]} {wrong}" for wrong in Wrong))
    known = {name for name in KNOWN if name in found}
    lines = [
        f"{name}: {finding.wrong}: {finding.text}"
        for name, findings in found.items() if name not in known for finding in findings
    ]  # fmt: skip
    lines += [f"{name}: is listed as known, and is well" for name in known if not found[name]]
    return lines


async def test_no_outage_undoes_leaves_doubles_or_hides_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [case for case in (enumerate_cases() if IS_SOAK or ONLY else sample(SAMPLE)) if ONLY in case.id]
    async with open_world(tmp_path, monkeypatch) as world:
        wrong = _report(await _play_all(world, cases))
    assert not wrong, "\n".join(wrong)


def test_the_sample_holds_every_change_stage_fault_and_duration() -> None:
    chosen = sample(SAMPLE)
    assert len({case.id for case in chosen}) == SAMPLE
    assert {case.verb.name for case in chosen} == {verb.name for verb in VERBS}
    assert {case.stage for case in chosen} == set(Stage)
    assert {case.fault.name for case in chosen} == {fault.name for fault in FAULTS}


def test_every_case_that_is_listed_as_known_exists() -> None:
    assert set(KNOWN) <= {case.id for case in enumerate_cases()}
