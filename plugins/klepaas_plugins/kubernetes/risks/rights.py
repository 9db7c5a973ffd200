"""Rules about RBAC: roles that are widened, bindings, aggregation, and rules of RBAC inside other objects.

A role grants something to those who are bound to it. Where the bindings cannot be read, it counts as bound.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.grants import granted, new_grants
from klepaas_plugins.kubernetes.risks.model import ABSENT, UNKNOWN, Found, Known, Object, Pair, Rule, child, children

__all__ = ["RIGHTS_RULES", "bindings_of", "subject_text"]

RBAC = "rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"
_AGGREGATES = f"{_GROUP}/aggregate-to-"
_ROLES, _BINDINGS = ("Role", "ClusterRole"), ("RoleBinding", "ClusterRoleBinding")
_EVERYBODY = {
    "system:anonymous": "everybody, without signing in",
    "system:unauthenticated": "everybody, without signing in",
    "system:authenticated": "everybody who is signed in",
    "system:serviceaccounts": "every service account",
    "system:nodes": "every node",
}


def _find_role(pair: Pair) -> Iterator[Found | str]:
    """New rules of a role, for those who are bound to it and those it is aggregated to."""
    if pair.group != _GROUP or pair.kind not in _ROLES or pair.is_deleted:
        return
    lines = new_grants(children(pair.before, "rules"), children(pair.after, "rules"))
    everything = new_grants([], children(pair.after, "rules"))
    targets = _new_targets(pair)
    if everything and targets:
        yield f"grants {'; '.join(everything)} to all who have {', '.join(targets)}"
    old_targets = _aggregated_to(pair.before)
    if lines and old_targets:
        yield f"grants {'; '.join(lines)} to all who have {', '.join(old_targets)}"
    if lines:
        yield from _to_subjects(pair, lines, is_collected=bool(targets or old_targets))


def _to_subjects(pair: Pair, lines: Sequence[str], *, is_collected: bool) -> Iterator[Found | str]:
    subjects = _subjects(pair)
    what = "; ".join(lines)
    if subjects is UNKNOWN:
        yield f"grants {what} to those who are bound to {pair.kind} {foreign(pair.name)}; not known who that is"
    elif subjects:
        yield f"grants {what} to {_listed(subjects)}"
    elif not is_collected:
        yield Found(f"{pair.kind} {foreign(pair.name)} allows {what}; nobody is bound to it yet", Effect.WRITE)


def _subjects(pair: Pair) -> Any:
    bindings = bindings_of(pair.known, pair.kind, pair.name, pair.place if pair.kind == "Role" else None)
    if bindings is UNKNOWN:
        return UNKNOWN
    return list(
        dict.fromkeys(subject_text(one, binding) for binding in bindings for one in children(binding, "subjects"))
    )


def bindings_of(known: Known, kind: str, name: str, namespace: str | None) -> Any:
    """The bindings to a role, or `UNKNOWN`.

    Args:
        known: What is known.
        kind: `Role` or `ClusterRole`.
        name: The role's name.
        namespace: A Role's namespace. None: it is a ClusterRole.
    """
    lists = [known.list(RBAC, "RoleBinding", namespace)]
    if kind == "ClusterRole":
        lists.append(known.list(RBAC, "ClusterRoleBinding", None))
    if any(one is UNKNOWN for one in lists):
        return UNKNOWN
    wanted = (kind, name)
    return [
        one
        for items in lists
        for one in items
        if (child(one, "roleRef").get("kind"), child(one, "roleRef").get("name")) == wanted
    ]


def _find_aggregation(pair: Pair) -> Iterator[str]:
    """A ClusterRole that collects the rules of others."""
    if pair.is_deleted or pair.kind != "ClusterRole":
        return
    before = children(pair.before, "aggregationRule", "clusterRoleSelectors")
    for one in children(pair.after, "aggregationRule", "clusterRoleSelectors"):
        if one not in before:
            labels = ", ".join(foreign(f"{key}={value}") for key, value in child(one, "matchLabels").items())
            labels = labels or "any labels that it selects"
            yield f"{foreign(pair.name)} collects the rules of every ClusterRole with {labels}"


def _new_targets(pair: Pair) -> list[str]:
    before = _aggregated_to(pair.before)
    return [target for target in [*_aggregated_to(pair.after), *_collectors(pair)] if target not in before]


def _aggregated_to(obj: Object | None) -> list[str]:
    labels = child(obj, "metadata", "labels")
    marked = [key for key, value in labels.items() if key.startswith(_AGGREGATES) and str(value).lower() == "true"]
    return [f"ClusterRole {foreign(key.removeprefix(_AGGREGATES))}" for key in marked]


def _collectors(pair: Pair) -> Iterator[str]:
    """Other ClusterRoles that collect this one's rules by labels of their own."""
    labels, old = (child(obj, "metadata", "labels") for obj in (pair.after, pair.before))
    if pair.kind != "ClusterRole" or not labels:
        return
    roles = pair.known.list(RBAC, "ClusterRole", None)
    for role in () if roles is UNKNOWN else roles:
        for one in children(role, "aggregationRule", "clusterRoleSelectors"):
            wanted = child(one, "matchLabels").items()
            if wanted and wanted <= labels.items() and not wanted <= old.items():
                yield f"ClusterRole {foreign(child(role, 'metadata').get('name'))}"


