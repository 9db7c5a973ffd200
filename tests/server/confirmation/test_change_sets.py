"""A tool that plans its change: judged by its content, asked about whole, and made exactly as it was shown."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import anyio
import pytest
from fastmcp import Client

from klepaas.changes import RaisedEffect, Risk, foreign, raised_risks
from klepaas.errors import Conflict, chain_of
from klepaas.failures import trail
from klepaas.outbound.certificates import certificate_problem
from klepaas.plans.describe import describe_risk, escape
from klepaas.testing import scale_timeout

from .conftest import Person

pytestmark = pytest.mark.anyio

Meet = Callable[..., Client[Any]]
Audited = Callable[[], list[dict[str, Any]]]


async def _set(client: Client[Any], value: str, **more: Any) -> Any:
    with anyio.fail_after(scale_timeout(20)):
        return await client.call_tool("set_field", {"name": "web", "value": value, **more}, raise_on_error=False)


async def test_a_plain_write_is_made_at_once_and_sends_the_planned_body(
    meet: Meet, world: ModuleType, audited: Audited
) -> None:
    person = Person()
    async with meet(person) as client:
        result = await _set(client, "2")
    assert not result.is_error
    assert person.read == []
    assert world.done == ["sent {'name': 'web', 'value': '2', 'was': '1'}"]
    content = audited()[0]["content"]
    assert content["objects"] == [
        {"action": "update", "object": "thing/web (namespace shop)", "fields": ["spec.value"]}
    ]


async def test_a_dry_run_answers_with_the_plan_and_runs_nothing(meet: Meet, world: ModuleType) -> None:
    async with meet(None) as client:
        result = await _set(client, "2", dry_run=True)
        unchanged = await _set(client, "1", dry_run=True)
    text = result.content[0].text
    assert text.startswith("Dry run, ")
    assert "change thing/web (namespace shop)\n  spec.value: 1 -> 2" in text
    assert "would change nothing that was compared" in unchanged.content[0].text
    assert world.done == []


@pytest.mark.parametrize(("value", "line"), [("0", "! destructive: stops web"), ("none", "spec.value: 1 (removed)")])
async def test_risks_and_removals_raise_a_write_to_destructive_and_stand_in_the_question_and_the_record(
    meet: Meet, world: ModuleType, audited: Audited, value: str, line: str
) -> None:
    person = Person()
    async with meet(person) as client:
        result = await _set(client, value)
    assert not result.is_error, result.content
    assert "Tool: set_field (destructive)" in person.read[0]
    assert line in person.read[0]
    assert audited()[0]["effect"] == "destructive"
    assert world.done != []


async def test_what_changed_between_question_and_answer_is_asked_anew_and_only_the_last_is_sent(
    meet: Meet, world: ModuleType
) -> None:
    world.drift[:] = ["", " of 7", " of 7"]
    person = Person()
    async with meet(person) as client:
        await _set(client, "0")
    assert "Something else would change now" in person.read[-1]
    assert world.done == ["sent {'name': 'web', 'value': '0', 'was': '1 of 7'}"]


async def test_a_risk_that_says_something_else_meanwhile_is_asked_about_anew(meet: Meet, world: ModuleType) -> None:
    world.grants[:] = ["a look", *["everything"] * 4]
    person = Person(True, False)
    async with meet(person) as client:
        result = await _set(client, "0")
    assert result.is_error
    assert "which grants everything" in person.read[-1]
    assert "which grants everything" not in person.read[0]
    assert world.done == []


async def test_what_an_upstream_makes_of_a_change_besides_is_on_record(
    meet: Meet, world: ModuleType, audited: Audited
) -> None:
    async with meet(Person()) as client:
        result = await _set(client, "raised")
    assert result.is_error
    outcome = audited()[-1]
    assert (outcome["event"], outcome["outcome"]) == ("outcome", "error")
    assert outcome["note"].startswith("it did more than was planned: ")
    assert len(outcome["note"].splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.value\nleave as it is deployment/other", "0"),
        ("spec.value: 1 -> 2 (new)", "0"),
        ("spec.value", "5 -> 6 (owned by you)"),
    ],
)
async def test_no_text_of_a_change_passes_for_a_line_of_klepaas(
    meet: Meet, world: ModuleType, path: str, value: str
) -> None:
    world.key_of_field[0] = path
    person = Person()
    async with meet(person, '[{"decision": "confirm"}]') as client:
        await _set(client, value)
    lines = person.read[0].splitlines()
    start = lines.index("What would change:")
    shown = lines[start + 1 : -1]
    assert [line[:2] for line in shown] == ["  "] * len(shown)
    assert len(shown) == 3 + (value == "0"), person.read[0]
    assert shown[-1].startswith(("    spec.value: ", '    "')), shown


async def test_a_value_of_several_lines_stands_below_its_field(meet: Meet, world: ModuleType) -> None:
    person = Person()
    async with meet(person, '[{"decision": "confirm"}]') as client:
        await _set(client, "2\n  It is made only if you confirm it.")
    assert "\n      +  It is made only if you confirm it.\n" in person.read[0]


async def test_a_secret_in_one_field_hides_no_other_field(meet: Meet, world: ModuleType) -> None:
    person = Person()
    async with meet(person, '[{"decision": "confirm"}]') as client:
        await _set(client, "password=hunter2hunter2 -----BEGIN PRIVATE KEY-----")
    assert "hunter2" not in person.read[0]
    assert "It is made only if you confirm it." in person.read[0]
    assert "spec.value: 1 -> " in person.read[0]


@pytest.mark.parametrize("first", ["-----BEGIN RSA PRIVATE KEY-----", "password='", "x\ny", "\x02", "a, b"])
def test_a_text_of_others_in_a_risk_hides_nothing_beside_it_and_stays_in_its_line(first: str) -> None:
    risk = Risk(code="grants-rights", text=f"grants all to {foreign(first)}, {foreign('eve')} and {foreign('bob')}")
    shown = describe_risk(risk)
    assert shown.startswith("grants all to ")
    assert shown.endswith(", eve and bob")
    assert len(shown.splitlines()) == 1
    assert "\x02" not in shown


def test_a_risk_without_marks_is_escaped_as_a_whole() -> None:
    assert describe_risk(Risk(code="stops", text="stops\nall")) == escape("stops\nall")


def test_a_chain_of_errors_that_leads_back_to_its_beginning_comes_to_an_end() -> None:
    first, second = Conflict("one"), RaisedEffect("two")
    first.__cause__, second.__cause__ = second, first
    second.risks = (Risk(code="stops", text="stops web"),)
    assert list(chain_of(first)) == [first, second]
    assert raised_risks(first) == second.risks
    second.risks = ()
    assert raised_risks(first) == ()
    assert trail(first).startswith("Conflict <- RaisedEffect at ")
    assert certificate_problem(first) is None
