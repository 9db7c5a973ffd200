"""All clusters that a klepaas can reach: the contexts of its kubeconfig, each opened on first use."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import anyio.to_thread

from klepaas.errors import KlepaasError, TimedOut
from klepaas.host import Host
from klepaas.resilience import Upstreams, UpstreamState, gather
from klepaas.store.identities import Identities
from klepaas_plugins.kubernetes.client import credentials
from klepaas_plugins.kubernetes.client.cluster import Cluster
from klepaas_plugins.kubernetes.client.identities import names_of
from klepaas_plugins.kubernetes.client.kubeconfig import SERVICE_ACCOUNT_DIR, Entry, Kubeconfig, Merged
from klepaas_plugins.kubernetes.client.models import ContextInfo
from klepaas_plugins.kubernetes.client.recognition import Recognition
from klepaas_plugins.kubernetes.client.requests import Timeouts
from klepaas_plugins.kubernetes.settings import KubernetesSettings

if TYPE_CHECKING:
    from klepaas.operations.origin import ActingUser
    from klepaas_plugins.kubernetes.client.reviewing import Reviews
    from klepaas_plugins.kubernetes.client.transport import Transport

__all__ = ["Clusters"]

READING_TIMEOUT_S = 10.0
LOOK_AGAIN_S = 1.0
RETIRED_MAX = 8


@dataclass(frozen=True)
class _Open:
    """A cluster in use, what it was opened from, and the event loop that its connections belong to."""

    entry: Entry
    loop: Any
    cluster: Cluster
    transport: "Transport"


@dataclass(frozen=True)
class _Seen:
    """What the kubeconfig said, and when that was on which event loop's clock."""

    loop: Any
    at_s: float
    merged: Merged


