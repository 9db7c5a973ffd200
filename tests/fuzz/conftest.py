"""How much is thrown at the server, and what its process costs."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

# A leak of a few bytes per line is what the measurement itself finds; it goes on after the warm-up.
WARM_UP_ROUNDS_MAX = 5
SETTLED_BYTES = 1024 * 1024
SEED = int(os.environ.get("KLEPAAS_TEST_SEED", "20261121"))


@pytest.fixture(scope="session")
def is_soak() -> bool:
    """Whether the full numbers are wanted, as `make soak` does."""
    return os.environ.get("KLEPAAS_TEST_SOAK") == "1"


def rss_bytes(pid: int) -> int:
    """The memory that a process holds, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def settled_rss_bytes(pid: int, attack: Callable[[], Awaitable[None]]) -> int:
    """The memory that a process holds once a round of the attack adds little: some is loaded after the start.

    Args:
        pid: The process.
        attack: One round.
    """
    held = rss_bytes(pid)
    for _ in range(WARM_UP_ROUNDS_MAX):
        await attack()
        before, held = held, rss_bytes(pid)
        if held - before < SETTLED_BYTES:
            break
    return held


def open_files(pid: int) -> int:
    """How many files, sockets included, a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
