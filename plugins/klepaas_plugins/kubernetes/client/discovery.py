"""Which kinds a cluster serves, and which one a person means by "po", "Deployment" or "certificates.cert-manager.io".

Discovery is asked in its aggregated form (one request for the core group, one for all others, each when it is needed),
and group by group where a server does not know that form. The
answer is kept for a while and asked for again, once, when a kind is not in it: it may have been installed since.

Source: Kubernetes API reference, apidiscovery.k8s.io/v2 APIGroupDiscoveryList; the ambiguity rules are kubectl's.
"""

import difflib
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from klepaas import names
from klepaas.errors import KlepaasError, NotFound
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client.core_kinds import CORE_KINDS
from klepaas_plugins.kubernetes.client.models import Resource
from klepaas_plugins.kubernetes.client.requests import JSON, Request
from klepaas_plugins.kubernetes.errors import Act

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.transport import Transport

__all__ = ["Discovery"]

FRESH_S = 300.0
# Of the core group, and of all others.
_PATHS = ("/api", "/apis")
_AGGREGATED = ",".join(
    [f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")] + [JSON]
)
_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")


class Discovery:
    """The kinds of one cluster.

    Args:
        transport: How to ask it.
        context: The context's name, for messages.
    """

    def __init__(self, transport: "Transport", context: str) -> None:
        self._transport = transport
        self._context = context
        self._lock = anyio.Lock()
        self._known: dict[str, list[Resource]] = {}
        self._index: dict[str, list[Resource]] = {}
        self._asked_at: dict[str, float] = {}

    async def resource(self, kind: str) -> Resource:
        """What a person means by a kind.

        Args:
            kind: Kind, plural, singular or short name; with a group (`deployments.apps`) or version
                (`apps/v1/Deployment`) where that matters.

        Raises:
            BadRequest: That is no kind's name.
            NotFound: The cluster serves no such kind; near misses are named.
        """
        names.KIND.check(kind, "kind")
        known = CORE_KINDS.get(kind.lower())
        if known is not None:
            return known
        since, paths = time.monotonic(), _paths_of(kind)
        await self._refresh(since - FRESH_S, paths)
        found = self._find(kind)
        if found is None:
            await self._refresh(since, paths)
            found = self._find(kind)
        if found is None:
            raise await self._unknown(kind)
        return found

    async def resources(self) -> list[Resource]:
        """Every kind that the cluster serves, the core ones first, each group's preferred version first."""
        await self._refresh(time.monotonic() - FRESH_S, _PATHS)
        return [resource for path in _PATHS for resource in self._known.get(path, ())]

    async def _refresh(self, since: float, paths: Sequence[str]) -> None:
        """Ask again for what was not asked for since then."""
        if all(self._asked_at.get(path, float("-inf")) >= since for path in paths):
            return
        async with self._lock:
            for path in paths:
                if self._asked_at.get(path, float("-inf")) < since:
                    self._known[path] = await self._ask(path)
                    self._asked_at[path] = time.monotonic()
            self._index = _indexed(resource for path in _PATHS for resource in self._known.get(path, ()))

    async def _ask(self, path: str) -> list[Resource]:
        document = await self._transport.json(self._request(path, _AGGREGATED))
        if document.get("kind") == "APIGroupDiscoveryList":
            return list(_from_aggregated(document))
        return await self._legacy(document)

    def _request(self, path: str, accept: str = JSON) -> Request:
        return Request(Act("list", "the kinds that the cluster serves", self._context), path, accept=accept)

    async def _legacy(self, document: Mapping[str, Any]) -> list[Resource]:
        """Ask group by group. A group whose server is down is left out: the others still work."""
        versions = list(_group_versions(document))
        found: dict[str, list[Resource]] = {}

        async def ask(group_version: str, path: str) -> None:
            try:
                answer = await self._transport.json(self._request(path))
            except KlepaasError:
                return
            found[group_version] = list(_from_legacy(group_version, answer))

        await gather(*[partial(ask, group_version, path) for group_version, path in versions], at_once=8)
        return [resource for group_version, _ in versions for resource in found.get(group_version, [])]

    def _find(self, kind: str) -> Resource | None:
        name, matches = _parsed(kind)
        candidates = [resource for resource in self._index.get(name, ()) if matches(resource)]
        # A whole name counts before a short one; then the order of discovery, in which the core group is first.
        whole = (resource for resource in candidates if name not in resource.short_names)
        return next(whole, next(iter(candidates), None))

    async def _unknown(self, kind: str) -> NotFound:
        # A near name may be in the other half.
        await self._refresh(time.monotonic() - FRESH_S, _PATHS)
        name = _parsed(kind)[0]
        near = difflib.get_close_matches(name, self._index, n=6, cutoff=0.7)
        shown = dict.fromkeys(self._index[word][0].full_name for word in near)
        step = f"Did you mean {', '.join(list(shown)[:3])}?" if shown else "List the kinds with k8s_get(kind='crd')"
        return NotFound(f"The cluster of context {self._context} serves no kind {kind}", next_step=step)


class _Wanted:
    """What a person said about group and version; None: nothing."""

    def __init__(self, group: str | None = None, version: str | None = None) -> None:
        self.group = group
        self.version = version

    def __call__(self, resource: Resource) -> bool:
        right_group = self.group is None or resource.group.lower() == self.group
        return right_group and self.version in (None, resource.version)


def _paths_of(kind: str) -> Sequence[str]:
    """Where a kind can be: a name without a group can be anywhere."""
    group = _parsed(kind)[1].group
    return _PATHS if group is None else _PATHS[:1] if group == "" else _PATHS[1:]


def _parsed(kind: str) -> tuple[str, _Wanted]:
    """The name in a kind, and what the rest asks for.

    `Pod`, `deployments.apps`, `deployments.v1.apps`, `v1/Pod`, `apps/Deployment`, `apps/v1/Deployment`.
    """
    text = kind.lower()
    if "/" in text:
        *before, name = text.split("/")
        if len(before) == 2:
            return name, _Wanted(before[0], before[1])
        return name, _Wanted("", before[0]) if _VERSION.fullmatch(before[0]) else _Wanted(before[0])
    name, _, rest = text.partition(".")
    if not rest:
        return name, _Wanted()
    first, _, group = rest.partition(".")
    return name, _Wanted(group, first) if _VERSION.fullmatch(first) else _Wanted(rest)


def _indexed(known: Iterable[Resource]) -> dict[str, list[Resource]]:
    index: dict[str, list[Resource]] = {}
    for resource in known:
        for word in {resource.plural, resource.singular, resource.kind.lower(), *resource.short_names} - {""}:
            index.setdefault(word, []).append(resource)
    return index


def _from_aggregated(document: Mapping[str, Any]) -> Iterator[Resource]:
    for item in document.get("items") or ():
        group = (item.get("metadata") or {}).get("name") or ""
        for version in item.get("versions") or ():
            for entry in version.get("resources") or ():
                kind = (entry.get("responseKind") or {}).get("kind") or ""
                yield from _resource(
                    group,
                    str(version.get("version")),
                    {
                        **entry,
                        "kind": kind,
                        "name": entry.get("resource"),
                        "singularName": entry.get("singularResource"),
                    },
                    namespaced=entry.get("scope") == "Namespaced",
                )


def _from_legacy(group_version: str, document: Mapping[str, Any]) -> Iterator[Resource]:
    group, _, version = group_version.rpartition("/")
    for entry in document.get("resources") or ():
        if "/" not in str(entry.get("name")):
            yield from _resource(group, version, entry, namespaced=bool(entry.get("namespaced")))


def _resource(group: str, version: str, entry: Mapping[str, Any], *, namespaced: bool) -> Iterator[Resource]:
    """The resource, where what it says can stand in a path; a server that says otherwise is not followed there."""
    plural = str(entry.get("name") or "")
    if not entry.get("kind") or any(not _SEGMENT.fullmatch(part) for part in (plural, version, group or "x")):
        return
    yield Resource(
        group=group,
        version=version,
        kind=str(entry["kind"]),
        plural=plural,
        singular=str(entry.get("singularName") or ""),
        short_names=tuple(entry.get("shortNames") or ()),
        namespaced=namespaced,
        verbs=frozenset(entry.get("verbs") or ()),
    )


def _group_versions(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each group and version of a legacy discovery document with its path, the preferred version of a group first."""
    if document.get("kind") == "APIVersions":
        for version in document.get("versions") or ():
            if _SEGMENT.fullmatch(str(version)):
                yield str(version), f"/api/{version}"
        return
    for group in document.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("groupVersion")
        served = [version.get("groupVersion") for version in group.get("versions") or ()]
        for group_version in sorted(served, key=lambda served_version: served_version != preferred):
            if all(_SEGMENT.fullmatch(part) for part in str(group_version).split("/")):
                yield str(group_version), f"/apis/{group_version}"
