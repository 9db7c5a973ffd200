"""Whether any operation may wait in a SQLite store: a look with the standard library alone.

A server that has nothing to do looks every second; it must not load the database library for that.
"""

from contextlib import closing
from pathlib import Path

__all__ = ["any_may_wait"]

_QUESTION = "SELECT 1 FROM operations WHERE state IN ('pending', 'running') LIMIT 1"


def any_may_wait(path: Path) -> bool:
    """Whether there are operations that have not ended; where the file cannot be asked, whoever opens it will say why.

    Args:
        path: The file.
    """
    if not path.exists():
        return False
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as store:
            return store.execute(_QUESTION).fetchone() is not None
    except sqlite3.Error as exc:
        return "no such table" not in str(exc)
