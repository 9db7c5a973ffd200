"""The alerts that fire: from everybody who knows, each once, the gravest first, whoever fails."""

from collections.abc import Sequence

import anyio
import pytest

from klepaas.errors import Unavailable
from klepaas.firing import FiringAlert, FiringAlerts
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


def alert(name: str, severity: str = "warning", *, silenced: bool = False, **labels: str) -> FiringAlert:
    return FiringAlert(name, severity, {"alertname": name, **labels}, 100.0, silenced=silenced)


async def test_each_alert_is_told_once_and_the_gravest_first() -> None:
    firing = FiringAlerts()
    assert not firing.known

    async def rules() -> Sequence[FiringAlert]:
        return [alert("Slow", pod="a"), alert("Slow", pod="b"), alert("Down", "critical"), alert("Noise")]

    async def manager() -> Sequence[FiringAlert]:
        return [alert("Slow", pod="a", region="eu"), alert("Noise", silenced=True), alert("Odd", "info")]

    firing.contribute("prometheus", rules)
    firing.contribute("alertmanager", manager)
    found = await firing.now()
    told = [(one.name, one.labels.get("pod"), one.silenced) for one in found.alerts]
    assert told == [
        ("Down", None, False),
        ("Slow", "a", False),
        ("Slow", "b", False),
        ("Odd", None, False),
        ("Noise", None, True),
    ]
    assert found.silent == {}


async def test_who_fails_or_hangs_is_named_and_hides_nobody() -> None:
    firing = FiringAlerts()

    async def hangs() -> Sequence[FiringAlert]:
        await anyio.sleep_forever()
        return []

    async def is_down() -> Sequence[FiringAlert]:
        raise Unavailable("Cannot ask it", next_step="Wait")

    async def is_wrong() -> Sequence[FiringAlert]:
        raise ValueError("password=hunter2hunter2")

    async def works() -> Sequence[FiringAlert]:
        return [alert("Down")]

    for ask in (hangs, is_down, is_wrong, works):
        firing.contribute(ask.__name__, ask)
    with anyio.fail_after(scale_timeout(5)):
        found = await firing.now(limit_s=0.1)
    assert [one.name for one in found.alerts] == ["Down"]
    assert found.silent == {"hangs": "no answer within 0.1 s", "is_down": "Cannot ask it", "is_wrong": "it failed"}
