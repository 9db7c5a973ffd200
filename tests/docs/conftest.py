"""A person's machine in which the documentation's commands are typed: a home, a cluster, nothing configured."""

import os
import sysconfig
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.served import unconfigured

from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing


@dataclass(frozen=True)
class Machine:
    """Where commands are typed.

    Attributes:
        folder: The folder that they begin in.
        kubeconfig: A kubeconfig whose one context is a sandbox.
        variables: The environment.
    """

    folder: Path
    kubeconfig: Path
    variables: dict[str, str]


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine with klepaas on its path and a sandbox for a cluster."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    async with Sandbox(Timing.instant()) as sandbox:
        kubeconfig = sandbox.write_kubeconfig(home / "kubeconfig")
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
        folders = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state")}
        variables = unconfigured(home, PATH=path, KUBECONFIG=str(kubeconfig), **folders)
        # Not as variables: a client is told of those.
        variables = {name: value for name, value in variables.items() if not name.startswith("KLEPAAS_")}
        _write_settings(home / "config" / "klepaas" / "config.toml")
        yield Machine(work, kubeconfig, variables)


def _write_settings(file: Path) -> None:
    """What these tests need to be fast and alone."""
    file.parent.mkdir(parents=True)
    file.write_text("external_plugins = false\n[deployments]\nmin_healthy_s = 0\n", encoding="utf-8")
    file.chmod(0o600)
