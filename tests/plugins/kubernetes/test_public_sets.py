"""Public sets of manifests: applied, applied again, read back and deleted, where somebody has fetched them.

`KLEPAAS_MANIFEST_SETS` names the folder; bench/manifests/sets.toml lists what belongs in it, and nothing of it is
part of the project.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

_ROOT = Path(__file__).parents[3]
_FOLDER = os.environ.get("KLEPAAS_MANIFEST_SETS", "")
_SETS = tomllib.loads((_ROOT / "bench" / "manifests" / "sets.toml").read_text())["sets"]


def test_at_least_thirty_sets_are_listed_each_with_the_commit_that_it_was_tried_with() -> None:
    assert len(_SETS) >= 30
    for name, one in _SETS.items():
        assert len(one["commit"]) == 40, name
        assert one["repository"].count("/") == 1, name
        assert one["files"], name


@pytest.mark.parametrize("name", _SETS)
def test_a_public_set_is_applied_twice_read_back_and_deleted(name: str) -> None:
    if not _FOLDER or not (Path(_FOLDER) / name).is_dir():
        pytest.skip(f"KLEPAAS_MANIFEST_SETS names no folder that holds {name}: this public set was not tried")
    words = [sys.executable, "-m", "bench.manifests", _FOLDER, "--only", name]
    done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, timeout=scale_timeout(300), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
