"""Recognises clusters: asks them for the uids that name them, remembers these, and says which contexts lead to one.

A cluster is asked for a namespace once in a process, and for kube-system not at all where the store knows the answer.
What may not be read is no error: the other names stand. Nothing is asked before something is to be changed.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio

from klepaas.errors import Forbidden, KlepaasError, NotFound, TimedOut, Unauthorized
from klepaas.resilience import gather
from klepaas.store.errors import StoreUnavailable
from klepaas.store.identities import Identities
from klepaas_plugins.kubernetes.client import identities
from klepaas_plugins.kubernetes.client.models import Resource

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.cluster import Cluster

    Named = tuple[Cluster, tuple[str, ...]]

__all__ = ["Recognition"]

# A cluster that does not answer must not hold up more than this: the change itself will say what is wrong with it.
LIMIT_S = 3.0
# One that did not answer is not asked again for so long, in seconds.
PAUSE_S = 60.0
_KUBE_SYSTEM = "kube-system"
_NAMESPACES = Resource("", "v1", "Namespace", "namespaces", "namespace", ("ns",), False, frozenset({"get"}))
Names = tuple[str, ...]


class Recognition:
    """What one process knows of its clusters.

    Args:
        remembered: What was seen before, by anybody who shares the store.
    """

    def __init__(self, remembered: Identities) -> None:
        self._remembered = remembered
        self._asked: dict[str, str | None] = {}
        self._seen: dict[str, set[str]] = {}
        self._namespaces: dict[tuple[str, str], str] = {}
        self._silent_until_s: dict[str, float] = {}

    async def group(self, names: Names) -> Names:
        """Every known name of a cluster, the one that stands for all first. Touches no network.

        Args:
            names: Its names by its address, the best first.
        """
        if len(names) > 1 and self._remembered.exist:
            # A store of an older klepaas may know it by another spelling.
            with suppress(StoreUnavailable):
                await self._remembered.join(names)
        return await self._remembered.group(names)

    async def observe(self, cluster: "Cluster", names: Names, namespace: str | None) -> str:
        """Ask a cluster for what names it, and put on record what was seen together.

        Args:
            cluster: The cluster.
            names: Its names by its address, the best first.
            namespace: A namespace that is to be changed. None: none is.

        Returns:
            The name that stands for all.

        Raises:
            StoreUnavailable: That cannot be put on record.
        """
        return await self._remembered.join(await self._names_seen(cluster, names, namespace))

    async def is_same(self, one: "Named", other: "Named", namespace: str | None) -> bool:
        """Whether two contexts lead to one cluster, as far as can be found out.

        Args:
            one: A context's cluster, and its names by its address.
            other: Another's.
            namespace: A namespace that may tell where kube-system may not be read. None: none.
        """
        first, second = set(await self._known(one[1])), set(await self._known(other[1]))
        if first & second:
            return True
        if _has_uid(first) and _has_uid(second):
            return False
        looks = [partial(self._look, *named, namespace, known) for named, known in ((one, first), (other, second))]
        await gather(*looks)
        return bool(first & second)

    async def _look(self, cluster: "Cluster", names: Names, namespace: str | None, known: set[str]) -> None:
        now = anyio.current_time()
        if now < self._silent_until_s.get(names[0], 0.0):
            return
        seen = await self._names_seen(cluster, names, namespace)
        if len(seen) == len(names) and names[0] not in self._asked:
            self._silent_until_s[names[0]] = now + PAUSE_S
            return
        known.update(seen)
        with suppress(StoreUnavailable):
            await self._remembered.join(seen)

    async def _known(self, names: Names) -> Sequence[str]:
        found: Names = names
        with suppress(StoreUnavailable):
            found = await self._remembered.group(names)
        return [*found, *self._seen.get(names[0], ())]

    async def _names_seen(self, cluster: "Cluster", names: Names, namespace: str | None) -> Names:
        found: set[str] = set()
        asks: list[Callable[[], Awaitable[None]]] = [partial(self._ask_for_kube_system, cluster, names, found)]
        if namespace is not None:
            asks.append(partial(self._ask_for, cluster, names, namespace, found))
        await gather(*asks)
        self._seen.setdefault(names[0], set()).update(found)
        return (*names, *sorted(found))

    async def _ask_for_kube_system(self, cluster: "Cluster", names: Names, found: set[str]) -> None:
        if names[0] not in self._asked:
            known = [name for name in await self._known(names) if name.startswith(identities.CLUSTER)]
            if known:
                self._asked[names[0]] = known[0]
            else:
                with suppress(KlepaasError):
                    self._asked[names[0]] = await _in_time(lambda: _read(cluster, _KUBE_SYSTEM, identities.of_cluster))
        name = self._asked.get(names[0])
        if name is not None:
            found.add(name)

    async def _ask_for(self, cluster: "Cluster", names: Names, namespace: str, found: set[str]) -> None:
        """What a namespace names a cluster; one that was deleted since has named it all the same."""
        key = (names[0], namespace)
        if key not in self._namespaces:
            with suppress(KlepaasError):
                name = await _in_time(lambda: _read(cluster, namespace, identities.of_namespace))
                if name is not None:
                    self._namespaces[key] = name
        if key in self._namespaces:
            found.add(self._namespaces[key])


async def _in_time(ask: Callable[[], Awaitable[str | None]]) -> str | None:
    """What is answered.

    Raises:
        KlepaasError: There was no answer, or none in time.
    """
    try:
        with anyio.fail_after(LIMIT_S):
            return await ask()
    except TimeoutError as exc:
        raise TimedOut("The cluster did not say in time what its namespaces are") from exc


async def _read(cluster: "Cluster", namespace: str, name_by: Callable[[dict[str, object]], str | None]) -> str | None:
    """The name that a namespace gives. None: it may not be read, or is not there."""
    try:
        return name_by(await cluster.get(_NAMESPACES, namespace, None))
    except (Forbidden, NotFound, Unauthorized):
        return None


def _has_uid(names: set[str]) -> bool:
    return any(name.startswith(identities.CLUSTER) for name in names)
