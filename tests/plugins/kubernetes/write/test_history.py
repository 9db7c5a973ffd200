"""Two states that were both there: that a hidden value differs is said, and neither value is shown."""

from typing import Any

import pytest

from klepaas.changes import FieldChange
from klepaas_plugins.kubernetes.client import compare

SECRET, OTHER = "Zq7Kp2Lm9Xw4Tr8V", "Ab3Cd5Ef7Gh9Jk1M"


def _workload(password: str, mode: str = "fast", **more: Any) -> dict[str, Any]:
    env = [{"name": "DB_PASSWORD", "value": password}, {"name": "LEVEL", "value": mode}]
    containers = [{"name": "web", "image": "web:1", "env": env, **more}]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": containers}}}}


def _settings(text: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": {"app.yaml": text}}


def _find(before: dict[str, Any], after: dict[str, Any]) -> tuple[FieldChange, ...]:
    return compare(before, after, is_history=True)


def test_a_hidden_value_that_differs_is_reported_as_another_hidden_value() -> None:
    found = _find(_workload(SECRET), _workload(OTHER))
    assert [(one.path.rpartition(".containers[web].")[2], one.before, one.after) for one in found] == [
        ("env[DB_PASSWORD].value", "a hidden value", "another hidden value")
    ]


def test_equal_hidden_values_are_no_difference() -> None:
    assert _find(_workload(SECRET), _workload(SECRET)) == ()


def test_a_plan_compares_no_hidden_values_also_where_a_history_does() -> None:
    assert compare(_workload(SECRET), _workload(OTHER)) == ()
    sent = compare(_workload(SECRET), _workload(SECRET), _workload(SECRET))
    assert [one.hidden for one in sent] == [True]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_settings(f"host: db\npassword: {SECRET}\n"), _settings(f"host: db\npassword: {OTHER}\n")),
        (_settings(f"host: db\npassword: {SECRET}\n"), _settings(f"host: other\npassword: {OTHER}\n")),
        (_settings("host: db\n"), _settings(f"host: db\npassword: {OTHER}\n")),
        (_workload(SECRET, args=[f"--password={SECRET}"]), _workload(SECRET, args=[f"--password={OTHER}"])),
        (
            _workload(SECRET, command=["run", "--token", SECRET]),
            _workload(OTHER, command=["run", "-v", "--token", OTHER]),
        ),
        (_workload("fast"), _workload(OTHER)),
    ],
)
def test_a_difference_within_a_text_or_an_argument_is_found_and_shows_no_secret(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    for one, other in ((before, after), (after, before)):
        found = _find(one, other)
        assert found
        assert all(change.before != change.after for change in found)
        assert SECRET not in str(found)
        assert OTHER not in str(found)


def test_another_order_of_named_items_is_a_difference_also_where_nobody_says_how_the_list_is_merged() -> None:
    def task(*names: str) -> dict[str, Any]:
        return {"apiVersion": "tekton.dev/v1", "kind": "Task", "spec": {"steps": [{"name": name} for name in names]}}

    found = _find(task("build", "push"), task("push", "build"))
    assert [(one.path, one.before, one.after) for one in found] == [
        ("spec.steps (order)", "build, push", "push, build")
    ]
    assert compare(task("build", "push"), task("push", "build")) == found
