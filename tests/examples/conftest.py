"""An environment to install into, which sees what is installed here; clusters, and the folder of the examples."""

import os
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
_FOREIGN = ("KLEPAAS_", "KUBE", "FASTMCP_", "PYTHON", "PIP_", "VIRTUAL_ENV", "PYTEST_")


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the variables with which to use it."""

    folder: Path
    variables: dict[str, str]

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")


def plain_variables(home: Path) -> dict[str, str]:
    """The variables of a person who has configured nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "HOME": str(home), "KUBECONFIG": str(home / "no-kubeconfig")}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An empty environment in front of the one that the tests run in; pip installs there, and from nowhere else."""
    folder, home = tmp_path / "environment", tmp_path / "home"
    home.mkdir()
    venv.create(folder, symlinks=True)
    library = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    ours = sysconfig.get_paths()["purelib"]
    (library / "behind.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    command = folder / "bin" / "klepaas"
    command.write_text(
        f"#!{folder / 'bin' / 'python'}\nimport sys\nfrom klepaas.__main__ import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    variables = plain_variables(home) | {
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say that there is none
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return Environment(folder, variables)


@pytest.fixture
def example() -> Callable[[str], Path]:
    """The folder of an example."""

    def find(name: str) -> Path:
        folder = EXAMPLES / name
        assert (folder / "README.md").is_file()
        return folder

    return find
