"""What is promised to authors of plugins is there, public, and free of names that are only ours."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
MODULES = sorted(set(re.findall(r"`(klepaas\.[a-z.]+|klepaas_plugins\.[a-z.]+client)`", PAGE.read_text())))


def test_the_page_promises_modules() -> None:
    assert {"klepaas.hookspecs", "klepaas.testing", "klepaas_plugins.kubernetes.client"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_is_promised_says_what_is_public(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__all__
    assert [name for name in loaded.__all__ if name.startswith("_") or not hasattr(loaded, name)] == []


def test_examples_and_new_plugins_use_only_what_is_promised() -> None:
    root = PAGE.parents[1]
    sources = [*root.glob("examples/external-plugin/**/*.py"), *root.glob("server/klepaas/scaffold/template/**/*.in")]
    used = {
        module
        for path in sources
        for module in re.findall(r"^\s*from (klepaas(?:\.\w+)+) import", path.read_text(), re.MULTILINE)
    }
    # Tests of plugins name the type of a server, and ask doctor.
    assert used - set(MODULES) <= {"klepaas.app", "klepaas.doctor"}
    assert len(sources) > 8
