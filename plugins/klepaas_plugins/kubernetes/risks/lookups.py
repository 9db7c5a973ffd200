"""Looks up in the cluster what the rules need, and judges a change with it.

The rules themselves say what they miss: they run without it, what they asked for is looked up, and they run again;
where one answer leads to another, once more. Lookups are few, side by side, and limited in time; what could not be
looked up stays unknown.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import anyio

from klepaas.changes import ObjectChange, Risk
from klepaas.errors import KlepaasError, NotFound
from klepaas.offload import offload, size_of
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.risks.contents import content_of
from klepaas_plugins.kubernetes.risks.judging import judge
from klepaas_plugins.kubernetes.risks.model import ABSENT, UNKNOWN, Known, Ref

__all__ = ["find_risks", "judge_again"]

LOOKUPS_MAX = 40
LOOKUP_TIMEOUT_S = 5.0
_AT_ONCE = 8
_ROUNDS_MAX = 3
_LIST_MAX = 1000


async def find_risks(cluster: Cluster, changes: Sequence[ObjectChange]) -> tuple[ObjectChange, ...]:
    """The changes, each with the risks of its content.

    Args:
        cluster: Where they would be made.
        changes: The changes, with `before` and `after`.
    """
    known, left = Known(), LOOKUPS_MAX
    size = size_of([part for change in changes for part in (change.before, change.after)])
    with anyio.move_on_after(LOOKUP_TIMEOUT_S):
        for _ in range(_ROUNDS_MAX):
            known.asked.clear()
            judged = await offload(partial(judge, changes, known), size_chars=size)
            wanted = sorted(known.asked, key=str)[:left]
            if not wanted:
                return judged
            left -= len(wanted)
            await _look_up(cluster, known, wanted)
    return await offload(partial(judge, changes, known), size_chars=size)


def judge_again(
    cluster: Cluster, planned: Sequence[ObjectChange]
) -> Callable[[ObjectChange], Awaitable[Sequence[Risk]]]:
    """What judges an object as the server answered it, beside the rest of the plan.

    Args:
        cluster: Where the changes are made.
        planned: All changes of the plan, with their risks.
    """

    async def judge_answer(made: ObjectChange) -> Sequence[Risk]:
        plan = next((one for one in planned if _title(one) == _title(made)), None)
        if plan is not None and plan.after is not None and content_of(plan.after) == content_of(made.after):
            return plan.risks
        others = [one for one in planned if _title(one) != _title(made)]
        return (await find_risks(cluster, [replace(made, risks=()), *others]))[0].risks

    return judge_answer


def _title(change: ObjectChange) -> tuple[str, ...]:
    one = change.identity
    return one.api_version, one.kind, one.namespace or "", one.name


async def _look_up(cluster: Cluster, known: Known, wanted: Sequence[Ref]) -> None:
    async def look(ref: Ref) -> None:
        try:
            known.objects[ref] = await _read(cluster, ref)
        except NotFound:
            known.objects[ref] = ABSENT if ref.name is not None else UNKNOWN
        except KlepaasError:
            known.objects[ref] = UNKNOWN

    await gather(*[partial(look, ref) for ref in wanted], at_once=_AT_ONCE)


async def _read(cluster: Cluster, ref: Ref) -> Any:
    try:
        resource = await cluster.resource(f"{ref.api_version}/{ref.kind}")
    except NotFound:
        # Of a kind that nobody serves it is not known what becomes of its objects.
        return UNKNOWN
    namespace = ref.namespace if resource.namespaced else None
    if ref.name is not None:
        return _without_values(await cluster.get(resource, ref.name, namespace))
    page = await cluster.list(resource, namespace, limit=_LIST_MAX)
    if (page.get("metadata") or {}).get("continue"):
        return UNKNOWN
    return page.get("items") or []


def _without_values(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the values of a Secret: no rule needs them."""
    return {key: value for key, value in obj.items() if key not in ("data", "stringData")}
