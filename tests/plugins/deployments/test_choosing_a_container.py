"""Which container of a workload a deployment is for: what says it, and in which order."""

from typing import Any

import pytest

from klepaas.errors import BadRequest
from klepaas_plugins.deployments.planning.image import choose_container, running_image

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
IMAGE = "registry.example:5000/example/app:2"
SAME = "registry.example:5000/example/app:1"


def workload(containers: dict[str, str], default: str | None = None, name: str = "web") -> dict[str, Any]:
    metadata = {"annotations": {DEFAULT_CONTAINER: default}} if default is not None else {}
    pod = {"containers": [{"name": one, "image": image} for one, image in containers.items()]}
    return {"metadata": {"name": name}, "spec": {"template": {"metadata": metadata, "spec": pod}}}


@pytest.mark.parametrize(
    ("live", "image", "meant"),
    [
        (workload({"web": "a/x:1", "main": SAME, "side": "b/y:1"}, "side"), IMAGE, "side"),
        (workload({"main": SAME, "side": "b/y:1"}, "gone"), IMAGE, "main"),
        (workload({"web": "a/x:1", "main": SAME}), IMAGE, "web"),
        (workload({"web-api": "a/x:1", "main": SAME}, name="web-api"), IMAGE, "web-api"),
        (workload({"side": "a/x:1", "main": SAME}), IMAGE, "main"),
        (workload({"side": "a/x:1", "main": f"{SAME}@sha256:{'0' * 64}"}), IMAGE, "main"),
        (workload({"only": "a/x:1"}), IMAGE, "only"),
        (workload({"side": "a/x:1", "main": SAME}, "side"), None, "side"),
        (workload({"web": "a/x:1", "main": SAME}), None, "web"),
    ],
    ids=[
        "the annotation before all others",
        "an annotation that names none is passed over",
        "the application's name before the repository",
        "the workload's name",
        "the repository",
        "the repository of a digest",
        "the only one",
        "variables alone, by the annotation",
        "variables alone, by the name",
    ],
)
def test_the_first_of_these_that_names_a_container_decides(live: Any, image: str | None, meant: str) -> None:
    assert choose_container("web", image, live) == meant


@pytest.mark.parametrize(
    ("containers", "image"),
    [
        ({"a": "example/one:1", "b": "example/two:1"}, "example/three:1"),
        ({"a": SAME, "b": "registry.example:5000/example/app:0"}, IMAGE),
        ({"a": "registry.example/example/app:1", "b": "example/two:1"}, IMAGE),
        ({"a": SAME, "b": "example/two:1"}, None),
    ],
    ids=["no repository", "two of one repository", "another registry", "variables alone"],
)
def test_where_none_or_several_fit_it_is_asked_with_names_and_images(
    containers: dict[str, str], image: str | None
) -> None:
    with pytest.raises(BadRequest) as refused:
        choose_container("web", image, workload(containers))
    for name, runs in containers.items():
        assert f"{name} ({runs})" in refused.value.what
    assert DEFAULT_CONTAINER in (refused.value.next_step or "")


def test_variables_alone_keep_the_image_of_the_container_that_is_meant() -> None:
    assert running_image(workload({"side": "a/x:1", "web": SAME}), "web") == SAME
