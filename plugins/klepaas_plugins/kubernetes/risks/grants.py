"""What rules of RBAC grant, and which of it is new.

Source: Kubernetes, rbac/v1 PolicyRule; the cover of one rule by another is that of the API server's escalation check.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from klepaas.changes import foreign
from klepaas_plugins.kubernetes.risks.model import Object, texts

__all__ = ["granted", "new_grants"]

# More combinations than anybody grants by hand; what is beyond counts as new.
_COMBINATIONS_MAX = 4000


@dataclass(frozen=True)
class _Right:
    """One right: a verb on a resource of a group, by one name or all (""), or on a path.

    Attributes:
        verb: The verb.
        group: The API group.
        resource: The resource, or a path that begins with "/".
        name: The only object. "": all.
    """

    verb: str
    group: str
    resource: str
    name: str

    def covers(self, other: "_Right") -> bool:
        """Whether whoever has this right has the other."""
        return (
            self.verb in ("*", other.verb)
            and self.group in ("*", other.group)
            and _covers_resource(self.resource, other.resource)
            and self.name in ("", other.name)
        )


def new_grants(before: Sequence[Object], after: Sequence[Object]) -> list[str]:
    """What rules grant that others do not, one line a rule.

    Args:
        before: The rules as they are.
        after: The rules as they would be.
    """
    # What is too much to be spelled out counts as new, never as what was there.
    had = [right for rule in before if _count(rule) <= _COMBINATIONS_MAX for right in _rights(rule)]
    lines = []
    for rule in after:
        rights = list(_rights(rule))
        news = [right for right in rights if not any(old.covers(right) for old in had)]
        if news:
            lines.append(_line(rule, news) if len(news) < len(rights) else granted([rule]))
    return lines


def granted(rules: Sequence[Object]) -> str:
    """What rules grant, in words.

    Args:
        rules: The rules.
    """
    return "; ".join(dict.fromkeys(_words(rule) for rule in rules)) or "nothing"


def _count(rule: Object) -> int:
    """How many single rights a rule is."""
    parts = [texts(rule.get(key)) for key in ("verbs", "apiGroups", "resources", "resourceNames")]
    return math.prod(max(1, len(part)) for part in parts)


def _rights(rule: Object) -> Iterator[_Right]:
    verbs, names = texts(rule.get("verbs")), texts(rule.get("resourceNames")) or ("",)
    groups, resources = texts(rule.get("apiGroups")) or ("",), texts(rule.get("resources"))
    if _count(rule) > _COMBINATIONS_MAX:
        yield _Right("*", "*", "*", "")
        return
    for verb, group, resource, name in product(verbs, groups, resources, names):
        yield _Right(verb, group, resource, name)
    for verb, path in product(verbs, texts(rule.get("nonResourceURLs"))):
        yield _Right(verb, "", path if path.startswith("/") else f"/{path}", "")


def _covers_resource(wide: str, narrow: str) -> bool:
    if narrow.startswith("/") or wide.startswith("/"):
        return wide == narrow or (wide.endswith("*") and narrow.startswith("/") and narrow.startswith(wide[:-1]))
    part = narrow.partition("/")[2]
    return wide in ("*", narrow) or bool(part and wide == f"*/{part}")


def _words(rule: Object) -> str:
    names = texts(rule.get("resourceNames"))
    paths, resources = texts(rule.get("nonResourceURLs")), _resources(rule)
    what = " and ".join(part for part in (_listed(resources), _listed(paths)) if part) or "nothing"
    return f"{_every(texts(rule.get('verbs')), 'verb')} on {what}{f' named {_listed(names)}' if names else ''}"


def _line(rule: Object, news: Sequence[_Right]) -> str:
    verbs = dict.fromkeys(right.verb for right in news)
    resources = dict.fromkeys(_resource(right.group, right.resource) for right in news)
    names = dict.fromkeys(right.name for right in news if right.name)
    named = f" named {_listed(tuple(names))}" if names and texts(rule.get("resourceNames")) else ""
    return f"{_every(tuple(verbs), 'verb')} on {_listed(tuple(resources))}{named}"


def _resources(rule: Object) -> tuple[str, ...]:
    groups = texts(rule.get("apiGroups")) or ("",)
    return tuple(_resource(group, resource) for group in groups for resource in texts(rule.get("resources")))


def _resource(group: str, resource: str) -> str:
    if resource.startswith("/"):
        return resource
    if resource == "*":
        return "everything" if group == "*" else f"everything of {group or 'the core group'}"
    return f"{resource}.{group}" if group else resource


def _every(words: tuple[str, ...], noun: str) -> str:
    return f"every {noun}" if "*" in words else _listed(words) or f"no {noun}"


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(map(foreign, words))
