"""Fields that a server never changes: they are named in a plan as "needs recreation", and nothing deletes by itself.

Source: Kubernetes, package validation: "field is immutable", "may not change once set", "updates to ... are forbidden".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from klepaas_plugins.kubernetes.errors import Invalid

__all__ = ["immutable_fields", "with_live_fields"]

_SAYS = re.compile(
    r"immutable|may not (?:be )?changed?\b|cannot (?:be )?changed?\b|may not be updated|is not allowed to change"
    r"|updates? to .{1,400} (?:is|are) forbidden|updates may not change|can only be set (?:up)?on creation",
    re.IGNORECASE,
)
# What a message excepts: "for fields other than 'replicas', 'template'", "`spec.containers[*].image`".
_EXCEPTED = re.compile(r"['`]([A-Za-z][A-Za-z0-9.*\[\]]{0,120})['`]")
_OTHER_THAN = re.compile(r"other than|except", re.IGNORECASE)
_INDEX = re.compile(r"\[[^\[\]]*\]")
# What a refusal names, and the field that people set.
_SAME = {"spec.clusterIPs": "spec.clusterIP"}


def immutable_fields(error: Invalid) -> list[tuple[str, frozenset[str]]] | None:
    """The immutable fields that a refusal is about, each with the fields below it that may change after all.

    Args:
        error: The refusal.

    Returns:
        The fields; None where something else is wrong as well.
    """
    found = []
    for field, message in error.causes:
        if not field or not _SAYS.search(message):
            return None
        path = _SAME.get(_INDEX.sub("", field), _INDEX.sub("", field))
        excepted = _EXCEPTED.findall(message) if _OTHER_THAN.search(message) else []
        found.append((path, frozenset(_first_below(name, path) for name in excepted)))
    return found or None


def _first_below(name: str, path: str) -> str:
    """The field directly below a path that an excepted name is about."""
    below = name.removeprefix(f"{path}.")
    return _INDEX.sub("", below).partition(".")[0]


def with_live_fields(
    body: Mapping[str, Any], live: Mapping[str, Any], fields: Sequence[tuple[str, frozenset[str]]]
) -> dict[str, Any]:
    """A body whose immutable fields are as they are.

    Args:
        body: The body.
        live: The object as it is.
        fields: What `immutable_fields` found.
    """
    result: Any = dict(body)
    for path, excepted in fields:
        result = _replace(result, live, path.split("."), excepted)
    return dict(result)


def _replace(body: Any, live: Any, steps: Sequence[str], excepted: frozenset[str]) -> Any:
    if not isinstance(body, Mapping) or not isinstance(live, Mapping):
        return live
    name, rest = steps[0], steps[1:]
    if name not in body:
        return body
    if rest:
        return {**body, name: _replace(body[name], live.get(name), rest, excepted)}
    if excepted and isinstance(body.get(name), Mapping) and isinstance(live.get(name), Mapping):
        kept = {key: value for key, value in body[name].items() if key in excepted}
        held = {key: live[name][key] for key in body[name] if key not in excepted and key in live[name]}
        return {**body, name: {**held, **kept}}
    if name in live:
        return {**body, name: live[name]}
    return {key: value for key, value in body.items() if key != name}