class Clusters:
    """The contexts of the kubeconfig, or the pod's own cluster.

    Args:
        settings: Where the kubeconfig is, and the defaults. None: from the environment.
        kubeconfig: Reads it. None: as the settings say.
        upstreams: Where each context has its pipeline, `kubernetes/<context>`. None: nobody else sees them.
        remembered: Where it is kept which names mean one cluster. None: it is not kept.
    """

    def __init__(
        self,
        settings: KubernetesSettings | None = None,
        kubeconfig: Kubeconfig | None = None,
        upstreams: Upstreams | None = None,
        remembered: Identities | None = None,
    ) -> None:
        self.settings = settings or KubernetesSettings()
        self.kubeconfig = kubeconfig or Kubeconfig(self.settings, SERVICE_ACCOUNT_DIR)
        self._upstreams = upstreams or Upstreams()
        self._recognition = Recognition(remembered or Identities(None))
        self._reviews: Reviews | None = None
        self._open: dict[str, _Open] = {}
        self._retired: list[_Open] = []
        self._seen: _Seen | None = None

    @classmethod
    def of(cls, host: Host) -> "Clusters":
        """The clusters that every plugin of one host shares."""
        return host.service(cls, lambda host: cls(upstreams=Upstreams.of(host), remembered=Identities.of(host)))

    def contexts(self) -> list[ContextInfo]:
        """The contexts that can be asked for. Reads files that have changed; touches no network.

        Raises:
            NotFound: There is no kubeconfig.
            BadRequest: It cannot be read.
        """
        return self.kubeconfig.merged().infos()

    async def known(self) -> list[ContextInfo]:
        """The same, without holding up the event loop while files are read.

        Raises:
            NotFound: There is no kubeconfig.
            BadRequest: It cannot be read.
            TimedOut: It took too long to read.
        """
        return (await self._merged()).infos()

    async def cluster(self, context: str | None = None) -> Cluster:
        """The cluster of a context. Touches no network: credentials are loaded with the first request.

        Args:
            context: The context's name. None: the default one.

        Raises:
            NotFound: There is no such context, or no kubeconfig; known contexts are named.
            BadRequest: The kubeconfig or the context is broken.
            Forbidden: The context names a program that klepaas does not run.
        """
        entry = (await self._merged()).entry(context)
        loop = anyio.lowlevel.current_token()
        known = self._open.get(entry.context)
        if known is not None and known.entry == entry and known.loop == loop:
            return known.cluster
        credentials.check_before_loading(entry, self.settings.exec_plugins)
        opened = self._new(entry)
        self._open[entry.context] = opened
        if known is not None and known.loop == loop:
            await self._retire(known)
        return opened.cluster

    async def identity(self, context: str | None = None) -> str:
        """What names the cluster itself: the same for every context, process and machine that means the same one.

        Args:
            context: The context's name. None: the default one.

        Returns:
            The oldest name that was seen with the digest of its address and authority. Touches no network.

        Raises:
            NotFound: There is no such context, or no kubeconfig.
            BadRequest: The context is broken, or the file of its authority cannot be read.
            StoreUnavailable: What was seen cannot be read.
        """
        return (await self.identities(context))[0]

    async def identities(self, context: str | None = None) -> tuple[str, ...]:
        """Every name under which the cluster is known, the one that stands for all first; see `identity`."""
        return await self._recognition.group(await self._names(context))

    async def observe_identity(self, context: str | None, namespace: str | None) -> str:
        """The same as `identity`, after asking the cluster: for what is about to be changed.

        Args:
            context: The context's name. None: the default one.
            namespace: The namespace that is to be changed. None: none is.

        Raises:
            KlepaasError: As for `identity`. A cluster that does not answer is no error.
            StoreUnavailable: What was seen cannot be put on record.
        """
        names = await self._names(context)
        return await self._recognition.observe(await self.cluster(context), names, namespace)

    async def acting_user(self, context: str | None = None) -> "ActingUser | None":
        """Whom the cluster of a context takes this process for.

        Args:
            context: The context's name. None: the default one.

        Returns:
            The user and the groups. None: the API server does not tell its clients.

        Raises:
            KlepaasError: As for `cluster`, or it gave no answer.
        """
        from klepaas_plugins.kubernetes.client.reviewing import Reviews

        if self._reviews is None:
            self._reviews = Reviews()
        cluster = await self.cluster(context)
        return await self._reviews.ask(self._open[cluster.context].transport, cluster.context)

    async def guarded_aliases(
        self, context: str, namespace: str | None, guards: Callable[[str], bool]
    ) -> Sequence[str]:
        """The other contexts that lead to the same cluster, of those that rules are about.

        Args:
            context: A context's name; one that is no cluster's has none.
            namespace: The namespace that is to be changed. None: none is.
            guards: Whether a rule is about a context.
        """
        try:
            others = [info.name for info in await self.known() if info.name != context and guards(info.name)]
        except KlepaasError:
            # Without a kubeconfig the target is no cluster of ours; a call that needs one says so itself.
            return ()
        found: list[str] = []
        await gather(*[partial(self._add_alias, context, other, namespace, found) for other in others])
        return sorted(found)

    async def _add_alias(self, context: str, other: str, namespace: str | None, found: list[str]) -> None:
        with suppress(KlepaasError):
            one = (await self.cluster(context), await self._names(context))
            if await self._recognition.is_same(one, (await self.cluster(other), await self._names(other)), namespace):
                found.append(other)

    async def _names(self, context: str | None) -> tuple[str, ...]:
        entry = (await self._merged()).entry(context)
        return await anyio.to_thread.run_sync(names_of, entry, abandon_on_cancel=True)

    def state(self, context: str) -> UpstreamState | None:
        """How a context's API server has been lately, without asking it. None: it was not asked yet.

        Args:
            context: The context's name.
        """
        opened = self._open.get(context)
        return opened.transport.state if opened is not None else None

    async def aclose(self) -> None:
        """Close every cluster of this event loop; the sockets of another loop ended with it."""
        loop = anyio.lowlevel.current_token()
        everything = [*self._open.values(), *self._retired]
        self._open, self._retired = {}, []
        for opened in everything:
            if opened.loop == loop:
                await opened.cluster.aclose()

    async def _merged(self) -> Merged:
        """What the kubeconfig says, looked at again after a second: a thread for each call would cost more than it."""
        now = (anyio.lowlevel.current_token(), anyio.current_time())
        if self._seen is not None and self._seen.loop == now[0] and now[1] - self._seen.at_s < LOOK_AGAIN_S:
            return self._seen.merged
        try:
            with anyio.fail_after(READING_TIMEOUT_S):
                merged = await anyio.to_thread.run_sync(self.kubeconfig.merged, abandon_on_cancel=True)
        except TimeoutError:
            raise TimedOut(f"The kubeconfig took longer than {READING_TIMEOUT_S:.0f} s to read") from None
        self._seen = _Seen(*now, merged)
        return merged

    async def _retire(self, opened: _Open) -> None:
        """Let those who still use a cluster of an older kubeconfig finish; the last few are kept to be closed."""
        self._retired = [*self._retired[-RETIRED_MAX + 1 :], opened]
        await opened.transport.retire()

    def _new(self, entry: Entry) -> _Open:
        # The HTTP library is loaded with the first cluster that is asked for, not with the plugin.
        from klepaas_plugins.kubernetes.client.transport import Transport, judge

        settings = self.settings
        timeouts = Timeouts(settings.connect_timeout_s, settings.read_timeout_s)
        upstream = self._upstreams.get(f"kubernetes/{entry.context}", timeouts.policy, judge)
        load = partial(credentials.load, entry, settings.exec_plugins)
        transport = Transport(entry.context, load, timeouts, upstream)
        cluster = Cluster(entry.context, entry.namespace, transport)
        return _Open(entry, anyio.lowlevel.current_token(), cluster, transport)
