"""Which application a call means: the one resolver of all tools, resources and operations.

A name means the workload of that name, else all workloads that carry it as a label. Where no namespace is given it is
looked for in the context's own; an application that is only elsewhere is never taken for a new one.
"""

import difflib
from collections.abc import Sequence
from functools import partial
from typing import Any

from klepaas.errors import BadRequest, Conflict, NotFound
from klepaas_plugins.deployments.applications import KINDS, LABELS, Workload, workloads
from klepaas_plugins.deployments.lookup import look_at_all
from klepaas_plugins.deployments.naming import application_label
from klepaas_plugins.deployments.objects import items, name_of, namespace_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.together import if_allowed, together

__all__ = ["find_workloads", "not_found", "read_again", "refuse_elsewhere", "resolve", "resolve_one", "the_one"]

_MAX_NAMESPACES = 10


async def find_workloads(place: Place) -> list[Workload]:
    """The workloads that an application's name means; none where there is no such application.

    Args:
        place: The application.
    """
    return (await _look(place))[0]


async def resolve(place: Place) -> list[Workload]:
    """The workloads that an application's name means.

    Args:
        place: The application.

    Raises:
        NotFound: There is none; near names, or the namespaces that have it, are named.
    """
    found, others = await _look(place)
    if not found:
        raise await not_found(place, others)
    return found


async def resolve_one(place: Place) -> Workload:
    """The one workload that a change is for.

    Args:
        place: The application.

    Raises:
        BadRequest: The application has several.
        NotFound: There is none.
    """
    return the_one(place, await resolve(place))


async def read_again(place: Place, workload: Workload) -> Workload:
    """A workload as it is now.

    Args:
        place: The application.
        workload: What was resolved.

    Raises:
        NotFound: It is gone.
    """
    resource = await place.cluster.resource(f"{workload.kind.lower()}s.apps")
    return Workload(workload.kind, await place.cluster.get(resource, workload.name, place.namespace))


def the_one(place: Place, found: Sequence[Workload]) -> Workload:
    """The only one of the workloads that were found.

    Args:
        place: The application.
        found: Its workloads; at least one.

    Raises:
        BadRequest: There are several.
    """
    if len(found) > 1:
        raise BadRequest(
            f"{place.text} has several workloads: {', '.join(item.title for item in found)}",
            next_step="Name one of them as app_name",
        )
    return found[0]


async def refuse_elsewhere(place: Place) -> None:
    """Refuse to take an application for a new one that another namespace has, when the call named no namespace.

    Args:
        place: Where there is no such application.

    Raises:
        Conflict: Another namespace has it.
    """
    if place.is_namespace_given:
        return
    elsewhere = await _elsewhere(place)
    if elsewhere:
        raise Conflict(
            f"There is no application {place.text}, and no namespace was given. {_in(elsewhere, place)}",
            next_step=f"Name the namespace: namespace={elsewhere[0]!r} for that one, or namespace={place.namespace!r} "
            "to deploy another one there",
        )


async def not_found(place: Place, others: Sequence[Workload] | None = None) -> NotFound:
    """That there is no such application, with what the caller may have meant.

    Args:
        place: Where it was looked for.
        others: The workloads of the namespace. None: they are not known.
    """
    nothing: list[Workload] = []
    there = await if_allowed(partial(workloads, place.cluster, place.namespace), nothing) if others is None else others
    known = list(dict.fromkeys(item.application for item in there))
    near = difflib.get_close_matches(place.app_name, known, n=3) or known[:10]
    elsewhere = await _elsewhere(place)
    if elsewhere:
        hint = _in(elsewhere, place)
    elif known:
        hint = f"There are: {', '.join(near)}"
    else:
        hint = "Nothing is deployed there; list_applications(all_namespaces=true) shows the rest"
    return NotFound(f"There is no application {place.text} (context {place.cluster.context})", next_step=hint)


async def _look(place: Place) -> tuple[list[Workload], Sequence[Workload] | None]:
    """The workloads that the name means, and all of the namespace, where these were read."""
    # What klepaas made has the label. All objects with it are needed later, and the one of the name is among them.
    mark = f"{LABELS[0]}={application_label(place.app_name)}"
    await look_at_all(place.cluster, "apps/v1/Deployment", place.namespace, mark)
    try:
        resource = await place.cluster.resource("deployments.apps")
        item = await place.cluster.get(resource, place.app_name, place.namespace)
    except NotFound:
        there = await workloads(place.cluster, place.namespace)
        named = [item for item in there if item.name == place.app_name]
        return named[:1] or [item for item in there if place.app_name in _names(item.application)], there
    return [Workload("Deployment", item)], None


def _names(application: str) -> tuple[str, str]:
    """What an application is called: by its name, and by the label of its pods, which is shorter where that is long."""
    return application, application_label(application)


def _in(namespaces: Sequence[str], place: Place) -> str:
    return f"It is in: {', '.join(f'{name} (context {place.cluster.context})' for name in namespaces)}"


async def _elsewhere(place: Place) -> list[str]:
    """Other namespaces that have the application, by name or by label; none where that may not be asked."""
    mark = application_label(place.app_name)
    queries = [
        {"field_selector": f"metadata.name={place.app_name}"},
        *({"label_selector": f"{k}={mark}"} for k in LABELS),
    ]

    async def listed(kind: str, query: dict[str, str]) -> list[str]:
        nothing: dict[str, Any] = {}
        resource = await place.cluster.resource(f"{kind.lower()}s.apps")
        ask = partial(place.cluster.metadata, resource, None, limit=_MAX_NAMESPACES, **query)
        # A label that another label outranks names another application, unless the workload has the name itself.
        found = [Workload(kind, item) for item in items(await if_allowed(ask, nothing))]
        return [
            namespace_of(one.item) for one in found if place.app_name in (name_of(one.item), *_names(one.application))
        ]

    found = await together(*(partial(listed, kind, query) for kind in KINDS for query in queries))
    names = {name for some in found for name in some} - {place.namespace}
    return sorted(names)[:_MAX_NAMESPACES]
