"""How much is thrown at the server, and what its process costs."""

import os
from pathlib import Path

import pytest

SEED = int(os.environ.get("KLEPAAS_TEST_SEED", "20261121"))


@pytest.fixture(scope="session")
def is_soak() -> bool:
    """Whether the full numbers are wanted, as `make soak` does."""
    return os.environ.get("KLEPAAS_TEST_SOAK") == "1"


def rss_bytes(pid: int) -> int:
    """The memory that a process holds, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    """How many files, sockets included, a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
