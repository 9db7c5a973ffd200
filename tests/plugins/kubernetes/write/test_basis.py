"""What a plan rests on: real changes beneath it differ, what moves by itself does not."""

import copy
import random
from typing import Any

import pytest

from klepaas_plugins.kubernetes.write.basis import differing_parts, fields_basis
from klepaas_plugins.kubernetes.write.own_fields import own_paths

PATHS_OF_OTHERS = [("f:spec", "f:paused"), ("f:metadata", "f:labels", "f:new")]
Json = dict[str, Any]


def _live() -> Json:
    own = {
        "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {'v:"example.com/a"': {}, 'v:"example.com/b"': {}}},
        "f:spec": {
            "f:selector": {},
            "f:template": {"f:spec": {"f:containers": {'k:{"name":"main"}': {
                ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                "f:env": {
                    'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                    'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                },
            }}, "f:initContainers": {
                'k:{"name":"first"}': {".": {}, "f:name": {}, "f:image": {}},
                'k:{"name":"second"}': {".": {}, "f:name": {}, "f:image": {}},
            }}},
        },
    }  # fmt: skip
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    container = {"name": "main", "image": "example/app:1", "args": ["a", "b"], "env": env}
    first = [{"name": name, "image": "example/init:1"} for name in ("first", "second")]
    scale: Json = {"f:spec": {"f:replicas": {}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web", "uid": "u-1", "resourceVersion": "5", "generation": 2, "labels": {"app": "web"},
            "finalizers": ["example.com/a", "example.com/b"],
            "managedFields": [
                {"manager": "klepaas", "operation": "Apply", "apiVersion": "apps/v1", "time": "t0", "fieldsV1": own},
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
                 "apiVersion": "apps/v1", "time": "t0", "fieldsV1": scale},
            ],
        },
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [container], "initContainers": first}},
        },
        "status": {"replicas": 2},
    }  # fmt: skip


def _basis(live: Json | None) -> Any:
    return fields_basis(live, [*own_paths(_live()), *PATHS_OF_OTHERS])


def _move_status(live: Json, chance: random.Random) -> None:
    live["status"] = {"replicas": chance.randint(0, 9), "observedGeneration": chance.randint(0, 99)}


def _move_version(live: Json, chance: random.Random) -> None:
    live["metadata"]["resourceVersion"] = str(chance.randint(6, 10**9))
    live["metadata"]["generation"] = chance.randint(3, 99)


def _move_times(live: Json, chance: random.Random) -> None:
    for entry in live["metadata"]["managedFields"]:
        entry["time"] = f"t{chance.randint(1, 10**6)}"


def _move_replicas(live: Json, chance: random.Random) -> None:
    live["spec"]["replicas"] = chance.randint(3, 99)


def _note_by_a_controller(live: Json, chance: random.Random) -> None:
    live["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = str(chance.randint(1, 99))
    fields: Json = {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}, "f:status": {}}
    entry = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": fields}
    live["metadata"]["managedFields"].append(entry)


def _reorder_entries(live: Json, chance: random.Random) -> None:
    chance.shuffle(live["metadata"]["managedFields"])


def _reorder_a_set(live: Json, chance: random.Random) -> None:
    chance.shuffle(live["metadata"]["finalizers"])


def _add_a_variable_of_others(live: Json, chance: random.Random) -> None:
    env = _container(live)["env"]
    env.insert(chance.randint(0, len(env)), {"name": f"X{chance.randint(0, 10**6)}", "value": "x"})


def _container(live: Json) -> Json:
    found: Json = live["spec"]["template"]["spec"]["containers"][0]
    return found


def _change_image(live: Json, chance: random.Random) -> None:
    _container(live)["image"] = f"example/app:{chance.randint(2, 10**6)}"


def _change_variable(live: Json, chance: random.Random) -> None:
    _container(live)["env"][0]["value"] = str(chance.randint(2, 10**6))


def _change_atomic_list(live: Json, chance: random.Random) -> None:
    _container(live)["args"].insert(chance.randint(0, 2), f"x{chance.randint(0, 99)}")


def _reorder_atomic_list(live: Json, _: random.Random) -> None:
    _container(live)["args"].reverse()


def _reorder_variables(live: Json, _: random.Random) -> None:
    _container(live)["env"].reverse()


def _reorder_init_containers(live: Json, _: random.Random) -> None:
    live["spec"]["template"]["spec"]["initContainers"].reverse()


def _change_selector(live: Json, chance: random.Random) -> None:
    live["spec"]["selector"]["matchLabels"][f"k{chance.randint(0, 99)}"] = "x"


def _remove_label(live: Json, _: random.Random) -> None:
    del live["metadata"]["labels"]


def _set_named(live: Json, chance: random.Random) -> None:
    live["spec"]["paused"] = bool(chance.randint(0, 1))


def _co_own(live: Json, chance: random.Random) -> None:
    entry = copy.deepcopy(live["metadata"]["managedFields"][0])
    live["metadata"]["managedFields"].append({**entry, "manager": f"controller-{chance.randint(0, 99)}"})


def _drop_entry(live: Json, _: random.Random) -> None:
    del live["metadata"]["managedFields"][0]


def _end(live: Json, chance: random.Random) -> None:
    live["metadata"]["deletionTimestamp"] = f"t{chance.randint(0, 99)}"


def _make_anew(live: Json, chance: random.Random) -> None:
    live["metadata"]["uid"] = f"u-{chance.randint(2, 10**6)}"


HARMLESS = [
    _move_status,
    _move_version,
    _move_times,
    _move_replicas,
    _note_by_a_controller,
    _reorder_entries,
    _reorder_a_set,
    _add_a_variable_of_others,
]
REAL = [
    _change_image, _change_variable, _change_atomic_list, _change_selector, _remove_label, _set_named, _co_own,
    _drop_entry, _end, _make_anew, _reorder_atomic_list, _reorder_variables, _reorder_init_containers,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_none_of_200_harmless_changes_differs(seed: int) -> None:
    chance, live = random.Random(seed), _live()
    for move in chance.sample(HARMLESS, chance.randint(1, len(HARMLESS))):
        move(live, chance)
    assert _basis(live) == _basis(_live())


@pytest.mark.parametrize("seed", range(200))
def test_each_of_200_real_changes_differs_and_is_named(seed: int) -> None:
    chance, live = random.Random(seed), _live()
    REAL[seed % len(REAL)](live, chance)
    for move in chance.sample(HARMLESS, 3):
        move(live, chance)
    assert _basis(live) != _basis(_live())
    assert differing_parts(_basis(_live()), _basis(live))


def test_absence_differs_from_presence_both_ways() -> None:
    assert differing_parts(_basis(_live()), _basis(None)) == ["it was deleted"]
    assert differing_parts(_basis(None), _basis(_live())) == ["somebody created it"]


def test_another_order_is_named_as_such() -> None:
    live = _live()
    _container(live)["env"].reverse()
    live["spec"]["template"]["spec"]["initContainers"].reverse()
    assert differing_parts(_basis(_live()), _basis(live)) == [
        "spec.template.spec.containers[main].env (order)",
        "spec.template.spec.initContainers (order)",
    ]
