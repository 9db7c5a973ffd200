"""A name has one verdict on every way out: in texts, in objects, in tables, in messages and in results.

The table of names is walked over every way. What differs is stated: under a name that is used for secrets and for
other things (`auth`, `pin`), a harmless word stays in prose and is masked in configuration.
"""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fastmcp.tools.base import ToolResult

from klepaas.operations.records import redacted
from klepaas.output.masking import name_words, names
from klepaas.output.masking.names import Secrecy, is_secret_name, secrecy
from klepaas.output.redaction import MARK, redact_text
from klepaas.output.safe import redact_lines
from klepaas.way_out import let_out
from klepaas_plugins.kubernetes.masking import mask, mask_arguments, mask_cells, mask_text
from klepaas_plugins.kubernetes.masking.messages import message_text

from .name_table import LEAD_ELSEWHERE, SECRETS, TABLE

# No word, no reference, no form of a token, and too plain to be masked for its form alone.
VALUE = "hunter42zebra"
WORD = "internal"
REFERENCE = "${SOMETHING}"

# The words of pairs: what names a value, what holds it, and what only stands beside them.
IDENTIFIERS = ("name", "key", "id", "variable", "envName", "header_name", "param", "property", "setting", "flag", "k")
VALUE_FIELDS = ("value", "v", "val", "default", "defaultValue", "string_value", "content", "data", "raw", "initial")
OTHER_FIELDS = ("help_text", "description", "kind", "protocol", "interval")

Way = Callable[[str, str], Any]


def _config_map(data: Mapping[str, Any]) -> Any:
    return mask({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})["data"]


def _custom(**spec: Any) -> Any:
    return mask({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec})["spec"]


def _pod(**container: Any) -> Any:
    spec = {"containers": [{"name": "web", "image": "web:1", **container}]}
    return mask({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})["spec"]


def _annotated(name: str, value: str) -> Any:
    metadata = {"name": "a", "annotations": {name: value}}
    return mask({"apiVersion": "v1", "kind": "Service", "metadata": metadata})["metadata"]


def _definition(name: str, value: str) -> Any:
    schema = {"properties": {name: {"type": "string", "default": value}}}
    spec = {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}
    return mask({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec})


def _column(name: str, value: str, obj: Any = None) -> Any:
    described = f"Custom resource definition column (in JSONPath format): .spec['{name}']"
    return mask_cells([("Shown", described)], [value], obj, custom=True)


def _structured(name: str, value: str) -> Any:
    result = ToolResult(content=[], structured_content={"a": {name: value}})
    return let_out(result, 10_000).structured_content


PROSE: Mapping[str, Way] = {
    "an assignment in a text": lambda name, value: redact_text(f"{name}={value}"),
    "an assignment inside of a line": lambda name, value: redact_text(f"set {name}={value}, then go on"),
    "a quoted assignment in a text": lambda name, value: redact_text(f'{name} = "{value}"'),
    "an export in a script": lambda name, value: redact_text(f"export {name}={value}\n"),
    "YAML in a text": lambda name, value: redact_text(f"a:\n  {name}: {value}\n"),
    "JSON in a text": lambda name, value: redact_text(json.dumps({"a": 1, name: value})),
    "quoted JSON in a text": lambda name, value: redact_text(json.dumps({"log": json.dumps({name: value})})),
    "a pair in a text": lambda name, value: redact_text(f"- name: {name}\n  value: {value}\n"),
    "a pair in JSON in a text": lambda name, value: redact_text(json.dumps([{"key": name, "value": value}])),
    "a flag in a text": lambda name, value: redact_text(f"run --{name}={value} --port 80"),
    "a flag with a blank in a text": lambda name, value: redact_text(f"run --{name} {value} --port 80"),
    "a line of a log": lambda name, value: redact_lines([f"level=info {name}={value} port=80"]),
}
CONFIGURATION: Mapping[str, Way] = {
    "a key of a ConfigMap": lambda name, value: _config_map({name: value}),
    "YAML in a ConfigMap": lambda name, value: _config_map({"app.yaml": f"port: 80\n{name}: {value}\n"}),
    "JSON in a ConfigMap": lambda name, value: _config_map({"app.json": json.dumps({"port": 80, name: value})}),
    "properties in a ConfigMap": lambda name, value: _config_map({"app.conf": f"port=80\n{name}={value}\n"}),
    "a configuration text": lambda name, value: mask_text(f"[app]\n{name} = {value}\n"),
    "a field of a custom resource": lambda name, value: _custom(a={name: value}),
    "a list in a custom resource": lambda name, value: _custom(a={name: [value]}),
    "a pair in a custom resource": lambda name, value: _custom(a=[{"id": name, "default": value}]),
    "variables of a custom resource": lambda name, value: _custom(env={name: value}),
    "a variable": lambda name, value: _pod(env=[{"name": name, "value": value}]),
    "a header of a probe": lambda name, value: _pod(
        livenessProbe={"httpGet": {"httpHeaders": [{"name": name, "value": value}]}}
    ),
    "an argument of a container": lambda name, value: _pod(args=["run", f"--{name}={value}"]),
    "two arguments of a container": lambda name, value: _pod(args=["run", f"--{name}", value]),
    "an assignment among arguments": lambda name, value: mask_arguments(["env", f"{name}={value}"]),
    "an annotation": _annotated,
    "a default of a schema": _definition,
    "a column with its object": lambda name, value: _column(name, value, {"spec": {name: value}}),
    "a column without its object": _column,
    "a heading of a column": lambda name, value: mask_cells([(name, "")], [value], {"spec": {}}, custom=True),
    "structured content of another server": _structured,
    "a record of an operation": lambda name, value: redacted({name: value}),
}
WAYS: Mapping[str, Way] = {**PROSE, **CONFIGURATION}
# In prose a lower-case word under it is the key that an ExternalSecret writes; in objects the fields beside it tell.
NAMES_A_KEY = "secretKey"
# What a way cannot carry is not tried on it.
_FLAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][\w.-]*")
CARRIES: Mapping[str, re.Pattern[str]] = {
    **{way: _FLAG for way in WAYS if "flag" in way or "argument of" in way or "arguments of" in way},
    **{way: _VARIABLE for way in WAYS if "among" in way},
}


