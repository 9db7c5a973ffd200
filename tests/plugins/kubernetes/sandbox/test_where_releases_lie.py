"""What ControllerRevisions, ConfigMaps and Secrets take of a release, and what they do to others: on both servers."""

from __future__ import annotations

import pytest

from .api_server import STRATEGIC, Json, Server, config_map

pytestmark = pytest.mark.anyio
REVISIONS = "controllerrevisions"
LABEL: Json = {"metadata": {"labels": {"state": "verified"}}}


def revision(name: str, **labels: str) -> Json:
    # Names that are not in order: the API server writes them in order, and compares what it wrote as bytes.
    meta = {"name": name, "labels": labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": meta,
        "data": {"z": 1, "a": 2},
        "revision": 7,
    }


async def test_the_data_of_a_controller_revision_is_immutable(server: Server) -> None:
    path = server.path(REVISIONS, "r1", "apps/v1")
    body = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r1"}, "revision": 1}
    assert (await server.apply(path, {**body, "data": {"a": "1"}})).status_code == 201
    refused = await server.apply(path, {**body, "data": {"a": "2"}})
    assert refused.status_code == 422
    assert "field is immutable" in refused.json()["message"]


async def test_a_label_patch_of_a_posted_controller_revision_is_refused_since_its_data_is_written_anew(
    server: Server,
) -> None:
    made = await server.post(server.path(REVISIONS, group="apps/v1"), revision("r"))
    assert made.status_code == 201, made.text
    refused = await server.patch(server.path(REVISIONS, "r", "apps/v1"), LABEL, STRATEGIC)
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    assert refused.json()["message"] == (
        'ControllerRevision.apps "r" is invalid: data: Invalid value: {"a":2,"z":1}: field is immutable'
    )


async def test_labels_of_an_applied_controller_revision_can_be_changed(server: Server) -> None:
    path = server.path(REVISIONS, "r", "apps/v1")
    assert (await server.apply(path, revision("r"))).status_code == 201
    assert (await server.patch(path, LABEL, STRATEGIC)).status_code == 200


def stateful_set(name: str, replicas: int) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example/app:1"}]}}
    spec = {"replicas": replicas, "serviceName": name, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def is_observed(found: Json) -> bool:
    seen: int = (found.get("status") or {}).get("observedGeneration", 0)
    return seen == int(found["metadata"]["generation"])


async def test_a_revision_with_a_stateful_sets_labels_stops_it(server: Server) -> None:
    stopped, other = (server.path("statefulsets", name, "apps/v1") for name in ("stopped", "other"))
    for path, name in ((stopped, "stopped"), (other, "other")):
        assert (await server.apply(path, stateful_set(name, 1))).status_code == 201
        await server.until(path, is_observed)
    made = await server.post(server.path(REVISIONS, group="apps/v1"), revision("mine", app="stopped"))
    assert made.status_code == 201, made.text
    for path, name in ((stopped, "stopped"), (other, "other")):
        assert (await server.apply(path, stateful_set(name, 2))).status_code == 200
    # The other one, which was changed later, has moved.
    await server.until(other, is_observed)
    assert not is_observed(await server.get(stopped))
    assert not (await server.get(server.path(REVISIONS, "mine", "apps/v1")))["metadata"].get("ownerReferences")
    await server.http.delete(server.path(REVISIONS, "mine", "apps/v1"))
    await server.until(stopped, is_observed)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
async def test_labels_of_an_immutable_object_can_be_changed_and_its_data_cannot(server: Server, kind: str) -> None:
    path = server.path(f"{kind.lower()}s", "release")
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "release"}, "immutable": True}
    value = "b25l"
    assert (await server.apply(path, {**body, "data": {"a": value}})).status_code == 201
    labelled = await server.patch(path, LABEL, manager="klepaas")
    assert labelled.status_code == 200, labelled.text
    refused = await server.patch(path, {"data": {"a": "dHdv"}}, manager="klepaas")
    assert refused.status_code == 422
    assert "field is immutable when `immutable` is set" in refused.json()["message"]
    released = await server.patch(path, {"immutable": False}, manager="klepaas")
    assert released.status_code == 422


async def test_the_binary_data_of_an_immutable_config_map_cannot_be_changed_and_its_annotations_can(
    server: Server,
) -> None:
    path = server.path("configmaps", "release")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "release"}, "immutable": True}
    made = await server.post(server.path("configmaps"), {**body, "binaryData": {"release": "b25l"}})
    assert made.status_code == 201, made.text
    for data in ({"release": "dHdv"}, {"more": "dHdv"}, {"release": None}):
        refused = await server.patch(path, {"binaryData": data}, manager="klepaas")
        assert refused.status_code == 422, refused.text
        assert "binaryData: Forbidden: field is immutable when `immutable` is set" in refused.json()["message"]
    marked = await server.patch(path, {"metadata": {"annotations": {"klepaas.io/reason": "it crashed"}}})
    assert (marked.status_code, marked.json()["binaryData"]) == (200, {"release": "b25l"})


async def test_a_config_map_holds_1_mebibyte_in_all(server: Server) -> None:
    path = server.path("configmaps", "large")
    fits = config_map({"a": "x" * 524_288, "b": "x" * 524_288}, "large")
    assert (await server.apply(path, fits)).status_code == 201
    refused = await server.apply(path, config_map({"a": "x" * 524_288, "b": "x" * 524_289}, "large"))
    assert refused.status_code == 422
    assert "Too long: may not be more than 1048576 bytes" in refused.json()["message"]
