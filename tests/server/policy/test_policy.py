"""Rules are matched first to last, what is not known is confirmed, and a bad rule refuses the start."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from klepaas.policy import Decision, Policy, Rule, Ruling
from klepaas.tools import Effect, Target

AUTO, CONFIRM = Ruling(Decision.AUTO), Ruling(Decision.CONFIRM)
PROD = Target("prod-1", "shop", "thing", "web")
DEV = Target("dev", "shop", "thing", "web")


def _policy(*rules: dict[str, Any]) -> Policy:
    return Policy([Rule.model_validate(rule) for rule in rules])


def test_without_rules_a_write_is_made_and_a_destructive_change_is_confirmed() -> None:
    assert Policy().decide("scale", Effect.WRITE, [PROD]) == AUTO
    assert Policy().decide("delete", Effect.DESTRUCTIVE, [PROD]) == CONFIRM
    assert Policy().decide("odd", None, [PROD]) == CONFIRM


def test_the_first_rule_that_matches_decides() -> None:
    policy = _policy(
        {"context": "prod*", "tool": "restart_*", "decision": "auto"},
        {"context": "prod*", "decision": "confirm"},
        {"decision": "auto"},
    )
    assert policy.decide("restart_application", Effect.WRITE, [PROD]) == AUTO
    assert policy.decide("scale_application", Effect.WRITE, [PROD]) == CONFIRM
    assert policy.decide("delete", Effect.DESTRUCTIVE, [DEV]) == AUTO


@pytest.mark.parametrize(
    ("rule", "confirmed"),
    [
        ({"context": "prod-?"}, True),
        ({"context": "PROD-1"}, False),
        ({"context": "prod"}, False),
        ({"namespace": "shop"}, True),
        ({"namespace": "shop*", "context": "dev"}, False),
        ({"effect": "write"}, True),
        ({"effect": "destructive"}, False),
        ({"tool": "sc[a-m]le"}, True),
        ({"tool": "*_application"}, False),
    ],
    ids=str,
)
def test_each_part_of_a_rule_has_to_match(rule: dict[str, str], confirmed: bool) -> None:
    assert _policy({**rule, "decision": "confirm"}).decide("scale", Effect.WRITE, [PROD]).decision == (
        Decision.CONFIRM if confirmed else Decision.AUTO
    )


@pytest.mark.parametrize("target", [Target(), Target(namespace="shop"), Target(context="dev")], ids=str)
def test_what_is_not_known_matches_a_rule_that_asks_and_none_that_waives(target: Target) -> None:
    asks = _policy({"context": "prod*", "namespace": "sh*", "decision": "confirm"})
    waives = _policy({"context": "dev", "namespace": "shop", "decision": "auto"}, {"decision": "confirm"})
    expected = AUTO if target.context == "dev" else CONFIRM
    assert asks.decide("scale", Effect.WRITE, [target]) == expected
    assert waives.decide("scale", Effect.WRITE, [target]) == CONFIRM


def test_no_targets_at_all_are_targets_that_are_not_known() -> None:
    assert _policy({"context": "prod", "decision": "confirm"}).decide("scale", Effect.WRITE, []) == CONFIRM


def test_of_several_targets_the_strictest_decides() -> None:
    policy = _policy({"context": "prod*", "decision": "confirm"}, {"decision": "auto"})
    assert policy.decide("scale", Effect.WRITE, [DEV, PROD]) == CONFIRM
    assert policy.decide("scale", Effect.WRITE, [DEV, DEV]) == AUTO


def test_a_plan_counts_only_where_every_rule_that_asks_lets_it() -> None:
    lenient = {"decision": "confirm", "confirm_without_human": True}
    policy = _policy({**lenient, "context": "dev"}, {"decision": "confirm"})
    assert policy.has_plans
    assert policy.decide("scale", Effect.WRITE, [DEV]).without_human
    assert not policy.decide("scale", Effect.WRITE, [DEV, PROD]).without_human
    assert not Policy().has_plans


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"decision": "approve"},
        {"decision": "Auto"},
        {"decision": "auto", "contxt": "prod"},
        {"decision": "auto", "effect": "read"},
        {"decision": "auto", "context": ""},
        {"decision": "auto", "context": None},
        {"decision": "auto", "context": ["prod"]},
        {"decision": "auto", "confirm_without_human": True},
        "auto",
    ],
    ids=str,
)
def test_a_rule_that_is_not_understood_is_refused(rule: Any) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate(rule)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('[{"decision": "approve"}]', "KLEPAAS_POLICY[0].decision: 'approve' (a second person) comes later"),
        ('[{"decision": "auto"}, {"effect": "all", "decision": "auto"}]', "KLEPAAS_POLICY[1].effect: Input should be"),
        ('[{"decision": "auto", "contxt": "prod"}]', "KLEPAAS_POLICY[0].contxt: Extra inputs are not permitted"),
        ('{"decision": "auto"}', "KLEPAAS_POLICY"),
        ("confirm", "KLEPAAS_POLICY: is not JSON"),
    ],
)
def test_a_bad_rule_refuses_the_start_with_one_clear_line(
    klepaas: Callable[..., subprocess.CompletedProcess[str]], rules: str, said: str
) -> None:
    done = klepaas("serve", KLEPAAS_POLICY=rules)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
