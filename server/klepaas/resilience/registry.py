"""The upstreams of one server: each name has one pipeline, whoever asks, and all can be looked at together."""

from klepaas.clocks import Clocks
from klepaas.host import Host
from klepaas.metrics import Metrics
from klepaas.notifications import Notifications
from klepaas.resilience.classify import Classifier, classify
from klepaas.resilience.clock import Clock
from klepaas.resilience.observer import Observer
from klepaas.resilience.pipeline import Upstream, UpstreamState
from klepaas.resilience.policy import Policy
from klepaas.resilience.telling import TellingObserver

__all__ = ["Upstreams"]


class Upstreams:
    """A host's upstreams, a service that plugins share.

    Args:
        observer: Whoever counts. None: nobody.
        clock: The time they go by. None: the machine's.
        clocks: Whoever compares clocks. None: nobody.
    """

    def __init__(
        self, observer: Observer | None = None, clock: Clock | None = None, clocks: Clocks | None = None
    ) -> None:
        self._observer = observer
        self._clocks = clocks
        self._clock = clock
        self._upstreams: dict[str, Upstream] = {}

    @classmethod
    def of(cls, host: Host) -> "Upstreams":
        """The host's own."""
        return host.service(cls, lambda host: cls(_observer(host), clocks=Clocks.of(host)))

    def get(self, name: str, policy: Policy | None = None, classify: Classifier = classify) -> Upstream:
        """The upstream of this name, made on first use.

        Args:
            name: Its name: the kind and, where there are several, which: "kubernetes/prod". Never a tool's argument.
            policy: Its limits. None: those it has, or the defaults.
            classify: Judges its attempts; counts on first use.

        Raises:
            ValueError: It is there already, with other limits.
        """
        upstream = self._upstreams.get(name)
        if upstream is None:
            upstream = Upstream(name, policy, classify, self._clock, self._observer, self._clocks)
            self._upstreams[name] = upstream
        elif policy is not None and policy != upstream.policy:
            raise ValueError(f"the upstream {name} is there already, with other limits")
        return upstream

    def snapshot(self) -> list[UpstreamState]:
        """How each is now, by name."""
        return [self._upstreams[name].snapshot() for name in sorted(self._upstreams)]


def _observer(host: Host) -> Observer:
    return TellingObserver(Metrics.of(host).external, Notifications.of(host))
