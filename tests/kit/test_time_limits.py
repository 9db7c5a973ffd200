"""No time limit of the tests is one that a slow or loaded machine could hit."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from klepaas.testing import timeouts

from .time_limits import Limit, literal_limits

ROOT = Path(__file__).parents[2]
# What the shortest limit against a hang has, see klepaas.testing.scale_timeout.
AMPLE_S = timeouts.MIN_TIMEOUT_S * timeouts.DEFAULT_SCALE
SHORT = tomllib.loads(Path(__file__).with_name("short_limits.toml").read_text())
REASON_MIN_CHARS = 15
FOLDERS = ("tests", "server/klepaas/testing", "bench")


def _sources() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != Path(timeouts.__file__) and path != Path(__file__):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _short(source: str) -> Iterator[Limit]:
    """Comparisons are promises whatever their number; anything else is ample from 20 s on, and 0 is no limit."""
    for limit in literal_limits(source):
        number = limit.code.rpartition("=")[2].rpartition("(")[2].strip("')")
        if " < " in limit.code or 0 < float(number) < AMPLE_S:
            yield limit


def _names_of(limit: Limit) -> set[str]:
    """How the list may name it: with its number, or without where the number is tuned."""
    return {limit.code, limit.code.partition("=")[0].partition("(")[0]}


@pytest.fixture(scope="module")
def found() -> dict[str, list[Limit]]:
    return {name: limits for name, source in _sources() if (limits := list(_short(source)))}


def test_no_test_has_a_limit_that_a_loaded_machine_could_hit(found: dict[str, list[Limit]]) -> None:
    unlisted = [
        f"{name}:{limit.line}: {limit.code}"
        for name, limits in found.items()
        for limit in limits
        if not SHORT.get(name, {}).keys() & _names_of(limit)
    ]
    assert unlisted == [], (
        "give a limit against a hang by klepaas.testing.scale_timeout, a promise of speed by time_budget, "
        "and list what is meant to run out in tests/kit/short_limits.toml"
    )


def test_the_list_of_short_limits_names_only_those_that_there_are(found: dict[str, list[Limit]]) -> None:
    there = {(name, code) for name, limits in found.items() for limit in limits for code in _names_of(limit)}
    assert [pair for name, codes in SHORT.items() for code in codes if (pair := (name, code)) not in there] == []


def test_every_short_limit_has_its_reason() -> None:
    assert [why for codes in SHORT.values() for why in codes.values() if len(why) < REASON_MIN_CHARS] == []


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("with anyio.fail_after(5): ...", "fail_after(5)"),
        ("with anyio.fail_after(5), other(): ...", "fail_after(5)"),
        ("with move_on_after(0.5, shield=True): ...", "move_on_after(0.5)"),
        ("await asyncio.wait_for(it(), 3)", "wait_for(3)"),
        ("await asyncio.wait_for(it(), timeout=3)", "timeout=3"),
        ("async with asyncio.timeout(3): ...", "timeout(3)"),
        ("subprocess.run(command, timeout=2)", "timeout=2"),
        ("process.communicate(timeout=2)", "timeout=2"),
        ("process.wait(2)", "wait(2)"),
        ("thread.join(2)", "join(2)"),
        ("peer.settimeout(2)", "settimeout(2)"),
        ("urlopen(url, timeout=2)", "timeout=2"),
        ("Client(server, timeout=2)", "timeout=2"),
        ("httpx.AsyncClient(timeout=2)", "timeout=2"),
        ("pytest.mark.timeout(2)", "timeout(2)"),
        ("LIMIT_S = 2", "LIMIT_S=2"),
        ("START_LIMIT_S, END_LIMIT_S = scale_timeout(20), 2", "END_LIMIT_S=2"),
        ("ANSWER_TIMEOUT_S: float = 2", "ANSWER_TIMEOUT_S=2"),
        ("def until(it, within_s=2): ...", "within_s=2"),
        ("async def until(it, *, limit_s: float = 2): ...", "limit_s=2"),
        ("await server.ended(within_s=2)", "within_s=2"),
        ("call({'name': 'web', 'wait_s': 2})", "wait_s=2"),
        ("monkeypatch.setattr(front, 'BODY_TIMEOUT_S', 2)", "BODY_TIMEOUT_S=2"),
        ("monkeypatch.setattr('klepaas.front._READ_TIMEOUT_S', 2)", "_READ_TIMEOUT_S=2"),
        ("monkeypatch.setenv('KLEPAAS_K8S_READ_TIMEOUT_S', '2')", "KLEPAAS_K8S_READ_TIMEOUT_S='2'"),
        ("assert time.monotonic() - began < 2", "time.monotonic() - began < 2"),
        ("assert 2 > time.perf_counter() - began", "time.perf_counter() - began < 2"),
        ("assert 1 < took_s <= 60 * 1", "took_s < 60 * 1"),
        ("DURATION_MAX_S = 2\nassert duration_s < DURATION_MAX_S", "duration_s < DURATION_MAX_S"),
        ("PROGRAM = '''\nimport anyio\nwith anyio.fail_after(2): ...\n'''", "fail_after(2)"),
    ],
)
def test_a_limit_is_found_in_whatever_form(source: str, code: str) -> None:
    assert [limit.code for limit in _short(source)] == [code]


@pytest.mark.parametrize(
    "source",
    [
        "with anyio.fail_after(scale_timeout(5)): ...",
        "LIMIT_S = scale_timeout(5)",
        "assert took_s < time_budget(0.5, 'it would wait')",
        "assert took_s < 2 * before_s + time_budget(0.02, 'it would wait')",
        "assert took_s > 0.3",
        "with clock.move_on_after(5): ...",
        "subprocess.run(command, timeout=30)",
        "call({'wait_s': 0})",
        "sock.settimeout(0)",
    ],
)
def test_what_no_machine_hits_is_left_alone(source: str) -> None:
    assert list(_short(source)) == []
