"""Named points at which a test makes this process fail, hang or die; without that they cost one comparison.

    KLEPAAS_TEST_FAILPOINTS="after_effect@apply=kill,before_done=raise#2"    point[@step]=action[#nth time]

The variable is the only way in from outside, and nothing but tests sets it. Actions: raise, hang, exit, kill. Code of a
test arms the same points with `armed`, also with a function of its own.
"""

import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

__all__ = ["LOOK_POINTS", "POINTS", "VARIABLE", "Failpoint", "InjectedFailure", "armed", "reach"]

VARIABLE = "KLEPAAS_TEST_FAILPOINTS"
POINTS = (
    "after_submit",
    "after_claim",
    "during_recovery",
    "before_intent",
    "after_intent",
    "before_effect",
    "after_effect",
    "before_done",
    "after_done",
    "before_tidy",
    "before_outcome",
    "after_outcome",
)
# Of a change that is decided by what is there: after each look, around each write, before its end is on record.
LOOK_POINTS = ("observed", "before_write", "after_write", "before_record")
_EXIT_CODE = 137


class InjectedFailure(BaseException):
    """The process is to be thought dead at this point: no code of ours may catch it and go on."""


@dataclass
class Failpoint:
    """What happens at a point.

    Attributes:
        point: The point.
        action: "raise", "hang", "exit", "kill", or a function, which is awaited.
        step: Only at this step. None: at any.
        nth: Only at the so-manieth time, from 1 on.
        only: Only where this says so. None: everywhere.
        reached: How often it was reached.
    """

    point: str
    action: "str | Callable[[], Awaitable[None]]"
    step: str | None = None
    nth: int = 1
    only: "Callable[[], bool] | None" = None
    reached: int = 0

    def __post_init__(self) -> None:
        if self.point not in (known := (*POINTS, *LOOK_POINTS)):
            raise ValueError(f"{self.point!r} is no failpoint; there are {', '.join(known)}")
        if isinstance(self.action, str) and self.action not in ("raise", "hang", "exit", "kill"):
            raise ValueError(f"{self.action!r} is no action of a failpoint")

    def is_at(self, point: str, step: str | None) -> bool:
        """Whether the work is at this point now."""
        return self.point == point and self.step in (None, step) and (self.only is None or self.only())

    async def fire(self) -> None:
        """Do what is to happen here."""
        if not isinstance(self.action, str):
            await self.action()
        elif self.action == "raise":
            raise InjectedFailure(self.point)
        elif self.action == "hang":
            await anyio.sleep_forever()
        elif self.action == "exit":
            os._exit(_EXIT_CODE)
        else:
            os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            threading.Event().wait()


def _parsed(text: str) -> list[Failpoint]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        place, _, action = part.partition("=")
        point, _, step = place.partition("@")
        action, _, nth = action.partition("#")
        found.append(Failpoint(point, action, step or None, int(nth or 1)))
    return found


_armed: list[Failpoint] | None = _parsed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


async def reach(point: str, step: str | None = None) -> None:
    """The work has come to a point.

    Args:
        point: Which.
        step: The step at hand. None: none is.
    """
    if _armed is None:
        return
    for failpoint in list(_armed):
        if failpoint.is_at(point, step):
            failpoint.reached += 1
            if failpoint.reached == failpoint.nth:
                await failpoint.fire()


@contextmanager
def armed(*failpoints: Failpoint) -> Iterator[None]:
    """Arm points while inside; for tests.

    Args:
        failpoints: What happens where.
    """
    global _armed
    before, _armed = _armed, list(failpoints)
    try:
        yield
    finally:
        _armed = before