def _names(way: str) -> list[str]:
    form = CARRIES.get(way)
    return [name for name in TABLE if form is None or form.fullmatch(name)]


def _text(shown: Any) -> str:
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _is_masked(way: str, name: str, value: str) -> bool:
    return value not in _text(WAYS[way](name, value))


def test_the_judge_agrees_with_the_table() -> None:
    assert {name: secrecy(name) for name in TABLE} == TABLE
    assert [name for name in TABLE if is_secret_name(name) != (TABLE[name] >= Secrecy.SOFT)] == []


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_may_be_a_secret_is_masked_under_the_same_names_in(way: str) -> None:
    wrong = [name for name in _names(way) if _is_masked(way, name, VALUE) != (TABLE[name] is not Secrecy.PLAIN)]
    assert wrong == []


@pytest.mark.parametrize("way", WAYS)
def test_a_harmless_word_is_masked_under_the_names_of_secrets_alone_in(way: str) -> None:
    least = Secrecy.SECRET if way in PROSE else Secrecy.SOFT
    names = [name for name in _names(way) if way not in PROSE or name != NAMES_A_KEY]
    wrong = [name for name in names if _is_masked(way, name, WORD) != (TABLE[name] >= least)]
    assert wrong == []


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_only_leads_to_a_secret_is_shown_under_every_name_in(way: str) -> None:
    assert [name for name in _names(way) if _is_masked(way, name, REFERENCE)] == []


def test_a_message_of_the_api_server_quotes_values_of_plain_names_alone() -> None:
    names = [name for name in TABLE if _FLAG.fullmatch(name) and "." not in name]
    said = {name: str(message_text(f'spec.{name}: Invalid value: "{VALUE}": must be shorter')) for name in names}
    assert [name for name in names if (VALUE not in said[name]) != (TABLE[name] is not Secrecy.PLAIN)] == []


@pytest.mark.parametrize("way", WAYS)
def test_the_form_of_a_value_has_the_same_verdict_in(way: str) -> None:
    shown = {value: _text(WAYS[way]("password", value)) for value in (*LEAD_ELSEWHERE, *SECRETS)}
    assert [value for value in LEAD_ELSEWHERE if MARK in shown[value]] == []
    assert [value for value in SECRETS if MARK not in shown[value] or value in shown[value]] == []


def test_a_pair_of_a_name_and_a_value_has_the_same_verdict_in_texts_and_in_objects_under_all_words() -> None:
    found = {}
    for identifier, field in itertools.product(IDENTIFIERS, (*VALUE_FIELDS, *OTHER_FIELDS)):
        pair = {identifier: "DB_PASSWORD", field: VALUE}
        ways = (
            redact_text(json.dumps(pair)),
            redact_text(f"- {identifier}: DB_PASSWORD\n  {field}: {VALUE}\n"),
            redact_text(f"- {field}: {VALUE}\n  {identifier}: DB_PASSWORD\n"),
            json.dumps(_custom(a=[{**pair, "enabled": True, "order": 1, "since": 2}])),
            mask_text(f"a.0.{identifier}=DB_PASSWORD\na.0.{field}={VALUE}\n"),
        )
        found[identifier, field] = {VALUE not in way for way in ways}
    assert {pair for pair, verdicts in found.items() if verdicts != {pair[1] in VALUE_FIELDS}} == set()


def test_the_judge_of_names_compiles_no_expression_at_the_start() -> None:
    found = [
        name for module in (names, name_words) for name, value in vars(module).items() if isinstance(value, re.Pattern)
    ]
    assert found == []
