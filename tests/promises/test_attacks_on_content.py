"""Attacks on what a change holds: each is asked as destructive, with the fact that matters, and changes nothing.

More than sixty, half of them from public advisories and incident reports; over an MCP session, on the sandbox.
"""

import json
import re
from collections.abc import AsyncIterator

import pytest

from klepaas.testing import scale_timeout

from .attack_content import Content
from .attack_stage import Stage, open_stage
from .attacks_from_advisories import ADVISORIES
from .attacks_of_our_own import OUR_OWN

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]
ATTACKS = (*ADVISORIES, *OUR_OWN)
_SOURCE = re.compile(r"CVE-\d{4}-\d{4,7}|GHSA(?:-[0-9a-z]{4}){3}|GCP-\d{4}-\d{3}|[\w./-]+#\d+|[\w ]+: [\w ,-]+, \d{4}")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all attacks, which share a cluster and a session."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path_factory.mktemp("content")) as stage:
        yield stage


@pytest.fixture
async def stage(shared: Stage) -> AsyncIterator[Stage]:
    """The cluster without what the attack before has put there."""
    yield shared
    await shared.clean()


@pytest.mark.parametrize("attack", ATTACKS, ids=[one.name for one in ATTACKS])
async def test_an_attack_on_content_is_asked_as_destructive_with_its_fact_and_changes_nothing(
    stage: Stage, attack: Content
) -> None:
    await stage.prepare(attack)
    manifests = "\n---\n".join(json.dumps(obj) for obj in attack.sent)
    answer = await stage.apply(manifests)
    assert stage.read, answer
    assert "Tool: k8s_apply (destructive)" in stage.read[0]
    assert attack.fact in stage.read[0], stage.read[0]
    assert "! destructive: " in stage.read[0]
    assert stage.changes == []


def test_at_least_half_of_the_attacks_are_from_public_advisories_and_reports() -> None:
    assert len(ATTACKS) >= 60
    assert len(ADVISORIES) * 2 >= len(ATTACKS)
    assert all(one.source is not None and _SOURCE.fullmatch(one.source) for one in ADVISORIES)


def test_no_attack_stands_twice() -> None:
    assert len({one.name for one in ATTACKS}) == len(ATTACKS)
