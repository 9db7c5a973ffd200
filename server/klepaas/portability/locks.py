"""A lock between processes: a file of its own beside what it guards, held through `filelock`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from klepaas.portability import files

__all__ = ["hold"]

_POLL_S = 0.01


@contextmanager
def hold(path: Path, limit_s: float) -> Iterator[None]:
    """Hold a lock while inside. It blocks, so call it in a thread; a process that dies lets go.

    Args:
        path: The lock's file, made where there is none. Nothing else may be in it: on Windows nobody else can read it.
        limit_s: How long to wait for another holder, in seconds.

    Raises:
        TimeoutError: Another one has held it all the time.
        OSError: The file cannot be made or locked.
    """
    from filelock import FileLock

    files.make_private_folder(path.parent)
    with FileLock(path, timeout=limit_s, mode=0o600, poll_interval=_POLL_S, thread_local=False):
        yield
