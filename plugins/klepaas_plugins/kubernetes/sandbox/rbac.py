"""RBAC for users that clients impersonate: what their bindings grant, and that nobody grants what they do not hold.

Roles and bindings are those that are stored, with the ClusterRoles of `rbac_roles` beside them. Subjects are users,
service accounts and the group system:authenticated; other groups, and aggregated ClusterRoles, are not done.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .faults import ADMIN, ANONYMOUS, Attributes
from .model import Json
from .rbac_roles import BUILT_IN_ROLES, DISCOVERY, PUBLIC
from .resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource
from .status import forbidden, not_found
from .store import Store

_GROUP = "system:authenticated"
_Piece = tuple[str, str, str, str]  # group, resource, name, verb


class Rights:
    """What users may do.

    Args:
        store: where roles and bindings are.

    Attributes:
        trusted: Users who may do everything, whatever is bound.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.trusted: set[str] = {ADMIN}

    def allow(self, user: str, asked: Attributes) -> bool:
        """Whether the bindings of a user grant something."""
        if not asked.resource:
            return _is_open_path(user, asked.path) or any(
                _covers_path(rule, asked.verb, asked.path) for rule in self.rules(user, "")
            )
        piece = (asked.group, asked.resource, asked.name, asked.verb)
        return _covered(self.rules(user, asked.namespace or ""), piece)

    def rules(self, user: str, namespace: str) -> list[Json]:
        """The rules that hold for a user in a namespace, and everywhere."""
        found: list[Json] = []
        for binding in self._store.list(CLUSTER_ROLE_BINDINGS):
            if _names(binding, user):
                found += self._role_rules(binding["roleRef"], "") or []
        for binding in self._store.list(ROLE_BINDINGS, namespace) if namespace else ():
            if _names(binding, user):
                found += self._role_rules(binding["roleRef"], namespace) or []
        return found

    def _role_rules(self, reference: Json, namespace: str) -> list[Json] | None:
        """The rules of a role; None when there is no such role."""
        resource = ROLES if reference.get("kind") == "Role" else CLUSTER_ROLES
        found = self._store.get(resource, namespace if resource is ROLES else "", reference.get("name", ""))
        if found is None:
            return BUILT_IN_ROLES.get(reference.get("name", "")) if resource is CLUSTER_ROLES else None
        return found.get("rules") or []

    def check_grant(self, user: str, resource: Resource, obj: Json, old: Json | None) -> None:
        """Refuse a role or binding that grants what its writer does not hold.

        Raises:
            ApiError: 403, or 404 for a binding to a role that is not there.
        """
        if not user or user in self.trusted:
            return
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"].get("name", "")
        if resource in (ROLES, CLUSTER_ROLES):
            granted: list[Json] | None = obj.get("rules") or []
            if old and old.get("rules") == obj.get("rules"):
                return
        elif resource in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            granted = self._role_rules(obj.get("roleRef") or {}, namespace)
        else:
            return
        if granted is None:
            raise not_found(resource, obj["roleRef"].get("name", ""))
        missing = _missing(granted, self.rules(user, namespace))
        if missing:
            said = f'user "{user}" (groups=["{_GROUP}"]) is attempting to grant RBAC permissions not currently held:\n'
            raise forbidden(resource, name, said + "\n".join(missing))


def _is_open_path(user: str, path: str) -> bool:
    roots = PUBLIC if user == ANONYMOUS else DISCOVERY
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _names(binding: Json, user: str) -> bool:
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "ServiceAccount":
            place = subject.get("namespace") or binding["metadata"].get("namespace", "")
            name = f"system:serviceaccount:{place}:{name}"
        if user == name and kind in ("User", "ServiceAccount"):
            return True
        if kind == "Group" and name == _GROUP and user != ANONYMOUS:
            return True
    return False


def _covers_path(rule: Json, verb: str, path: str) -> bool:
    urls = rule.get("nonResourceURLs") or ()
    matches = any(path == url or (url.endswith("*") and path.startswith(url[:-1])) for url in urls)
    return matches and bool({"*", verb} & set(rule.get("verbs") or ()))


def _covered(rules: list[Json], piece: _Piece) -> bool:
    group, resource, name, verb = piece
    resources = {"*", resource, f"*/{resource.partition('/')[2]}" if "/" in resource else resource}
    return any(
        {"*", group} & set(rule.get("apiGroups") or ())
        and resources & set(rule.get("resources") or ())
        and {"*", verb} & set(rule.get("verbs") or ())
        and (not rule.get("resourceNames") or name in rule["resourceNames"])
        for rule in rules
    )


def _missing(granted: list[Json], held: list[Json]) -> list[str]:
    """What is granted and not held, in the words of the API server."""
    lacking: dict[tuple[str, str, str], list[str]] = {}
    for piece in _pieces(granted):
        if not _covered(held, piece):
            verbs = lacking.setdefault(piece[:3], [])
            verbs += [piece[3]] if piece[3] not in verbs else []
    said = []
    for (group, resource, name), verbs in lacking.items():
        named = f', ResourceNames:["{name}"]' if name else ""
        said.append(f'{{APIGroups:["{group}"], Resources:["{resource}"]{named}, Verbs:[{_quoted(verbs)}]}}')
    for rule in granted:
        for url in rule.get("nonResourceURLs") or ():
            verbs = [verb for verb in rule["verbs"] if not any(_covers_path(one, verb, url) for one in held)]
            said += [f'{{NonResourceURLs:["{url}"], Verbs:[{_quoted(verbs)}]}}'] if verbs else []
    return sorted(said)


def _pieces(rules: list[Json]) -> Iterator[_Piece]:
    for rule in rules:
        names = rule.get("resourceNames") or [""]
        parts = (rule.get("apiGroups") or (), rule.get("resources") or (), names, rule.get("verbs") or ())
        yield from product(*parts)


def _quoted(verbs: list[str]) -> str:
    return " ".join(f'"{verb}"' for verb in verbs)
