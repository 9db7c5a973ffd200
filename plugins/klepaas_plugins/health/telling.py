"""Health in words: all components at a glance, and one with its history. It asks nobody."""

import time
from collections.abc import Sequence

from klepaas import __version__
from klepaas.health import Change, ComponentHealth, Look
from klepaas.hookspecs import HealthStatus
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.verdict import Verdict

__all__ = ["age", "all_of_them", "availability", "one_of_them"]

_GRAVITY = {HealthStatus.UNHEALTHY: 0, HealthStatus.DEGRADED: 1, HealthStatus.OK: 2}
_MOST_CHANGES = 12
_NOT_CHECKED = ("applications in clusters",)


def all_of_them(found: Sequence[ComponentHealth], missing_plugins: Sequence[str], up_s: float, mode: str) -> Answer:
    """The answer of check_system_health: what is ill first, what is well in one line.

    Args:
        found: The components.
        missing_plugins: What is to be said of plugins that must be there and are not.
        up_s: How long this server has been up, in seconds.
        mode: The server's mode.
    """
    now = time.time()
    status = _overall(found, missing_plugins)
    ill = sorted((one for one in found if one.status is not HealthStatus.OK), key=lambda one: _GRAVITY[one.status])
    well = [one for one in found if one.status is HealthStatus.OK]
    lines = [
        f"{status.value}: {len(well)} of {len(found)} components ok; klepaas {__version__}, {mode}, up {age(up_s)}",
        *(f"unhealthy: {text}" for text in missing_plugins),
    ]
    if ill:
        rows = [[one.status.value, one.component, _ms(one.latency_s), age(now - one.since), one.reason] for one in ill]
        lines.append(table(["STATUS", "COMPONENT", "LATENCY", "SINCE", "REASON"], rows))
    if well:
        lines.append("ok: " + ", ".join(f"{one.component} {_ms(one.latency_s)}" for one in well))
    looked = Verdict(
        observed=(f"{len(found)} components of klepaas",) if found else (),
        not_checked=_NOT_CHECKED,
        at=min((one.at for one in found), default=now),
    )
    lines.append(looked.basis())
    return Answer(fit("\n".join(lines), LIST_BYTES, "check_component_health tells of one"))


def one_of_them(found: ComponentHealth, looks: Sequence[Look], changes: Sequence[Change]) -> Answer:
    """The answer of check_component_health.

    Args:
        found: The component.
        looks: The looks at it in this process, oldest first.
        changes: The changes of its status, newest first.
    """
    now = time.time()
    needed = "required" if found.required else "klepaas serves without it"
    lines = [
        f"{found.component} is {found.status.value}: {found.reason}",
        f"Answered in {_ms(found.latency_s)}; so since {age(now - found.since)}; {needed}.",
    ]
    share = availability(looks)
    if len(looks) > 1 and share is not None:
        lines.append(f"ok in {100 * share:.0f}% of {len(looks)} looks in {age(now - looks[0].at)}")
    if changes:
        lines.append("Changes, newest first:")
        lines += [f"  {age(now - one.at)} ago: {one.status.value}, {one.reason}" for one in changes[:_MOST_CHANGES]]
    lines.append(Verdict(observed=(found.component,), not_checked=_NOT_CHECKED, at=found.at).basis())
    return Answer("\n".join(lines))


def availability(looks: Sequence[Look]) -> float | None:
    """The part of the looks that found a component ok. None: nobody has looked."""
    return sum(one.status is HealthStatus.OK for one in looks) / len(looks) if looks else None


def age(seconds: float) -> str:
    """How long, in the one unit that tells."""
    seconds = max(0.0, seconds)
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f}{unit}"
    return f"{seconds:.0f}s"


def _overall(found: Sequence[ComponentHealth], missing_plugins: Sequence[str]) -> HealthStatus:
    """As `/readyz` says it: unhealthy is "not ready"."""
    if missing_plugins or any(one.required and one.status is HealthStatus.UNHEALTHY for one in found):
        return HealthStatus.UNHEALTHY
    is_well = bool(found) and all(one.status is HealthStatus.OK for one in found)
    return HealthStatus.OK if is_well else HealthStatus.DEGRADED


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms"
