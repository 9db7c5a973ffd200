"""The documentation ships with the sources, and not with what is installed."""

from collections.abc import Iterable

from hatchling.builders.plugin.interface import IncludedFile
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from .blocks import PAGES, ROOT


def _names(files: Iterable[IncludedFile]) -> set[str]:
    return {file.relative_path for file in files}


def test_the_sources_have_every_page_and_what_builds_the_site() -> None:
    shipped = _names(SdistBuilder(str(ROOT)).recurse_included_files())
    assert {*PAGES, "mkdocs.yml", "docs/site_hooks.py", "docs/images/architecture.svg"} - shipped == set()


def test_the_wheel_has_none() -> None:
    shipped = _names(WheelBuilder(str(ROOT)).recurse_included_files())
    assert "server/klepaas/__init__.py" in shipped
    assert {name for name in shipped if name.startswith(("docs/", "tests/", "examples/", "build/", "mkdocs"))} == set()
