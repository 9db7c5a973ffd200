"""Releases as bytes: what goes in comes out, and what others put there is not believed."""

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas_plugins.deployments.releases.encoding import Damaged, Encoded, TooLarge, decode, encode, joined
from klepaas_plugins.deployments.releases.model import SecretReference, Shared, Snapshot

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def _object(name: str, data: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _snapshot(*objects: dict[str, Any]) -> Snapshot:
    secrets = (SecretReference("db", "u-1", "12"), SecretReference("gone", optional=True, readable=False))
    shared = (Shared("ConfigMap", "common", "abc", "other workloads use it too"),)
    return Snapshot("web", "default", objects, secrets, shared, ("Role",))


def _records(encoded: Encoded) -> list[dict[str, Any]]:
    return [{"kind": "ConfigMap", **encoded.data(at, "ConfigMap")} for at in range(len(encoded.parts))]


def _back(records: list[dict[str, Any]], app_name: str = "web") -> Snapshot:
    packed, digest = joined(records)
    return decode(packed, digest, app_name=app_name, namespace="default")


@given(st.lists(_JSON, max_size=4), st.integers(40, 400))
def test_what_is_stored_comes_back(documents: list[Any], part_bytes: int) -> None:
    snapshot = _snapshot(*(_object(f"c{number}", data) for number, data in enumerate(documents)))
    assert _back(_records(encode(snapshot, max_parts=10_000, part_bytes=part_bytes))) == snapshot


def test_the_same_release_has_the_same_bytes() -> None:
    one, other = (encode(_snapshot(_object("c", {"a": "1", "b": "2"})), max_parts=1) for _ in range(2))
    assert (one.parts, one.digest) == (other.parts, other.digest)


def test_a_release_that_takes_too_many_parts_is_refused_with_figures() -> None:
    noise = hashlib.shake_128(b"klepaas").hexdigest(4000)
    with pytest.raises(TooLarge, match=r"web has [0-9,]+ bytes compressed, more than 2 objects of 500 bytes hold"):
        encode(_snapshot(_object("c", {"a": noise})), max_parts=2, part_bytes=500)


@given(st.binary(max_size=200), st.text(max_size=80))
def test_anything_else_is_refused_and_nothing_breaks(noise: bytes, digest: str) -> None:
    with pytest.raises(Damaged):
        decode(noise, digest, app_name="web", namespace="default")


@given(st.data())
def test_a_changed_byte_is_noticed(data: Any) -> None:
    encoded = encode(_snapshot(_object("c", {"a": "1"})), max_parts=1)
    place = data.draw(st.integers(10, len(encoded.parts[0]) - 1))
    flipped = bytearray(encoded.parts[0])
    flipped[place] ^= 1
    with pytest.raises(Damaged):
        decode(bytes(flipped), encoded.digest, app_name="web", namespace="default")


def _stored(document: Any) -> list[dict[str, Any]]:
    return _records(Encoded(json.dumps(document).encode()))


def _document(**other: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "format": 1, "application": "web", "namespace": "default", "objects": [], "secrets": [], "shared": [],
        "unseen": [],
    }  # fmt: skip
    return {**plain, **other}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (_document(format=3), "a newer klepaas wrote its record"),
        (_document(application="other"), "another application's"),
        (_document(namespace="kube-system"), "another application's"),
        ([1], "not a release"),
        (_document(secrets=[{"nothing": 1}]), "lacks what a release has"),
        (_document(objects=["text"]), "no object"),
        (_document(objects=[{**_object("c", {}), "kind": "ClusterRole"}]), "a ClusterRole that releases do not hold"),
        (
            _document(objects=[{**_object("c", {}), "metadata": {"name": "c", "namespace": "kube-system"}}]),
            "that releases do not hold",
        ),
        (
            _document(objects=[{**_object("c", {}), "metadata": {"name": "../../nodes/n", "namespace": "default"}}]),
            "name",
        ),
    ],
)
def test_a_record_that_klepaas_did_not_write_is_refused_with_the_reason(document: Any, words: str) -> None:
    with pytest.raises(Damaged, match=words):
        _back(_stored(document))


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * (80 * 1024 * 1024), mtime=0)
    with pytest.raises(Damaged, match="larger than"):
        decode(bomb, "", app_name="web", namespace="default")


def test_parts_of_different_releases_do_not_make_one() -> None:
    one, other = (encode(_snapshot(_object("c", {"a": text})), max_parts=1) for text in ("1", "2"))
    with pytest.raises(Damaged, match="do not belong together"):
        joined([*_records(one), *_records(other)])


@pytest.mark.parametrize("data", [None, {}, {"release": "%%%", "digest": ""}, {"release": base64.b64encode(b"x")}])
def test_an_object_with_other_data_is_refused(data: Any) -> None:
    for kind in ("ConfigMap", "Secret"):
        with pytest.raises(Damaged):
            _back([{"kind": kind, "data": data, "binaryData": data}])


def test_a_secret_of_an_earlier_version_comes_back() -> None:
    snapshot = _snapshot(_object("c", {"a": "1"}))
    assert _back([{"kind": "Secret", **encode(snapshot, max_parts=1).data(0, "Secret")}]) == snapshot


def _packed(document: dict[str, Any]) -> tuple[bytes, str]:
    text = json.dumps(document).encode()
    return gzip.compress(text), hashlib.sha256(text).hexdigest()


def _record_of(**more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"objects": [_object("a", {})], "secrets": [], "shared": [], "unseen": []}
    return {"format": 1, "application": "web", "namespace": "default", **empty, **more}


def test_what_klepaas_owned_comes_back_and_a_record_of_an_older_version_says_nothing_of_it() -> None:
    own: dict[Any, dict[str, Any]] = {("ConfigMap", "a"): {"f:data": {"f:mode": {}}}}
    snapshot = replace(_snapshot(_object("a", {"mode": "x"})), own=own)
    assert _back(_records(encode(snapshot, max_parts=1))).own == own
    packed, digest = _packed(_record_of())
    assert decode(packed, digest, app_name="web", namespace="default").own == {}


@pytest.mark.parametrize(
    "own", [[["ConfigMap", "a", "x"]], [["ConfigMap", "a", {"f:data": 1}]], [["ConfigMap", "a"]], [1], 1, "abc"]
)
def test_a_set_of_fields_that_is_none_is_damage(own: Any) -> None:
    packed, digest = _packed(_record_of(own=own))
    with pytest.raises(Damaged):
        decode(packed, digest, app_name="web", namespace="default")
