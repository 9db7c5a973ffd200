"""The machine's time, turned by hand: what sleeps or has a limit wakes as soon as its moment is passed.

Only what reads the clocks of `time` sees it: the event loop, klepaas, the sandbox. The time that passes by itself still
passes, so nothing has to be woken by hand.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Turning"]

_monotonic, _wall = time.monotonic, time.time


class Turning:
    """Both clocks of this process, set apart from the machine's."""

    def __init__(self) -> None:
        self.monotonic_s = self.wall_s = 0.0

    def turn(self, seconds: float) -> None:
        """So much time passes.

        Args:
            seconds: How much.
        """
        self.monotonic_s += seconds
        self.wall_s += seconds

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the clock.

        Args:
            seconds: By how much; below 0: back.
        """
        self.wall_s += seconds

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return _monotonic() + self.monotonic_s

    def wall(self) -> float:
        """As `time.time`."""
        return _wall() + self.wall_s

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Every reader of `time` sees these clocks while inside."""
        own: dict[Callable[[], float], Callable[[], float]] = {_monotonic: self.monotonic, _wall: self.wall}
        self._replace(own)
        try:
            yield
        finally:
            self._replace({mine: theirs for theirs, mine in own.items()})

    @staticmethod
    def _replace(clocks: dict[Callable[[], float], Callable[[], float]]) -> None:
        modules = [time, *(module for name, module in list(sys.modules.items()) if name.startswith("klepaas"))]
        for module in modules:
            for name, value in list(vars(module).items()):
                if name in ("monotonic", "time") and value in clocks:
                    setattr(module, name, clocks[value])
