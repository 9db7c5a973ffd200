"""The official conformance suite against `klepaas serve --http`, in both eras of the protocol.

What does not pass stands in `expected-failures.yml` with its reason, check by check. A check that fails and is not
there fails the test, and so does one that is there and passes. Warnings count as failures: they tell what is expected.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from klepaas.testing import scale_timeout

from .conftest import HERE, INSTALLED, Kit

REVISIONS = ("2025-11-25", "2026-07-28")
_TIME = r"-\d{4}-\d\d-\d\dT[\d-]+Z"


@pytest.mark.timeout(scale_timeout(60))
@pytest.mark.parametrize("revision", REVISIONS)
def test_exactly_the_checks_fail_that_are_known_to(revision: str, kit: Kit, url: str, tmp_path: Path) -> None:
    done = kit.run(
        "conformance",
        "server",
        "--url",
        url,
        "--requirements",
        revision,
        "-o",
        str(tmp_path / "out"),
        limit_s=scale_timeout(60),
    )
    ran = dict(_results(tmp_path / "out"))
    assert ran.keys() == set(_scenarios(revision)), done.stdout[-3000:] + done.stderr[-3000:]
    failed = {f"{scenario}:{check}": why for scenario, checks in ran.items() for check, why in checks.items()}
    known = set(_entries(revision))
    new = {name: why for name, why in failed.items() if not known & {name, name.partition(":")[0]}}
    assert not new, f"fails now: {json.dumps(new, indent=1)}"
    gone = sorted(known - failed.keys() - {name.partition(":")[0] for name in failed})
    assert not gone, f"passes now, so it must leave expected-failures.yml: {gone}"


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_known_failure_has_one_reason(revision: str) -> None:
    names = list(_entries(revision))
    assert len(names) == len(set(names))


def _results(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each scenario that ran, with its checks that did not pass and why."""
    for file in folder.glob("*/checks.json"):
        named = re.fullmatch(rf"server-(.+){_TIME}", file.parent.name)
        assert named, file
        yield (
            named[1],
            {
                check["id"]: f"{check['status']}: {check.get('errorMessage')}"
                for check in json.loads(file.read_text())
                if check["status"] in ("FAILURE", "WARNING")
            },
        )


def _scenarios(revision: str) -> Iterator[str]:
    """What the suite runs for a revision, those that it does not score too."""
    package = INSTALLED / "node_modules" / "@modelcontextprotocol" / "conformance"
    required = yaml.safe_load((package / "requirements" / f"{revision}.yaml").read_text())
    yield from required["server"]
    yield from (item["scenario"] for item in required["not_scored"] if item["leg"] == "server")


def _entries(revision: str) -> Iterator[str]:
    for group in yaml.safe_load((HERE / "expected-failures.yml").read_text())[revision]:
        assert len(group["reason"]) > 20
        yield from group["checks"]
