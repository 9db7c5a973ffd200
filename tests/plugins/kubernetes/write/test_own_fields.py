"""Sets of FieldsV1: read, written, and used to take the part of an object that somebody owns."""

from typing import Any

from klepaas_plugins.kubernetes.write.items import Items, Steps
from klepaas_plugins.kubernetes.write.own_fields import extract, extract_own, own_paths, path_text, paths_of, to_fields

MAIN = 'k:{"name":"main"}'
FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {".": {}, 'v:"example.com/x"': {}}},
    "f:spec": {"f:containers": {MAIN: {".": {}, "f:name": {}, "f:args": {}}}, "f:limits": {}},
}


def test_a_set_is_written_as_it_was_read() -> None:
    assert to_fields(paths_of(FIELDS)) == FIELDS


def test_a_path_reads_as_people_write_it() -> None:
    texts = {path_text(path) for path in paths_of(FIELDS)}
    assert {"spec.containers[main].args", "metadata.finalizers[example.com/x]", "metadata.labels.app"} <= texts


def test_the_part_of_an_object_is_what_its_set_names() -> None:
    obj = {
        "metadata": {"labels": {"app": "web", "other": "x"}, "finalizers": ["example.com/x", "example.com/y"]},
        "spec": {
            "containers": [{"name": "main", "args": ["a"], "image": "i"}, {"name": "other", "args": ["b"]}],
            "limits": {"cpu": "1", "memory": "2"},
        },
    }
    assert extract(obj, FIELDS) == {
        "metadata": {"labels": {"app": "web"}, "finalizers": ["example.com/x"]},
        "spec": {"containers": [{"name": "main", "args": ["a"]}], "limits": {"cpu": "1", "memory": "2"}},
    }


def test_what_others_added_to_a_mapping_that_was_set_empty_is_not_ours() -> None:
    def entry(manager: str, fields: Any) -> Any:
        return {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}

    ours = entry("klepaas", {"f:metadata": {"f:annotations": {}}})
    theirs = entry("kubectl", {"f:metadata": {"f:annotations": {"f:note": {}}}})
    obj = {"kind": "ConfigMap", "metadata": {"annotations": {"note": "x"}, "managedFields": [ours, theirs]}}
    assert extract_own(obj) == {"metadata": {"annotations": {}}}


def test_what_others_added_to_a_list_that_was_set_empty_is_not_ours() -> None:
    def entry(manager: str, fields: Any) -> Any:
        return {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}

    theirs: Any = {"f:spec": {"f:env": {'k:{"name":"X"}': {".": {}, "f:name": {}}}}}
    managed = [entry("klepaas", {"f:spec": {"f:env": {}, "f:args": {}}}), entry("argocd-controller", theirs)]
    obj = {"metadata": {"managedFields": managed}, "spec": {"env": [{"name": "X"}], "args": ["a"]}}
    assert extract_own(obj) == {"spec": {"env": [], "args": ["a"]}}


def test_notes_of_klepaas_in_a_status_are_no_wish_of_it() -> None:
    entry = {"manager": "klepaas", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
    assert own_paths({"metadata": {"managedFields": [entry]}}) == frozenset()


def test_an_item_that_leaves_out_a_part_of_its_key_fits_each_step_with_the_rest() -> None:
    tcp, udp = 'k:{"port":53,"protocol":"TCP"}', 'k:{"port":53,"protocol":"UDP"}'
    steps = Steps([tcp, udp, 'k:{"port":80,"protocol":"TCP"}'])
    assert set(steps.of({"port": 53})) == {tcp, udp}
    assert steps.of({"port": 53, "protocol": "UDP"}) == [udp]
    assert steps.of({"port": "53", "protocol": "UDP"}) == []
    assert Items([{"port": 80}, {"port": 53, "protocol": "UDP"}]).of(udp) == 1
    assert Items([{"port": True}]).of('k:{"port":1}') is None


def test_steps_that_cannot_be_read_name_nothing() -> None:
    broken = ["k:nothing", "k:[1]", "k:{}", "v:{", f"k:{'[' * 500}", 'k:{"name":"main"}']
    assert Steps(broken).of({"name": "main"}) == ['k:{"name":"main"}']
    assert [Items([{"name": "main"}, "x"]).of(step) for step in broken] == [None] * 5 + [0]
    assert own_paths({"metadata": {"managedFields": [{"manager": "klepaas", "operation": "Apply"}]}}) == frozenset()
