"""Masking judges each distinct text once a call, and what that saves changes nothing in what is masked."""

import re
from collections import Counter
from typing import Any, cast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas.offload import size_of
from klepaas.output.masking import directives, rules, sign_rules
from klepaas_plugins.kubernetes import documents_shown, pages
from klepaas_plugins.kubernetes.client import Cluster, Resource
from klepaas_plugins.kubernetes.client.tables import parse
from klepaas_plugins.kubernetes.documents_shown import document, documents
from klepaas_plugins.kubernetes.masking import mask, mask_cells, mask_each, values
from klepaas_plugins.kubernetes.masking.columns import _cell
from klepaas_plugins.kubernetes.masking.values import ValueMasker

_NAMES = (
    *("password", "name", "value", "token", "env", "args", "message", "data", "apiKey", "url", "note", "auth-secret"),
)
_TEXTS = (
    *("hunter2hunter2", "postgres://app:hunter2@db/shop", "true", "", "no", "8_080", "0x1f", "1e3", "~", "null"),
    *("--password=hunter2", "password: hunter2\nuser: app\n", "ghp_0123456789abcdefghijABCDEFGHIJ0123456", "a: b"),
    *("aHVudGVyMmh1bnRlcjI=", "{{ .Values.password }}", '{"password":"hunter2"}', " leading", "trailing ", "#note"),
    *("snmp-server community hunter2", "https://api.shop.svc:8443/v1", "2026-11-30", "a\nb", "a\tb", "x" * 200),
    *("1:30", "- x", "\u00e9", "가"),
)
_values = st.recursive(
    st.sampled_from(_TEXTS) | st.text(max_size=12) | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=16,
)
_objects = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["Pod", "ConfigMap", "Secret", "Widget"]),
        "apiVersion": st.sampled_from(["v1", "a.io/v1"]),
    },
    optional={"spec": _values, "data": _values, "metadata": _values, "status": _values},
)


class _Unremembered(ValueMasker):
    """As a masker that judges every text anew."""

    def text(self, text: str) -> str:
        return self._judge_text(text)

    def named(self, name: str, value: str) -> str:
        return self._judge_named(name, value) if value else value


class _PlainDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """PyYAML's own way, with blocks for texts of several lines."""


_PlainDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


@given(st.lists(_objects, min_size=1, max_size=4))
@settings(max_examples=120, deadline=None)
def test_texts_that_are_judged_once_are_masked_as_if_each_were_judged(objects: list[dict[str, Any]]) -> None:
    together = list(mask_each(objects))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("klepaas_plugins.kubernetes.masking.objects.ValueMasker", _Unremembered)
        patch.setattr(values, "ValueMasker", _Unremembered)
        apart = [mask(one) for one in objects]
    assert repr(together) == repr(apart)


@given(_values)
@settings(max_examples=120, deadline=None)
def test_data_is_written_as_pyyaml_writes_it(data: Any) -> None:
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 200}
    written = yaml.dump(data, Dumper=documents_shown._Dumper, **options)
    # PyYAML gives an empty list that stands twice an anchor; the data is built anew so that nothing stands twice.
    assert written == yaml.dump(_built_anew(data), Dumper=_PlainDumper, **options)


def _built_anew(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _built_anew(inner) for key, inner in value.items()}
    return [_built_anew(item) for item in value] if isinstance(value, list) else value


@given(st.lists(st.sampled_from([*_TEXTS, *directives.SIGNS]) | st.text(max_size=20), max_size=8).map(" ".join))
@settings(max_examples=120, deadline=None)
def test_asking_for_all_signs_first_changes_no_text(text: str) -> None:
    fast = rules.redact(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directives, "has_sign", lambda *_: True)
        assert rules.redact(text) == fast
    assert sign_rules.has_sign(text, directives.SIGNS) == any(sign in text for sign in directives.SIGNS)


@given(_values)
@settings(max_examples=60, deadline=None)
def test_the_size_of_data_is_counted_as_before(data: Any) -> None:
    def count(value: Any) -> int:
        if isinstance(value, dict):
            return 8 + sum(count(part) for pair in value.items() for part in pair)
        if isinstance(value, list):
            return 8 + sum(map(count, value))
        return 8 + (len(value) if isinstance(value, str) else 0)

    assert size_of(data, 10**9) == count(data)


def _pod(name: str) -> dict[str, Any]:
    env = [{"name": f"SETTING_{at}", "value": f"feature-{at}=on,beta-{at}=off"} for at in range(20)]
    containers = [{"name": one, "image": f"registry.example.com/shop/{one}:1", "env": env} for one in ("a", "b", "c")]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}}


def test_each_distinct_text_of_a_call_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: Counter[str] = Counter()

    def count(text: str) -> str:
        judged[text] += 1
        return text

    monkeypatch.setattr(values, "redact_text", count)
    documents([_pod(f"web-{number}") for number in range(10)], "yaml")
    assert judged
    assert set(judged.values()) == {1}, "ten pods of three containers each hold every text thirty times"


def test_a_small_object_is_copied_by_masking_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_shown, "_Bounded", None)
    assert "registry.example.com/shop/a:1" in document(_pod("web"), "yaml")


def test_a_document_repeats_no_resolution_of_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: Counter[str] = Counter()
    original = yaml.resolver.BaseResolver.resolve

    def count(self: Any, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            resolved[value] += 1
        return original(self, kind, value, implicit)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(yaml.resolver.BaseResolver, "resolve", count)
    document(_pod("web"), "yaml")
    assert resolved
    assert set(resolved.values()) == {1}


def test_texts_without_a_sign_are_searched_for_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directives, "apply_rules", None)
    for text in ("registry.example.com/shop/web:2.14.3", "https://api.shop.svc:8443/v1", "info"):
        assert re.fullmatch(re.escape(rules.redact(text)), text)


@given(
    st.lists(st.sampled_from(["Name", "Password", "Ready", "Token Key", "Age"]), min_size=1, max_size=4),
    st.lists(st.sampled_from([*_TEXTS, 3, True, None]), max_size=6),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_cells_under_plain_headings_are_passed_over_and_no_others(
    headings: list[str], cells: list[Any], custom: bool
) -> None:
    columns = [(heading, "") for heading in headings]
    padded = [*columns, *[("", "")] * len(cells)]
    each = [_cell(column, cell, {}, (), judged=custom) for column, cell in zip(padded, cells, strict=False)]
    assert repr(mask_cells(columns, cells, None, custom=custom)) == repr(each)


def test_a_status_that_a_hundred_rows_share_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[Any] = Counter()

    def count(text: Any, max_chars: int) -> str:
        read[text] += 1
        return str(text)

    monkeypatch.setattr(pages, "message_line", count)
    columns = [{"name": name, "description": "", "priority": 0} for name in ("Name", "Status")]
    rows = [{"cells": [f"web-{at}", "Running" if at % 5 else "CrashLoopBackOff"]} for at in range(100)]
    found = parse({"kind": "Table", "columnDefinitions": columns, "rows": rows, "metadata": {}})
    resource = Resource("", "v1", "Pod", "pods", "pod", ("po",), True, frozenset({"list"}))
    asked = pages.Question(cast("Cluster", None), resource, "default", "table")
    lines = pages.table_page(asked, found).lines
    assert len(lines) == 100
    assert read == {"Running": 1, "CrashLoopBackOff": 1}
