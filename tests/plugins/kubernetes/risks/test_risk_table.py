"""The table of risks: a change for each row of it, and that what is harmless stays so."""

import pytest

from klepaas.changes import FOREIGN_MARK, Action, ObjectChange, ObjectIdentity, Risk
from klepaas_plugins.kubernetes.risks import RULES, Known, Ref, judge

from .objects import account, binding, made, role, rule
from .rows import ROWS, Row
from .rows_rights import NONE_BOUND


def change_of(row: Row) -> ObjectChange:
    """The change of a row."""
    obj = row.after or row.before or {}
    metadata = obj["metadata"]
    action = Action.CREATE if row.before is None else Action.DELETE if row.after is None else Action.UPDATE
    identity = ObjectIdentity(
        kind=obj["kind"], name=metadata["name"], namespace=metadata.get("namespace"), api_version=obj["apiVersion"]
    )
    return ObjectChange(identity=identity, action=action, before=row.before, after=row.after, body=row.after)


def plain(risk: Risk) -> str:
    """The text of a risk without its marks."""
    return risk.text.replace(FOREIGN_MARK, "")


class Told(Known):
    """What a row says is known, whatever version it is asked in."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row

    def _look(self, ref: Ref) -> object:
        key = (ref.kind, ref.namespace, ref.name)
        self.objects = {ref: self.row.live[key]} if key in self.row.live else {}
        return super()._look(ref)


@pytest.mark.parametrize("row", ROWS, ids=[f"{at}-{row.rule}" for at, row in enumerate(ROWS)])
def test_each_row_of_the_table_names_what_happens(row: Row) -> None:
    (judged,) = judge([change_of(row)], Told(row))
    code = next(rule.code for rule in RULES if rule.name == row.rule)
    found = [risk for risk in judged.risks if risk.code == code and row.text in plain(risk)]
    assert found, [(risk.code, plain(risk)) for risk in judged.risks]
    assert found[0].severity is row.severity
    assert all(len(risk.text.splitlines()) == 1 for risk in judged.risks)


def test_every_rule_has_a_row() -> None:
    assert {rule.name for rule in RULES} == {row.rule for row in ROWS}


def test_no_two_rules_have_one_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_a_new_role_is_named_once_with_its_rules_and_the_binding_of_the_same_change_refers_to_it() -> None:
    rows = [
        Row("role", None, role(rule("*", "*", "*"), kind="ClusterRole", name="all"), ""),
        Row("binding", None, binding("ClusterRole", "all", account(), kind="ClusterRoleBinding"), ""),
    ]
    empty = Row("role", None, None, "", live=NONE_BOUND)
    texts = [plain(risk) for change in judge([change_of(row) for row in rows], Told(empty)) for risk in change.risks]
    assert texts == [
        "grants every verb on everything to ServiceAccount shop/web",
        "grants the new ClusterRole all in the whole cluster, with the rules that are named with it, "
        "to ServiceAccount shop/web",
    ]


def test_a_role_of_another_group_does_not_stand_for_one_of_rbac() -> None:
    everything = role(rule("*", "*", "*"), kind="ClusterRole", name="cluster-admin")
    rows = [
        Row("role", None, made("evil.dev/v1", "ClusterRole", "cluster-admin", None), ""),
        Row("binding", None, binding("ClusterRole", "cluster-admin", account(), kind="ClusterRoleBinding"), ""),
    ]
    known = Told(Row("role", None, None, "", live={("ClusterRole", None, "cluster-admin"): everything}))
    (risk,) = judge([change_of(row) for row in rows], known)[1].risks
    assert "every verb on everything" in plain(risk)