def _find_binding(pair: Pair) -> Iterator[str]:
    """New subjects of a binding, or all of them where its role is another one."""
    after = pair.after
    if after is None or "roleRef" not in after:
        return
    role, before = child(after, "roleRef"), pair.before
    same = before is not None and dict(child(before, "roleRef")) == dict(role)
    had = [dict(one) for one in children(before, "subjects")] if same else []
    news = [one for one in children(after, "subjects") if dict(one) not in had]
    if news:
        yield f"grants {_role_text(pair, role)} to {_listed([subject_text(one, after) for one in news])}"


def _role_text(pair: Pair, role: Object) -> str:
    kind, name = str(role.get("kind")), str(role.get("name"))
    where = "in the whole cluster" if pair.kind == "ClusterRoleBinding" else f"in namespace {foreign(pair.place)}"
    place = pair.place if kind == "Role" else None
    if (_GROUP, kind, place, name) in pair.known.created:
        return f"the new {kind} {foreign(name)} {where}, with the rules that are named with it,"
    found = pair.known.get(RBAC, kind, place, name)
    if found is ABSENT:
        return f"whatever {kind} {foreign(name)} will say ({where}; there is no such role yet)"
    if found is UNKNOWN:
        return f"{kind} {foreign(name)} {where} (not known what it allows)"
    collected = ", and all that it collects" if child(found, "aggregationRule") else ""
    return f"{kind} {foreign(name)} {where}: {granted(children(found, 'rules'))}{collected}"


def subject_text(subject: Object, binding: Object) -> str:
    """Who is meant.

    Args:
        subject: The subject.
        binding: Its binding.
    """
    kind, name = str(subject.get("kind")), str(subject.get("name"))
    if name in _EVERYBODY:
        return f"{foreign(kind)} {name} ({_EVERYBODY[name]})"
    if kind != "ServiceAccount":
        return f"{foreign(kind)} {foreign(name)}"
    namespace = subject.get("namespace") or child(binding, "metadata").get("namespace")
    return f"ServiceAccount {foreign(f'{namespace}/{name}')}"


def _find_other_rules(pair: Pair) -> Iterator[str]:
    """Rules of RBAC inside of other objects, as an operator's catalogue or a project's template holds them."""
    if pair.is_deleted or (pair.group == _GROUP and pair.kind in _ROLES):
        return
    before = [rule for one in pair.old.named("rules") for rule in _rbac_rules(one.value)]
    for one in pair.new.named("rules"):
        for line in new_grants(before, _rbac_rules(one.value)):
            yield f"grants {line} ({foreign(one.path)})"


def _rbac_rules(value: object) -> list[Object]:
    items = children({"rules": value}, "rules")
    return [one for one in items if "verbs" in one and ("resources" in one or "nonResourceURLs" in one)]


def _listed(words: Iterable[str]) -> str:
    # All of them: a subject that is not named is one that nobody confirmed.
    return ", ".join(dict.fromkeys(words))


RIGHTS_RULES = (
    Rule(code="grants-rights", name="role", find=_find_role,
         content="rules of a Role or ClusterRole that it had not, for all who are bound to it, or who have a role that "
         "it is aggregated to (`aggregate-to-*`, `aggregationRule`)"),
    Rule(code="grants-rights", name="aggregation", find=_find_aggregation,
         content="`aggregationRule`, new or changed: the rules of other roles are collected"),
    Rule(code="grants-rights", name="binding", find=_find_binding,
         content="subjects of a RoleBinding or ClusterRoleBinding that it had not; a binding to a role that is not "
         "there grants whatever that will say"),
    Rule(code="grants-rights", name="other-rules", find=_find_other_rules,
         content="rules of RBAC inside of other objects"),
)  # fmt: skip
