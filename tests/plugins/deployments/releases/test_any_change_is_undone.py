"""Whatever is done to an application after a release, restoring the release gives the same application again.

What somebody else added stays, in an object of klepaas' too, and is named.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from klepaas.host import Host
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.releases import Releases, ReleaseSettings
from klepaas_plugins.deployments.releases.model import key_of
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

_EXAMPLES = 300 if os.environ.get("KLEPAAS_TEST_SOAK") else 20
LABELS = {"app": "web"}

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
_SETTINGS = st.dictionaries(st.sampled_from(["mode", "url", "a.conf"]), _TEXT, min_size=1, max_size=3)
_VARIABLES = st.lists(st.tuples(st.sampled_from("ABC"), _TEXT), max_size=3, unique_by=lambda one: one[0])
_SHAPE = st.fixed_dictionaries(
    {
        "image": st.sampled_from(["example/app:1", "example/app:2", "example/missing:3"]),
        "replicas": st.integers(0, 3),
        "settings": _SETTINGS,
        "variables": _VARIABLES,
        "port": st.sampled_from([None, 80, 8080]),
        "scaler": st.sampled_from([None, (1, 3), (2, 9)]),
        "door": st.booleans(),
        "note": st.sampled_from([None, "x", "y"]),
    }
)
_PLAIN = {
    "image": "example/app:1", "replicas": 0, "settings": {"mode": ""}, "variables": [], "port": None, "scaler": None,
    "door": False, "note": None,
}  # fmt: skip
_VANDALISM = st.lists(
    st.sampled_from(["Deployment", "ConfigMap", "Service", "HorizontalPodAutoscaler", "Ingress"]),
    max_size=2,
    unique=True,
)


def _objects(shape: dict[str, Any], shapes: Any) -> list[dict[str, Any]]:
    env = [{"name": name, "value": value} for name, value in shape["variables"]]
    reference = [{"configMapRef": {"name": "web"}}]
    # A real API server keeps no empty list.
    variables = {"env": env} if env else {}
    body = shapes.deployment(image=shape["image"], envFrom=reference, replicas=shape["replicas"], **variables)
    if shape["note"]:
        body["metadata"]["annotations"] = {"example.com/note": shape["note"]}
    found = [shapes.config_map("web", LABELS, **shape["settings"]), body]
    if shape["port"]:
        front = shapes.service("web", LABELS, LABELS)
        front["spec"]["ports"][0].update(port=shape["port"], name=f"p{shape['port']}")
        found.append(front)
    if shape["scaler"]:
        found.append(shapes.autoscaler("web", "web", *shape["scaler"]))
    if shape["door"]:
        found.append(shapes.ingress("web", "web", labels=LABELS))
    return found


async def _become(cluster: Cluster, sandbox: Sandbox, bodies: list[dict[str, Any]], manager: str) -> None:
    """Make the application what these objects say."""
    wanted = {body["kind"] for body in bodies}
    for kind in ("Service", "HorizontalPodAutoscaler", "Ingress"):
        if kind not in wanted and sandbox.get(kind, "web") is not None:
            sandbox.delete(kind, "web")
    for body in bodies:
        await cluster.apply(body, force=True, field_manager=manager)


async def _example(folder: Path, bodies: list[list[dict[str, Any]]], vandalism: list[str], manager: str) -> None:
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.02)) as sandbox:
        kubeconfig = sandbox.write_kubeconfig(folder / "kubeconfig")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(kubeconfig))
            clusters = Clusters.of(Host(Settings(mode=Mode.WRITES, state_dir=folder)))
            try:
                await _there_and_back(await clusters.cluster(None), sandbox, bodies, vandalism, manager)
            finally:
                await clusters.aclose()


async def _there_and_back(
    cluster: Cluster, sandbox: Sandbox, bodies: list[list[dict[str, Any]]], vandalism: list[str], manager: str
) -> None:
    releases = Releases(Place(cluster, "default", "web", None), ReleaseSettings())
    await _become(cluster, sandbox, bodies[0], "klepaas")
    release = await releases.record(await releases.capture(), principal="alice", operation_id="op-1")
    held = await releases.load(replace(release, snapshot=None))
    await _become(cluster, sandbox, bodies[1], manager)
    for kind in vandalism:
        if sandbox.get(kind, "web") is not None:
            sandbox.delete(kind, "web")
    restored = await releases.restore(replace(release, snapshot=None))
    after = await releases.capture()
    added = {key_of(item) for item in after.objects} - set(held.by_key)
    # What somebody else added is left to them.
    assert manager == "kubectl" or not added
    kept = replace(after, objects=tuple(item for item in after.objects if key_of(item) not in added))
    lines = (await releases.diff(release, kept)).lines
    if manager == "klepaas":
        assert lines == []
        assert kept.exact == release.exact
    # An autoscaler that somebody else added stays as well, and sets the number of pods.
    has_autoscaler = ("HorizontalPodAutoscaler", "web") in added
    rest = [line for line in lines if not line.endswith("(new)")]
    assert all(has_autoscaler and " replicas: " in line for line in rest), lines
    assert bool(lines) <= bool(restored.notes), "what others added is named"


@pytest.mark.timeout(600 if os.environ.get("KLEPAAS_TEST_SOAK") else scale_timeout(60))
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=_SHAPE, second=_SHAPE, vandalism=_VANDALISM, manager=st.sampled_from(["klepaas", "kubectl"]))
# Another order of variables, of which one may refer to the one before it.
@example(
    first={**_PLAIN, "variables": [("A", "1"), ("B", "$(A)")]},
    second={**_PLAIN, "variables": [("B", "$(A)"), ("A", "1")]},
    vandalism=[],
    manager="klepaas",
)
# The autoscaler belongs to a workload that is gone by then.
@example(first=_PLAIN, second={**_PLAIN, "scaler": (1, 3)}, vandalism=["Deployment"], manager="klepaas")
def test_any_change_is_undone(
    tmp_path: Path, shapes: Any, first: Any, second: Any, vandalism: list[str], manager: str
) -> None:
    bodies = [_objects(shape, shapes) for shape in (first, second)]
    anyio.run(_example, tmp_path, bodies, vandalism, manager)
