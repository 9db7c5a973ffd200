"""Whether the context and the namespace that a person filled into a prompt exist: asked with a time limit, no error.

A value that could be no such name is not found without a request, so nothing hostile reaches a cluster.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import anyio

from klepaas import names
from klepaas.errors import BadRequest, KlepaasError
from klepaas_plugins.kubernetes.client import Clusters, namespace_error

__all__ = ["LOOKED_UP", "LOOKUP_LIMIT_S", "Finding", "State", "find_names", "keeps"]

log = logging.getLogger(__name__)

# A person waits for the prompt; a cluster that does not answer must not hold it up.
LOOKUP_LIMIT_S = 2.0
LOOKED_UP: Mapping[str, names.Check] = {"context": names.CONTEXT, "namespace": names.NAMESPACE}


class State(Enum):
    """What is known of a value."""

    MISSING = "missing"
    GOOD = "good"
    NOT_FOUND = "not_found"
    UNCHECKED = "unchecked"
    ODD = "odd"

    @property
    def is_doubtful(self) -> bool:
        """Whether the value may be something else than what the argument asks for."""
        return self in (State.NOT_FOUND, State.UNCHECKED, State.ODD)


@dataclass(frozen=True)
class Finding:
    """What was found out about a value.

    Attributes:
        state: What is known of it.
        note: Where it was looked for and which names are near. "": nothing.
    """

    state: State
    note: str = ""


def keeps(check: names.Check, value: str) -> bool:
    """Whether a value keeps a rule.

    Args:
        check: The rule.
        value: The value.
    """
    try:
        check.check(value, check.noun)
    except BadRequest:
        return False
    return True


async def find_names(clusters: Clusters, said: Mapping[str, str]) -> dict[str, Finding]:
    """Look up the context and the namespace, as far as the kubeconfig and the cluster answer in time.

    Args:
        clusters: The clusters there are.
        said: By argument: what was filled in; anything but a context and a namespace is left alone.

    Returns:
        By argument: what was found out.
    """
    asked = {name: said[name] for name, check in LOOKED_UP.items() if name in said and keeps(check, said[name])}
    found = {name: Finding(State.UNCHECKED if name in asked else State.NOT_FOUND) for name in LOOKED_UP if name in said}
    if asked:
        with anyio.move_on_after(LOOKUP_LIMIT_S):
            try:
                await _find(clusters, asked, found)
            except KlepaasError as exc:
                log.debug("a name in a prompt could not be looked up: %s", exc.code)
    return found


async def _find(clusters: Clusters, asked: Mapping[str, str], found: dict[str, Finding]) -> None:
    contexts = [info.name for info in await clusters.known()]
    context, namespace = asked.get("context"), asked.get("namespace")
    if context is not None:
        found["context"] = Finding(State.GOOD if context in contexts else State.NOT_FOUND)
    if namespace is None:
        return
    error = await namespace_error(await clusters.cluster(context if context in contexts else None), namespace)
    if error is None:
        found["namespace"] = Finding(State.GOOD)
    else:
        note = f"There is a context {namespace}" if namespace in contexts else error.next_step
        found["namespace"] = Finding(State.NOT_FOUND, f"{error.what}. {note}")
