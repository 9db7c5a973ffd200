"""The sets of sets.toml that lie in a folder, and what kubectl says of one."""

import os
import subprocess
import tomllib
from pathlib import Path

__all__ = ["LISTED", "found_sets", "try_kubectl"]

LISTED = Path(__file__).with_name("sets.toml")
_LIMIT_S = 600


def found_sets(folder: Path, only: str | None = None) -> list[tuple[str, Path]]:
    """Name and folder of each listed set that is there.

    Args:
        folder: Where the sets lie.
        only: The one that is wanted. None: all.
    """
    names = tomllib.loads(LISTED.read_text())["sets"]
    return [(name, folder / name) for name in names if (folder / name).is_dir() and only in (None, name)]


def try_kubectl(kubectl: str, kubeconfig: Path, files: Path) -> str:
    """What kubectl says of a set: "ok", or its first error.

    Args:
        kubectl: The program.
        kubeconfig: Of the cluster.
        files: The set.
    """
    words = [kubectl, "apply", "--server-side", "--dry-run=server", "-R", "-f", str(files)]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Warning:")]
    return "ok" if done.returncode == 0 else (lines or ["failed"])[0]
