"""The table of paths against the OpenAPI of a Kubernetes API server."""

from collections.abc import Iterator
from typing import Any

import pytest

from klepaas_plugins.kubernetes.masking.fields import KINDS, PATHS, Content, content_of, is_built_in
from klepaas_plugins.kubernetes.sandbox.openapi.schemas import GVK, resolve, schemas

# What PATHS may hold as a whole, with all that is below it.
_NOT_SERVED = {"PodTemplate", "ReplicationController"}


def _kinds() -> Iterator[tuple[str, dict[str, Any]]]:
    for schema in schemas().values():
        for one in schema.get(GVK, ()):
            if not one["kind"].endswith("List") and one["kind"] != "DeleteOptions":
                yield one["kind"], schema


def _leaves(raw: dict[str, Any], parent: str, key: str, above: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Every path that may hold a text: the field around, the field, the whole path."""
    raw, reference = resolve(raw)
    while raw.get("type") == "array":
        raw, reference = resolve(raw["items"])
    content = content_of(parent, key)
    if "properties" in raw and content not in (Content.PLAIN, *_WHOLE):
        if above.count(reference) < 1:
            for name, inner in raw["properties"].items():
                yield from _leaves(inner, key, name, (*above, reference))
    elif raw.get("type") not in ("integer", "boolean", "number"):
        yield parent, key, ".".join([*(name.rsplit(".", 1)[-1] for name in above), key])


_WHOLE = (Content.SCHEMA, Content.SERVER, Content.HEADERS, Content.ENVIRONMENT)


def test_every_path_of_every_built_in_kind_is_classified() -> None:
    unclassified = set()
    count = 0
    for kind, schema in _kinds():
        for name, raw in schema["properties"].items():
            for parent, key, path in _leaves(raw, kind, name, ()):
                count += 1
                if content_of(parent, key) is None:
                    unclassified.add(f"{kind}: {parent}.{key} ({path})")
    assert count > 3000
    assert sorted(unclassified) == []


def test_every_entry_of_the_table_is_a_path_of_a_built_in_kind() -> None:
    met = set()
    for schema in schemas().values():
        for name in schema.get("properties", {}):
            met.add(name)
    assert sorted(path for path in PATHS if path.rsplit(".", 1)[-1] not in met) == []


def test_the_table_knows_every_kind_that_the_server_publishes() -> None:
    assert {kind for kind, _ in _kinds()} == KINDS - _NOT_SERVED


@pytest.mark.parametrize(
    ("api_version", "kind", "known"),
    [
        ("v1", "Pod", True),
        ("apps/v1", "Deployment", True),
        (None, "Pod", True),
        ("networking.k8s.io/v1", "Ingress", True),
        ("serving.knative.dev/v1", "Service", False),
        ("v1", "Gateway", False),
        (3, "Pod", False),
    ],
)
def test_a_kind_of_another_group_is_not_taken_for_a_built_in_one(api_version: Any, kind: str, known: bool) -> None:
    assert is_built_in(api_version, kind) is known
