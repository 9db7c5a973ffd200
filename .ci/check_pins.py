"""Fails when a file of pinned packages lacks something that is needed, on any Python and system that klepaas supports.

Pinned packages are installed without resolving (`pip install --no-deps --require-hashes`), so nothing else would notice
a package that is missing. Run it in an environment that holds the pinned packages: what they need is read from there.
"""

import argparse
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from itertools import product
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

# Debian 12 ships 3.11.2; some markers tell the patch releases of 3.11 apart.
PYTHONS = ("3.11.0", "3.11.2", "3.11.5", "3.12.0", "3.13.0", "3.14.0")
SYSTEMS = (
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin", "platform_machine": "arm64"},
    {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows", "platform_machine": "AMD64"},
)

Environment = dict[str, str]


@dataclass(frozen=True)
class Pin:
    """One line of the file: a package in one version, where its marker holds."""

    requirement: Requirement
    hashes: int

    @property
    def version(self) -> str:
        """The version, without the `==`."""
        return next(iter(self.requirement.specifier)).version

    def applies(self, environment: Environment) -> bool:
        """Whether the package is installed there."""
        return self.requirement.marker is None or self.requirement.marker.evaluate(environment)


@dataclass
class Report:
    """What is wrong, and what could not be looked at because it is not installed here."""

    problems: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    not_seen: set[str] = field(default_factory=set)

    def lines(self) -> Iterator[str]:
        """One line a problem, with the first place where it was found and how many more there are."""
        for problem, places in sorted(self.problems.items()):
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            yield f"{problem} ({places[0]}{more})"


def read_pins(path: Path) -> dict[str, list[Pin]]:
    """Read a file as `uv pip compile --generate-hashes` writes it.

    Args:
        path: The file.

    Returns:
        The pins of each package; several where markers tell them apart.
    """
    pins: dict[str, list[Pin]] = {}
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        text, *hashes = line.split("--hash=")
        if text.strip() and not text.startswith("#"):
            pin = Pin(Requirement(text.strip()), len(hashes))
            pins.setdefault(canonicalize_name(pin.requirement.name), []).append(pin)
    return pins


def here() -> Environment:
    """The Python and the system that this runs on."""
    return {name: str(value) for name, value in default_environment().items()} | {"extra": ""}


def environments() -> Iterator[Environment]:
    """Every Python and system that klepaas supports, and the one that this runs on."""
    yield here()
    for python, system in product(PYTHONS, SYSTEMS):
        version = {"python_version": python.rpartition(".")[0], "python_full_version": python}
        kind = {"implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": ""}
        yield {**here(), **system, **version, **kind}


def wanted_by_project(folder: Path, group: str | None) -> list[Requirement]:
    """What pyproject.toml asks for.

    Args:
        folder: The project's folder.
        group: A dependency group that is installed too; None for the project alone.

    Returns:
        The requirements, as they are written there.
    """
    content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [*content["project"]["dependencies"], *content["build-system"]["requires"]] if group else []
    lines = lines or content["project"]["dependencies"]
    return [Requirement(line) for line in (*lines, *(content["dependency-groups"][group] if group else ()))]


@dataclass(frozen=True)
class Needs:
    """What an installed package says about itself."""

    version: str
    python: SpecifierSet
    requirements: list[Requirement]


@cache
def installed(name: str) -> Needs | None:
    """Read what a package needs.

    Args:
        name: The package.

    Returns:
        What its metadata says; None when it is not installed here.
    """
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    pythons = found.metadata.get_all("Requires-Python") or [""]
    return Needs(found.version, SpecifierSet(pythons[0]), [Requirement(line) for line in found.requires or ()])


class Walk:
    """Follows what is needed, from the project on, in one environment."""

    def __init__(self, pins: dict[str, list[Pin]], environment: Environment, report: Report) -> None:
        self._pins = pins
        self._environment = environment
        self._report = report
        self._done: set[tuple[str, str]] = set()
        self._place = f"Python {environment['python_full_version']} on {environment['sys_platform']}"

    def follow(self, requirements: list[Requirement], extra: str = "", of: str = "the project") -> None:
        """Check requirements and what they need in turn.

        Args:
            requirements: What is asked for.
            extra: The extra of the asking package that is installed; empty for none.
            of: Who asks, for the report.
        """
        environment = {**self._environment, "extra": extra}
        for wanted in requirements:
            if wanted.marker is None or wanted.marker.evaluate(environment):
                self._check(wanted, of)

    def _add(self, problem: str) -> None:
        self._report.problems[problem].append(self._place)

    def _check(self, wanted: Requirement, of: str) -> None:
        name = canonicalize_name(wanted.name)
        pins = [pin for pin in self._pins.get(name, ()) if pin.applies(self._environment)]
        if len(pins) != 1:
            count = f"{len(pins)} times" if pins else "not"
            self._add(f"{of} needs {wanted.name}, which is {count} pinned")
            return
        if not wanted.specifier.contains(pins[0].version, prereleases=True):
            self._add(f"{of} needs {wanted}, but {name}=={pins[0].version} is pinned")
        for extra in ("", *wanted.extras):
            if (name, extra) not in self._done:
                self._done.add((name, extra))
                self._descend(name, pins[0], extra)

    def _descend(self, name: str, pin: Pin, extra: str) -> None:
        needs, label = installed(name), f"{name} {pin.version}"
        if needs is None or needs.version != pin.version:
            self._report.not_seen.add(label)
            return
        if not needs.python.contains(self._environment["python_full_version"], prereleases=True):
            self._add(f"{label} does not run there")
        self.follow(needs.requirements, extra, label)


def find_unhashed(pins: dict[str, list[Pin]]) -> Iterator[str]:
    """Name the packages that pip would refuse for having no hash.

    Args:
        pins: The pins of each package.

    Yields:
        One sentence a package.
    """
    return (f"{name} is pinned without a hash" for name, found in pins.items() if not all(pin.hashes for pin in found))


def compare_with_installed(pins: dict[str, list[Pin]]) -> Iterator[str]:
    """Name the packages that should be installed here in another version, or at all.

    Args:
        pins: The pins of each package.

    Yields:
        One sentence a package.
    """
    for name, found in pins.items():
        expected = [pin.version for pin in found if pin.applies(here())]
        present = installed(name)
        if expected and (present is None or present.version not in expected):
            version = present.version if present else "not installed"
            yield f"{name} is pinned to {expected[0]}, and is {version}"


def check(path: Path, project: Path, group: str | None) -> Report:
    """Compare a file of pins with what the project and its packages need.

    Args:
        path: The file of pins.
        project: The folder of pyproject.toml.
        group: A dependency group that the file holds too; None for the project alone.

    Returns:
        What is wrong, and what could not be seen.
    """
    pins, report = read_pins(path), Report()
    for problem in (*find_unhashed(pins), *compare_with_installed(pins)):
        report.problems[problem].append(path.name)
    for environment in environments():
        Walk(pins, environment, report).follow(wanted_by_project(project, group))
    return report


def main() -> int:
    """Check one file and print what is wrong.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pins", type=Path)
    parser.add_argument("--group", help="a dependency group that the file holds too")
    given = parser.parse_args()
    report = check(given.pins, Path(__file__).parents[1], given.group)
    for line in report.lines():
        sys.stderr.write(f"{given.pins.name}: {line}\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
