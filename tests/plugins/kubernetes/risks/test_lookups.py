"""What rules need from the cluster is looked up in few requests; what is not known raises the effect."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import pytest

from klepaas.changes import Action, ObjectChange, ObjectIdentity
from klepaas.effects import Effect
from klepaas.plans.describe import describe_risk
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.risks import Known, find_risks, judge, judge_again, lookups
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.settings import KubernetesSettings

from .objects import CONTAINER, Json, account, at, binding, deployment, made, role, rule

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing.instant()) as sandbox:
        sandbox.create(made("v1", "Namespace", "shop", None))
        yield sandbox


@pytest.fixture
async def cluster(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Cluster]:
    clusters = Clusters(KubernetesSettings(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "kubeconfig"))))
    cluster = await clusters.cluster()
    await cluster.resources()
    sandbox.clear_requests()
    yield cluster
    await clusters.aclose()


def change(before: Json | None, after: Json) -> ObjectChange:
    metadata = after["metadata"]
    identity = ObjectIdentity(
        kind=after["kind"], name=metadata["name"], namespace=metadata.get("namespace"), api_version=after["apiVersion"]
    )
    action = Action.CREATE if before is None else Action.UPDATE
    return ObjectChange(identity=identity, action=action, before=before, after=after, body=after)


async def texts(cluster: Cluster, *changes: ObjectChange, severity: Effect = Effect.DESTRUCTIVE) -> Sequence[str]:
    with anyio.fail_after(scale_timeout(20)):
        judged = await find_risks(cluster, changes)
    return [describe_risk(risk) for one in judged for risk in one.risks if risk.severity is severity]


async def test_an_update_of_an_image_asks_for_nothing(sandbox: Sandbox, cluster: Cluster) -> None:
    before = deployment()
    assert await texts(cluster, change(before, at(before, f"{CONTAINER} image", "example/app:2"))) == []
    assert sandbox.requests == []


WIDER = change(role(rule("get", "pods")), role(rule("get", "pods secrets")))


async def test_the_subjects_of_an_edited_role_are_named(sandbox: Sandbox, cluster: Cluster) -> None:
    sandbox.create(binding("Role", "app", account("reader")))
    assert await texts(cluster, WIDER) == ["grants get on secrets to ServiceAccount shop/reader"]
    assert len(sandbox.requests) == 1


async def test_an_edited_role_counts_as_bound_where_bindings_may_not_be_read(
    sandbox: Sandbox, cluster: Cluster
) -> None:
    sandbox.deny("list", "rolebindings")
    (text,) = await texts(cluster, WIDER)
    assert text == "grants get on secrets to those who are bound to Role app; not known who that is"


async def test_an_edited_role_of_nobody_is_named_and_raises_nothing(cluster: Cluster) -> None:
    assert await texts(cluster, WIDER) == []
    (text,) = await texts(cluster, WIDER, severity=Effect.WRITE)
    assert text.endswith("nobody is bound to it yet")


async def test_one_answer_leads_to_another(sandbox: Sandbox, cluster: Cluster) -> None:
    sandbox.plant(made("v1", "PersistentVolume", "pv", None, spec={"hostPath": {"path": "/etc"}}))
    sandbox.plant(made("v1", "PersistentVolumeClaim", "data", spec={"volumeName": "pv"}))
    mounting = deployment(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    (text,) = await texts(cluster, change(deployment(), mounting))
    assert text == "access to the files of a node (PersistentVolume pv of claim data: /etc)"


@pytest.mark.parametrize("fault", ["denied", "broken"])
async def test_what_cannot_be_looked_up_is_named_and_raises(sandbox: Sandbox, cluster: Cluster, fault: str) -> None:
    if fault == "denied":
        sandbox.deny("get", "secrets")
    else:
        sandbox.fail("GET", "/secrets/", 500)
    mounting = deployment("other/app:1", volumes=[{"name": "s", "secret": {"secretName": "s"}}])
    found = await texts(cluster, change(None, mounting))
    assert found == ["not known whether Secret s, which other/app gets, holds a token or registry credentials"]


async def test_a_cluster_that_does_not_answer_in_time_leaves_it_unknown(
    sandbox: Sandbox, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "LOOKUP_TIMEOUT_S", 0.2)
    sandbox.hang("/rolebindings")
    (text,) = await texts(cluster, WIDER)
    assert text.endswith("not known who that is")


async def test_there_are_at_most_forty_lookups(sandbox: Sandbox, cluster: Cluster) -> None:
    volumes = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": f"c{n}"}} for n in range(60)]
    found = await texts(cluster, change(None, deployment(volumes=volumes)))
    assert len(sandbox.requests) == lookups.LOOKUPS_MAX == 40
    assert len([text for text in found if text.startswith("not known whether the volume of claim")]) == 20


async def test_an_answer_that_is_what_was_planned_is_not_looked_up_again(sandbox: Sandbox, cluster: Cluster) -> None:
    (planned,) = await find_risks(cluster, [WIDER])
    sandbox.clear_requests()
    assert await judge_again(cluster, [planned])(planned) == planned.risks
    assert sandbox.requests == []


async def test_an_answer_with_more_in_it_is_judged_by_what_is_in_it(cluster: Cluster) -> None:
    before = deployment()
    (planned,) = await find_risks(cluster, [change(before, at(before, "spec replicas", 3))])
    more = change(before, at(before, "spec template spec hostPID", True))
    (risk,) = await judge_again(cluster, [planned])(more)
    assert "hostPID: true" in describe_risk(risk)


async def test_no_lookup_keeps_the_value_of_a_secret(
    sandbox: Sandbox, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.create(made("v1", "Secret", "s", type="kubernetes.io/dockercfg", data={".dockercfg": "e30="}))
    seen: list[object] = []

    def spy(changes: Sequence[ObjectChange], known: Known) -> object:
        seen.append(dict(known.objects))
        return judge(changes, known)

    monkeypatch.setattr(lookups, "judge", spy)
    mounting = deployment(volumes=[{"name": "s", "secret": {"secretName": "s"}}])
    assert "the credentials of a registry" in (await texts(cluster, change(None, mounting)))[0]
    assert "dockercfg" in str(seen)
    assert "e30=" not in str(seen)
