"""Every place of the server that reads the wall clock, and why a clock that is set does no harm there."""

import re
from pathlib import Path

import klepaas

SERVER = Path(klepaas.__file__).parent
READS = re.compile(r"\btime\.time\(\)|\bdatetime\.now\(|\bdatetime\.utcnow\(|\bdate\.today\(")
# What tests and new projects of authors contain is not the server's.
ELSEWHERE = ("testing/", "scaffold/")
REASONS = {
    "audit.py": "stamps a record; compared with nothing",
    "audit_reading.py": "tells a person of changes without an outcome; decides nothing",
    "clocks.py": "measures the difference to an upstream's clock; that is what it is for",
    "commands/audit.py": "selects records to show",
    "external/guarded.py": "shows the age of a listing, never below 0; passes the time to a plugin's judge",
    "host.py": "stamps the start, to show for how long it runs",
    "observability.py": "stamps a line of the log",
    "operations/runner.py": "only while the clock was not seen to be set; else by this process's monotonic clock",
    "resilience/clock.py": "is the clock that others are given",
    "store/applications.py": "stamps an address; a person's own stays whatever its time",
    "store/database.py": "is the store's clock, in `now_of`",
}
# Who compares moments of the store, and the test that sets its clock back and forward.
COMPARISONS = {
    "operations/journal.py": "tests/server/operations/test_clocks.py",
    "operations/leases.py": "tests/server/operations/test_clocks.py",
    "plans/plan_store.py": "tests/server/store/test_plans.py",
    "store/identities.py": "the oldest name stands for all; any of them would do",
    "store/outbox.py": "tests/server/store/test_outbox.py",
}
ROOT = Path(__file__).parents[3]


def _users_of(pattern: "re.Pattern[str]") -> set[str]:
    names = {path: path.relative_to(SERVER).as_posix() for path in SERVER.rglob("*.py")}
    return {
        name
        for path, name in names.items()
        if not name.startswith(ELSEWHERE) and pattern.search(path.read_text(encoding="utf-8"))
    }


def test_every_reading_of_the_wall_clock_in_the_server_has_a_reason_why_a_clock_that_is_set_does_no_harm() -> None:
    assert _users_of(READS) == set(REASONS)


def test_everybody_who_goes_by_the_clock_of_the_store_has_a_test_that_sets_it() -> None:
    users = _users_of(re.compile(r"\bnow_of\(|\bnow_of$|or now_of\b", re.MULTILINE)) - {"store/database.py"}
    assert users == set(COMPARISONS)
    tests = [where for where in COMPARISONS.values() if where.startswith("tests/")]
    assert all("36_000" in (ROOT / where).read_text(encoding="utf-8") for where in tests)
