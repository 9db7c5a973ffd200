"""The masking corpus inside of Kubernetes objects: the same texts as values of fields that hold text."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.masking import mask

from .corpus import Text, innocent_texts, planted_texts, surviving
from .test_corpus import RECALL, RECALL_OF_A_FAMILY, rates, show

# What objects hold is configuration: prose under a secret's name is masked there, since it may be a pass phrase.
PROSE = ("logs", "messages about secrets", "korean")
FALSE_MASKING_IN_OBJECTS = 0.02


def _pod(container: Mapping[str, Any]) -> dict[str, Any]:
    spec = {"containers": [{"name": "web", "image": "registry.example/web:1.2", **container}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "prod"}, "spec": spec}


def _annotated(text: str) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "prod", "annotations": {"example.com/notes": text}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1}}


def _config_map(text: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"file.conf": text}}


def _custom(text: str) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "web"}, "spec": {"config": text}}


PLACES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "a ConfigMap": _config_map,
    "an annotation": _annotated,
    "a command": lambda text: _pod({"command": ["sh", "-c", text]}),
    "a variable": lambda text: _pod({"env": [{"name": "SETTINGS", "value": text}]}),
    "a custom resource": _custom,
}


def _texts_of(obj: Any) -> str:
    """Every text in an object, as it is and not as JSON writes it."""
    if isinstance(obj, Mapping):
        return "\n".join(_texts_of(value) for value in obj.values())
    return "\n".join(map(_texts_of, obj)) if isinstance(obj, list) else str(obj)


@pytest.mark.parametrize("place", PLACES)
def test_planted_secrets_are_masked_in(place: str) -> None:
    def is_masked(text: Text) -> bool:
        masked = mask(PLACES[place](text.text))
        return not surviving(text, _texts_of(masked)) and not surviving(text, json.dumps(masked))

    found = rates(planted_texts(), is_masked)
    assert show(f"recall of planted secrets in {place}", found) >= RECALL
    assert [family for family, (fine, count, _) in found.items() if fine / count < RECALL_OF_A_FAMILY] == []


@pytest.mark.parametrize("place", PLACES)
def test_innocent_texts_stay_in(place: str) -> None:
    texts = [text for text in innocent_texts() if text.family not in PROSE]
    found = rates(texts, lambda text: MARK not in _texts_of(mask(PLACES[place](text.text))))
    assert show(f"innocent texts left alone in {place}", found) >= 1 - FALSE_MASKING_IN_OBJECTS
