"""A cluster and a klepaas in front of it, for the replays of a module together."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.served import unconfigured
from tests.server.http.conftest import served

from klepaas.app import App, create_app
from klepaas.settings import Mode, Settings
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing


@dataclass(frozen=True)
class Site:
    """What the clients find.

    Attributes:
        sandbox: The cluster.
        app: A klepaas that may change it.
        url: Where it answers over HTTP.
        variables: The environment in which another one finds the same cluster.
    """

    sandbox: Sandbox
    app: App
    url: str
    variables: dict[str, str]

    def clear(self) -> None:
        """Remove every application."""
        for item in self.sandbox.list("Deployment"):
            self.sandbox.delete("Deployment", item["metadata"]["name"])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The event loop that the server runs on, the same for the whole module."""
    return "asyncio"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment in which nothing is configured but a cluster, for this process too."""
    folder = tmp_path_factory.mktemp("site")
    own = {"KLEPAAS_EXTERNAL_PLUGINS": "false", "KLEPAAS_ROLLOUT_MIN_HEALTHY_S": "0.05"}
    found = unconfigured(folder, KUBECONFIG=str(folder / "kubeconfig"), **own)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("KLEPAAS_", "FASTMCP_"))]:
            patch.delenv(name)
        for name, value in found.items():
            patch.setenv(name, value)
        yield found


@pytest.fixture(scope="module")
async def site(variables: dict[str, str]) -> AsyncIterator[Site]:
    """A cluster and a klepaas over HTTP on a socket of this process."""
    async with Sandbox(Timing.instant()) as sandbox:
        sandbox.write_kubeconfig(Path(variables["KUBECONFIG"]))
        app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
        async with served(app) as url:
            yield Site(sandbox, app, url, variables)
