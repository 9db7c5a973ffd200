"""A test that takes too long fails alone: the parallel run goes on."""

import subprocess
import sys
import tomllib
from pathlib import Path

from klepaas.testing import scale_timeout

ROOT = Path(__file__).parents[2]
_CONFTEST = """
import time
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    if item.name == "test_slow_in_a_hook":
        time.sleep(1.5)
    return (yield)
"""
_TESTS = """
import time

def test_slow(): time.sleep(30)
def test_slow_in_a_hook(): pass
""" + "".join(f"def test_{number}(): pass\n" for number in range(6))


def test_one_slow_test_fails_alone_and_the_run_goes_on(tmp_path: Path) -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\ntimeout_func_only = {options['timeout_func_only']}\n")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_many.py").write_text(_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-o", "timeout=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=scale_timeout(60))
    assert "1 failed, 7 passed" in done.stdout, done.stdout + done.stderr


def test_no_test_has_less_than_four_times_a_minute() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["timeout"] >= 240
