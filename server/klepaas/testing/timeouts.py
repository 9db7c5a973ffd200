"""Time limits of tests: scaled for machines that are slow or loaded.

    with anyio.fail_after(scale_timeout(5)):
        await ended.wait()

A limit that guards against a hang costs nothing while the test passes, so it is generous: a test that fails because
another program had the processor says nothing about klepaas.
"""

import os

SCALE_VARIABLE = "KLEPAAS_TEST_TIMEOUT_SCALE"
# A machine four times slower than the one on which the limits were chosen.
DEFAULT_SCALE = 4.0
# Below this a limit measures how busy the machine is.
MIN_TIMEOUT_S = 5.0


def timeout_scale() -> float:
    """The factor of all limits: KLEPAAS_TEST_TIMEOUT_SCALE, by default 4.

    Raises:
        ValueError: The variable holds something else than a number above 0.
    """
    text = os.environ.get(SCALE_VARIABLE) or str(DEFAULT_SCALE)
    scale = float(text)
    if not 0 < scale < float("inf"):
        raise ValueError(f"{SCALE_VARIABLE}={text}: a number above 0 is expected")
    return scale


def scale_timeout(seconds: float) -> float:
    """The limit in seconds after which a test gives up on something that hangs.

    Args:
        seconds: What is ample on an idle machine; less than 5 s counts as 5 s.

    Returns:
        That many seconds times KLEPAAS_TEST_TIMEOUT_SCALE, by default 4.
    """
    return max(seconds, MIN_TIMEOUT_S) * timeout_scale()


def time_budget(seconds: float, reason: str) -> float:
    """The most seconds that something may take, where its speed is what the test asserts.

    Args:
        seconds: What is promised on an idle machine.
        reason: What would take longer if the promise were broken; for whoever reads the test.

    Returns:
        That many seconds times KLEPAAS_TEST_TIMEOUT_SCALE, by default 4: a promise that is broken is broken by more.

    Raises:
        ValueError: There is no reason.
    """
    if not reason.strip():
        raise ValueError("a time budget needs the reason why the time is the promise")
    return seconds * timeout_scale()
