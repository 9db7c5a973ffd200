"""Attacks on what a change holds: each is asked as destructive, with the fact that matters, and changes nothing.

More than sixty, half of them from public advisories and incident reports; over an MCP session, on the sandbox. The
same on a real API server that nobody needs, since objects are made in its namespaces and deleted:

    KLEPAAS_TEST_KUBECONFIG=~/.kube/config pytest -m cluster tests/promises/test_attacks_on_content.py
"""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

from .attack_content import Content
from .attack_stage import RealStage, Stage, open_real_stage, open_stage
from .attacks_from_advisories import ADVISORIES
from .attacks_of_our_own import OUR_OWN

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]
ATTACKS = (*ADVISORIES, *OUR_OWN)
# What a real API server of 1.36 refuses by itself, and why: nobody needs to be asked.
REFUSED_BY_ITSELF = {
    "a slice by hand leads to the metadata of the cloud": "may not be in the link-local range",
    "a claim of devices has access as an administrator": "admin access to devices requires the",
}
_SOURCE = re.compile(r"CVE-\d{4}-\d{4,7}|GHSA(?:-[0-9a-z]{4}){3}|GCP-\d{4}-\d{3}|[\w./-]+#\d+|[\w ]+: [\w ,-]+, \d{4}")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all attacks, which share a cluster and a session."""
    return "asyncio"


@pytest.fixture(scope="module", params=["sandbox", pytest.param("real", marks=pytest.mark.cluster)])
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("content")
    if request.param == "sandbox":
        async with open_stage(folder) as stage:
            yield stage
        return
    kubeconfig = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KLEPAAS_TEST_KUBECONFIG names no cluster: the attacks on content were NOT tried on a real one")
    async with open_real_stage(Path(kubeconfig), folder) as real:
        yield real


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
    if isinstance(stage, RealStage) and attack.name in REFUSED_BY_ITSELF:
        assert REFUSED_BY_ITSELF[attack.name] in answer
        assert await stage.find_changes() == []
        return
    assert stage.read, answer
    assert "Tool: k8s_apply (destructive)" in stage.read[0]
    assert attack.fact in stage.read[0], stage.read[0]
    assert "! destructive: " in stage.read[0]
    assert await stage.find_changes() == []


def test_at_least_half_of_the_attacks_are_from_public_advisories_and_reports() -> None:
    assert len(ATTACKS) >= 60
    assert len(ADVISORIES) * 2 >= len(ATTACKS)
    assert all(one.source is not None and _SOURCE.fullmatch(one.source) for one in ADVISORIES)


def test_no_attack_stands_twice() -> None:
    names = {one.name for one in ATTACKS}
    assert len(names) == len(ATTACKS)
    assert REFUSED_BY_ITSELF.keys() <= names
