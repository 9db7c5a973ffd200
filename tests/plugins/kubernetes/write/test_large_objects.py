"""Planning stays quick where an object has many items: each is found by its key, not by looking at all others."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from klepaas.testing import time_budget
from klepaas_plugins.kubernetes.write.basis import fields_basis
from klepaas_plugins.kubernetes.write.compare import compare
from klepaas_plugins.kubernetes.write.merging import merge, named_paths, without_paths
from klepaas_plugins.kubernetes.write.own_fields import extract_own, own_paths, to_fields
from klepaas_plugins.kubernetes.write.ownership import losses_of

VARIABLES = 1500
Json = dict[str, Any]


def _key(name: str) -> str:
    return "k:" + json.dumps({"name": name}, separators=(",", ":"))


def _live(manager: str = "klepaas") -> Json:
    names = [f"V{number}" for number in range(VARIABLES)]
    owned: Json = {_key(name): {".": {}, "f:name": {}, "f:value": {}} for name in names}
    container = {".": {}, "f:name": {}, "f:env": owned}
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {_key("main"): container}}}}}
    entry = {"manager": manager, "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": fields}
    main = {"name": "main", "env": [{"name": name, "value": name} for name in names]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "managedFields": [entry]},
        "spec": {"template": {"spec": {"containers": [main]}}},
    }


WORK: dict[str, Callable[[], object]] = {
    "what klepaas owns": lambda: extract_own(_live()),
    "a manifest on top": lambda: merge(extract_own(_live()), extract_own(_live()), to_fields(own_paths(_live()))),
    "what is named": lambda: named_paths(extract_own(_live()), to_fields(own_paths(_live()))),
    "what others lose": lambda: losses_of(_live("kubectl"), {}, taken=own_paths(_live()), removed=()),
    "what a plan rests on": lambda: fields_basis(_live(), own_paths(_live())),
    "what differs": lambda: compare(_live(), _live("kubectl")),
    "what is left without all": lambda: without_paths(_live(), own_paths(_live())),
}


@pytest.mark.parametrize("work", list(WORK))
def test_1500_variables_take_no_time_to_speak_of(work: str) -> None:
    begun = time.perf_counter()
    WORK[work]()
    assert time.perf_counter() - begun < time_budget(1, "each item would be compared with each")
