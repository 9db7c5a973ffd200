"""What the pipeline tells about itself; `klepaas.metrics` counts it."""

from typing import Protocol

from klepaas.resilience.breaker import State
from klepaas.resilience.classify import Kind

__all__ = ["Observer", "Unobserved"]


class Observer(Protocol):
    """Whoever counts. Its methods return at once and raise nothing."""

    def attempted(self, upstream: str, kind: Kind, latency_s: float) -> None:
        """An attempt came to an end; one that its caller cancelled is not told."""
        ...

    def failed(self, upstream: str, kind: str) -> None:
        """A call ended in an error of this kind."""
        ...

    def changed(self, upstream: str, old: State, new: State) -> None:
        """The breaker changed its state."""
        ...

    def appeared(self, upstream: str) -> None:
        """There is such an upstream now."""
        ...


class Unobserved:
    """Counts nothing."""

    def attempted(self, upstream: str, kind: Kind, latency_s: float) -> None:
        """Count nothing."""

    def failed(self, upstream: str, kind: str) -> None:
        """Count nothing."""

    def changed(self, upstream: str, old: State, new: State) -> None:
        """Count nothing."""

    def appeared(self, upstream: str) -> None:
        """Count nothing."""
