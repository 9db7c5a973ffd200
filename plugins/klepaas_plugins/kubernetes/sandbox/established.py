"""When the kinds of a CustomResourceDefinition are served: once its names are accepted and it is established.

Source: apiextensions-apiserver, `pkg/controller/status/naming_controller.go` and `pkg/controller/establish`.
"""

from __future__ import annotations

from .model import Json
from .resources import DEFINITIONS
from .store import Store

_NAMES = (("plural", "PluralConflict"), ("singular", "SingularConflict"), ("kind", "KindConflict"))


def is_established(definition: Json) -> bool:
    """Whether its conditions say so."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def conflict_of(store: Store, definition: Json) -> tuple[str, str] | None:
    """Reason and message of the first of its names that another established definition of the group has.

    None: there is none.
    """
    spec, name = definition["spec"], definition["metadata"]["name"]
    others = [one for one in store.list(DEFINITIONS) if one["metadata"]["name"] != name and is_established(one)]
    taken = [one["spec"]["names"] for one in others if one["spec"].get("group") == spec.get("group")]
    for field, reason in _NAMES:
        wanted = spec["names"].get(field)
        if wanted and any(names.get(field) == wanted for names in taken):
            return reason, f'"{wanted}" is already in use'
    return None


def conditions_of(definition: Json, conflict: tuple[str, str] | None, stamp: str) -> list[Json]:
    """The conditions of a definition whose names were judged."""
    accepted = conflict is None
    reason, message = conflict or ("NoConflicts", "no conflicts found")
    established = ("InitialNamesAccepted", "the initial names have been accepted")
    if not accepted:
        established = ("NotAccepted", "not all names are accepted")
    word = "True" if accepted else "False"
    return [
        {"type": kind, "status": word, "lastTransitionTime": stamp, "reason": why, "message": said}
        for kind, (why, said) in (("NamesAccepted", (reason, message)), ("Established", established))
    ]
