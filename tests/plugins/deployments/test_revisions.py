"""The history that a Deployment's ReplicaSets keep, and the choice of the way back."""

import copy
from typing import Any

import pytest

from klepaas.errors import BadRequest, Conflict
from klepaas_plugins.deployments.revisions import RESTARTED_AT, choose, history, restored_template

REVISION = "deployment.kubernetes.io/revision"


def _template(image: str, **annotations: str) -> dict[str, Any]:
    metadata = {"labels": {"app": "web"}, **({"annotations": annotations} if annotations else {})}
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": image}]}}


def _deployment(revision: int, template: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "web", "uid": "d", "annotations": {REVISION: str(revision)}}
    return {"metadata": metadata, "spec": {"template": template}}


def _replicaset(revision: int, template: dict[str, Any], available: int = 0) -> dict[str, Any]:
    template = copy.deepcopy(template)
    template["metadata"]["labels"]["pod-template-hash"] = "abc"
    return {
        "metadata": {
            "name": f"web-{revision}",
            "uid": str(revision),
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [{"uid": "d", "controller": True}],
        },
        "spec": {"template": template},
        "status": {"availableReplicas": available},
    }


def _choose(live: dict[str, Any], replicasets: list[dict[str, Any]], wanted: int | None = None) -> int:
    return choose(live, history(live, replicasets), wanted).number


def test_the_restored_template_is_without_the_controllers_label() -> None:
    assert restored_template(_replicaset(1, _template("web:1"))) == _template("web:1")


def test_the_default_is_the_newest_earlier_revision() -> None:
    live = _deployment(3, _template("web:3"))
    replicasets = [_replicaset(number, _template(f"web:{number}")) for number in (1, 2, 3)]
    assert _choose(live, replicasets) == 2


def test_a_revision_that_still_serves_is_preferred() -> None:
    live = _deployment(3, _template("web:3"))
    replicasets = [
        _replicaset(1, _template("web:1"), available=2),
        _replicaset(2, _template("web:2")),
        _replicaset(3, _template("web:3")),
    ]
    assert _choose(live, replicasets) == 1


def test_a_mere_restart_is_not_an_earlier_version() -> None:
    live = _deployment(3, _template("web:2", **{RESTARTED_AT: "now"}))
    replicasets = [
        _replicaset(1, _template("web:1")),
        _replicaset(2, _template("web:2")),
        _replicaset(3, _template("web:2", **{RESTARTED_AT: "now"})),
    ]
    assert _choose(live, replicasets) == 1


def test_nothing_to_roll_back_to_is_a_conflict() -> None:
    live = _deployment(1, _template("web:1"))
    with pytest.raises(Conflict, match="nothing to roll back to"):
        _choose(live, [_replicaset(1, _template("web:1"))])


def test_an_unknown_revision_lists_those_there_are() -> None:
    live = _deployment(2, _template("web:2"))
    with pytest.raises(BadRequest) as caught:
        _choose(live, [_replicaset(1, _template("web:1")), _replicaset(2, _template("web:2"))], wanted=9)
    assert "2 (web:2), 1 (web:1)" in caught.value.line


def test_the_current_revision_is_no_way_back() -> None:
    live = _deployment(2, _template("web:2"))
    with pytest.raises(BadRequest, match="is the current one"):
        _choose(live, [_replicaset(2, _template("web:2"))], wanted=2)


def test_replicasets_of_others_are_no_revisions() -> None:
    stranger = _replicaset(7, _template("web:7"))
    stranger["metadata"]["ownerReferences"][0]["uid"] = "other"
    live = _deployment(1, _template("web:1"))
    assert [item.number for item in history(live, [stranger, _replicaset(1, _template("web:1"))])] == [1]
