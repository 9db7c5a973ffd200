"""What is counted about operations, in the form that Prometheus reads."""

from functools import cached_property
from typing import TYPE_CHECKING

from klepaas.metrics import BoundedLabel, Metrics

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge

    from klepaas.operations.leases import Census

__all__ = ["Numbers"]

_MOST_KINDS = 50


class Numbers:
    """The numbers of operations.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kind = BoundedLabel(_MOST_KINDS)

    @cached_property
    def _ended(self) -> "Counter":
        from prometheus_client import Counter

        return Counter(
            "klepaas_operations_total",
            "Operations that ended here",
            ["kind", "state"],
            registry=self._metrics.registry,
        )

    @cached_property
    def _under_way(self) -> "tuple[Gauge, Gauge, Gauge]":
        from prometheus_client import Gauge

        names = (
            ("klepaas_operations_running", "Operations in the store that have not ended"),
            ("klepaas_operations_oldest_running_seconds", "Age of the oldest of them"),
            ("klepaas_operations_stuck", "Operations that nobody has carried out for more than a minute"),
        )
        first, second, third = (Gauge(name, text, registry=self._metrics.registry) for name, text in names)
        return first, second, third

    def ended(self, kind: str, state: str) -> None:
        """An operation ended.

        Args:
            kind: Its kind.
            state: How.
        """
        self._ended.labels(self._kind(kind), state).inc()

    def counted(self, census: "Census") -> None:
        """So many are under way."""
        for gauge, value in zip(self._under_way, (census.open, census.oldest_s, census.stuck), strict=True):
            gauge.set(value)
