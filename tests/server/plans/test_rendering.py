"""How a change is shown: every value masked and escaped by itself, whole or by its facts, never partly."""

from dataclasses import replace
from typing import Any

import pytest

from klepaas.changes import Action, ChangeSet, FieldChange, ObjectChange, ObjectIdentity, Risk
from klepaas.errors import BadRequest
from klepaas.plans.describe import count_differences, describe, escape, list_differences, summarize
from klepaas.plans.rendering import answer_dry_run, preview_of


def _changes(*fields: FieldChange, risks: tuple[Risk, ...] = (), count: int = 1) -> ChangeSet:
    objects = tuple(
        ObjectChange(
            identity=ObjectIdentity(kind="Deployment", name=f"web{number or ''}", namespace="shop"),
            action=Action.UPDATE,
            fields=fields,
            risks=risks,
        )
        for number in range(count)
    )
    return ChangeSet(title="Applying 1 object", objects=objects)


def test_a_long_change_is_asked_about_by_its_images_removals_and_risks() -> None:
    fields = [FieldChange(path=f"spec.values[{number}]", before="a" * 50, after="b" * 50) for number in range(200)]
    image = FieldChange(path="spec.template.spec.containers[web].image", before="web:1", after="web:2")
    gone = FieldChange(path="metadata.finalizers[keep]", before="keep", after=None)
    risk = Risk(code="grants-rights", text="grants verb * on * to User eve")
    changes = _changes(*fields, image, gone, risks=(risk,))
    preview = preview_of(changes)
    shown = preview.text
    assert any("spec.values[7]" in line for line in preview.lines), "the plan holds it whole"
    for part in (
        "change: 1 Deployment",
        "image web:2",
        "removes metadata.finalizers[keep]",
        "grants verb",
        "destructive",
    ):
        assert part in shown
    assert "spec.values[7]" not in shown


def test_what_fits_neither_whole_nor_by_its_facts_cannot_be_confirmed() -> None:
    with pytest.raises(BadRequest, match="cannot be confirmed"):
        preview_of(_changes(FieldChange(path="p" * 60, before="x", after=None), count=200))


def test_a_text_of_several_lines_is_shown_as_the_difference_of_its_lines_below_its_path() -> None:
    field = FieldChange(path="data.conf", before="a\nb\nc", after="a\nchange deployment/other\nc")
    lines = describe(_changes(field)).lines
    assert lines[1] == "  data.conf:"
    assert all(line.startswith("    ") for line in lines[2:])
    assert "    +change deployment/other" in lines


def test_a_hidden_value_counts_as_whole_and_is_called_not_compared() -> None:
    field = FieldChange(path="data.password", before=None, after="32 bytes", hidden=True)
    found = describe(_changes(field))
    assert found.lines[1] == "  data.password: 32 bytes, hidden, not compared"
    assert found.is_whole


def test_a_value_that_is_cut_is_not_whole() -> None:
    field = FieldChange(path="spec.note", before=None, after="word " * 100)
    assert not describe(_changes(field)).is_whole
    assert describe(_changes(field), value_max_chars=None).is_whole


@pytest.mark.parametrize("text", ["a b", "app.kubernetes.io/name", "값", "web:1.2@sha256:00"])
def test_plain_text_stands_as_it_is(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize("text", ["a\nb", "a  b", ' "', "", "!risk", "a\tb"])
def test_text_that_could_mislead_is_quoted_on_one_line(text: str) -> None:
    assert escape(text).startswith('"')
    assert len(escape(text).splitlines()) == 1


def test_a_dry_run_says_that_nothing_was_stored_and_names_the_change() -> None:
    answer = answer_dry_run(_changes(FieldChange(path="spec.replicas", before="2", after="3")), "Plan p.")
    assert answer.splitlines()[-1] == "Plan p."
    assert answer.splitlines()[0].startswith("Dry run, nothing was changed")
    assert "  spec.replicas: 2 -> 3" in answer


def _workload(*names: str) -> dict[str, Any]:
    containers = [{"name": name} for name in names]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def _update(*fields: FieldChange, after: dict[str, Any]) -> ChangeSet:
    identity = ObjectIdentity(kind="Deployment", name="web", namespace="shop")
    change = ObjectChange(identity=identity, action=Action.UPDATE, fields=fields, after=after)
    return ChangeSet(title="Deploy", objects=(change,))


def test_a_list_of_differences_leaves_out_the_path_to_the_only_container_and_names_one_of_several() -> None:
    image = FieldChange(path="spec.template.spec.containers[web].image", before="web:1", after="web:2")
    pods = FieldChange(path="spec.replicas", before="1", after="3")
    assert list_differences(_update(image, pods, after=_workload("web"))) == [
        "Deployment web: image: web:1 -> web:2",
        "Deployment web: replicas: 1 -> 3",
    ]
    assert list_differences(_update(image, after=_workload("web", "proxy"))) == [
        "Deployment web: web: image: web:1 -> web:2"
    ]


def test_a_list_of_differences_shows_the_first_line_that_differs_of_a_text_and_counts_the_rest() -> None:
    field = FieldChange(path="data.conf", before="a\nb\nc\nd", after="a\nx: 1\ny\nd\ne")
    assert list_differences(_update(field, after={})) == [
        'Deployment web: data.conf: b (and 1 more lines) -> "x: 1" (and 2 more lines)'
    ]


def test_hidden_values_come_last_in_a_list_of_differences() -> None:
    hidden = FieldChange(path="data.password", before="a value", after="9 bytes", hidden=True)
    field = FieldChange(path="data.mode", before="fast", after="slow")
    assert list_differences(_update(hidden, field, after={})) == [
        "Deployment web: data.mode: fast -> slow",
        "Deployment web: data.password: 9 bytes, hidden, not compared",
    ]


def test_the_key_of_a_new_item_is_not_shown_beside_its_other_fields_and_never_dropped_alone() -> None:
    key = FieldChange(path="env[A].name", before=None, after="A")
    value = FieldChange(path="env[A].value", before=None, after="A")
    assert [line.strip() for line in describe(_update(key, value, after={})).lines[1:]] == ["env[A].value: A (new)"]
    assert [line.strip() for line in describe(_update(key, after={})).lines[1:]] == ["env[A].name: A (new)"]


def test_a_summary_names_three_objects_with_two_fields_each_and_counts_the_rest() -> None:
    fields = tuple(FieldChange(path=f"data.{name}", before="1", after="2") for name in "abcd")
    one = _update(*fields, after={}).objects[0]
    gone = replace(one, action=Action.DELETE, fields=())
    changes = ChangeSet(title="", objects=(one, gone, gone, gone, gone))
    assert summarize(changes) == (
        "Deployment web (data.a, data.b, 2 more fields), Deployment web removed, Deployment web removed and 2 more"
    )
    assert count_differences(changes) == 8


@pytest.mark.parametrize("text", ["1 -> 2\nDeployment other: removed", "x (removed)", "hidden, not compared"])
def test_a_value_in_a_list_of_differences_forges_no_other_line(text: str) -> None:
    lines = list_differences(_update(FieldChange(path=text, before=text, after=None), after={}))
    assert len(lines) == 1
    assert len(lines[0].splitlines()) == 1
    assert f": {text}" not in lines[0]
