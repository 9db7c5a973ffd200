"""How long leases last and how often this process looks, in one place, so that tests can be quick."""

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True)
class Timing:
    """Times, in seconds.

    Attributes:
        lease_s: How long an operation is held without a sign of life. What a crash leaves waits as long.
        heartbeat_s: How often a sign of life is given.
        look_s: How often it is looked whether something waits.
        first_look_s: When that begins after the start: what a client asks first goes before.
        stop_grace_s: What a step that is under way gets when the server stops.
        conclude_s: How long an outcome is tried to be put on record where the store fails.
    """

    lease_s: float = 3.0
    heartbeat_s: float = 0.75
    look_s: float = 1.0
    first_look_s: float = 0.25
    stop_grace_s: float = 3.5
    conclude_s: float = 60.0
