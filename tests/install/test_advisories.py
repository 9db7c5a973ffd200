"""No package is needed, pinned or installed in a version with a hole that is on the list."""

import re
import tomllib
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
DOCUMENT = tomllib.loads((Path(__file__).parent / "advisories.toml").read_text(encoding="utf-8"))
CLOSED = {item["name"]: max(Version(fixed) for _, fixed in item["fixed"]) for item in DOCUMENT["package"]}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUP = PYPROJECT["project"], PYPROJECT["dependency-groups"]["dev"]
NEEDED = {canonicalize_name(one.name): one for one in map(Requirement, PROJECT["dependencies"])}


def pins(name: str) -> dict[str, Version]:
    lines = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(package): Version(pinned) for package, pinned in lines}


def test_the_list_has_a_date_and_names_what_the_project_relies_on_for_its_safety() -> None:
    assert isinstance(DOCUMENT["as_of"], date)
    assert {"certifi", "jinja2", "websockets", "pip", "fastmcp", "mcp", "starlette", "pyjwt"} <= CLOSED.keys()


def test_no_range_of_the_project_begins_with_a_version_that_has_a_hole() -> None:
    open_ranges = {
        name: str(needed.specifier)
        for name, needed in NEEDED.items()
        if name in CLOSED
        and not any(one.operator in (">=", "==") and Version(one.version) >= CLOSED[name] for one in needed.specifier)
    }
    assert open_ranges == {}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-dev.txt"])
def test_no_pin_has_a_hole(name: str) -> None:
    found = pins(name)
    assert found
    assert {package: pin for package, pin in found.items() if package in CLOSED and pin < CLOSED[package]} == {}
    # What installs klepaas for its users is theirs; for its developers it is pinned too.
    assert CLOSED.keys() - found.keys() == ({"pip"} if name == "constraints.txt" else set())


def test_the_group_of_developers_asks_for_a_pip_without_a_hole() -> None:
    (wanted,) = [one for one in map(Requirement, GROUP) if one.name == "pip"]
    assert [one.operator for one in wanted.specifier] == [">="]
    assert not wanted.specifier.contains("26.1.1")
    assert wanted.specifier.contains(str(CLOSED["pip"]))


def test_nothing_that_make_install_installed_here_has_a_hole_pip_included() -> None:
    old: dict[str, str] = {}
    for package, closed in CLOSED.items():
        try:
            old |= {package: version(package)} if Version(version(package)) < closed else {}
        except PackageNotFoundError:
            continue
    assert old == {}


@pytest.mark.parametrize("page", ["start.md", "start.ko.md"])
def test_the_documentation_names_a_pip_without_a_known_hole(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(r"pip install --upgrade 'pip>=([\d.]+)'", text)
    assert found
    assert Version(found[1]) >= CLOSED["pip"]
