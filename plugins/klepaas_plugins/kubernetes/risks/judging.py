"""Judges a change by its content: every rule of the table on every object, also on objects inside of others.

Pure functions: what has to be looked up in the cluster stands in `Known`, and what is not there counts as not known,
which raises the effect and never lowers it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from klepaas.changes import Action, ObjectChange, Risk, foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.cluster import CLUSTER_RULES
from klepaas_plugins.kubernetes.risks.fields import FIELD_RULES
from klepaas_plugins.kubernetes.risks.kinds import KIND_RULES
from klepaas_plugins.kubernetes.risks.lifecycle import LIFECYCLE_RULES
from klepaas_plugins.kubernetes.risks.marks import MARK_RULES
from klepaas_plugins.kubernetes.risks.model import ABSENT, Found, Known, Object, Pair, Rule, child, group_of
from klepaas_plugins.kubernetes.risks.network import NETWORK_RULES
from klepaas_plugins.kubernetes.risks.pods import POD_RULES
from klepaas_plugins.kubernetes.risks.rights import RIGHTS_RULES
from klepaas_plugins.kubernetes.risks.stops import STOP_RULES

__all__ = ["RULES", "judge", "overlay_of"]

_NESTED_MAX = 4


def _find_unread(pair: Pair) -> Iterator[str]:
    if not pair.new.is_whole:
        yield "it is too large to be judged as a whole"
    before = pair.old.unread
    for path, text in pair.new.unread.items():
        if before.get(path) != text:
            yield f"not known what objects a text holds that cannot be read ({foreign(path)})"


RULES: tuple[Rule, ...] = (
    *LIFECYCLE_RULES, *RIGHTS_RULES, *FIELD_RULES, *POD_RULES, *NETWORK_RULES, *MARK_RULES, *KIND_RULES, *CLUSTER_RULES,
    *STOP_RULES,
    Rule(code="not-known", name="too-large", find=_find_unread,
         content="an object that is too large to be judged, or a text of objects that cannot be read"),
)  # fmt: skip


def judge(changes: Sequence[ObjectChange], known: Known) -> tuple[ObjectChange, ...]:
    """The changes, each with the risks of its content; risks that it has already stay.

    Args:
        changes: The changes.
        known: What is known around them; what a rule misses is noted in it.
    """
    known.overlay = overlay_of(changes)
    names = [change.identity for change in changes if change.action is Action.CREATE]
    known.created = frozenset((group_of(one.api_version), one.kind, one.namespace, one.name) for one in names)
    return tuple(_judge_change(change, known) for change in changes)


def overlay_of(changes: Sequence[ObjectChange]) -> dict[tuple[str, str, str | None, str], Any]:
    """The objects of the changes, as they would be.

    Args:
        changes: The changes.
    """
    found: dict[tuple[str, str, str | None, str], Any] = {}
    for change in changes:
        one = change.identity
        obj = ABSENT if change.action is Action.DELETE else change.after if change.after is not None else change.body
        if obj is not None:
            found[group_of(one.api_version), one.kind, one.namespace, one.name] = obj
    return found


def _judge_change(change: ObjectChange, known: Known) -> ObjectChange:
    if change.action is Action.NONE and change.before is None:
        return change
    after = None if change.action is Action.DELETE else change.after if change.after is not None else change.body
    pair = Pair(_typed(change, change.before), _typed(change, after), known, change.identity.namespace)
    found = list(_risks(pair, "", 0))
    if change.action is Action.UPDATE and change.before is None:
        found.append(Risk(code="not-known", text="not known what is there now, so all of it counts as new"))
    return replace(change, risks=tuple(dict.fromkeys([*change.risks, *found])))


def _typed(change: ObjectChange, obj: Object | None) -> Object | None:
    """The object with its kind, which items of a list do not say."""
    if obj is None or "kind" in obj:
        return obj
    return {"apiVersion": change.identity.api_version, "kind": change.identity.kind, **obj}


def _risks(pair: Pair, where: str, depth: int) -> Iterator[Risk]:
    for rule in RULES:
        if pair.is_deleted and not rule.deleted:
            continue
        for found in rule.find(pair):
            yield _risk(rule, pair, found if isinstance(found, Found) else Found(found), where)
    if not pair.is_deleted and pair.new.embedded:
        if depth < _NESTED_MAX:
            yield from _nested(pair, where, depth)
        else:
            yield Risk(code="not-known", text="not known what objects do that are nested more deeply")


def _nested(pair: Pair, where: str, depth: int) -> Iterator[Risk]:
    """The risks of the objects inside, as those of objects of their own."""
    before: dict[tuple[str, Any, Any], Mapping[str, Any]] = {_key(path, obj): obj for path, obj in pair.old.embedded}
    for path, obj in pair.new.embedded:
        inner = Pair(before.get(_key(path, obj)), obj, pair.known, pair.place)
        if inner.before != obj:
            yield from _risks(inner, f"{where}{foreign(path)}: {foreign(obj.get('kind'))} ", depth + 1)


def _key(path: str, obj: Object) -> tuple[str, Any, Any]:
    return path, obj.get("kind"), child(obj, "metadata").get("name")


def _risk(rule: Rule, pair: Pair, found: Found, where: str) -> Risk:
    severity = found.severity
    if severity is None:
        severity = rule.created if pair.is_new and rule.created is not None else rule.severity
    text = " ".join(f"{where}{found.text}".split())
    return Risk(code=rule.code, text=text, severity=Effect(severity))
