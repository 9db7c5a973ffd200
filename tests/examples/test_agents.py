"""The scripted agents, each in a process of its own, against sandboxes: what they do to a cluster, what they say."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.clients.environments import SAMPLE
from tests.clients.environments import environment as environment_of

from klepaas.testing import FakeHttp, Reset, scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing, mutating

from .conftest import EXAMPLES, Environment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

Example = Callable[[str], Path]
GOOD, CRASHING = "registry.example/shop:1.0", "registry.example/shop:1.1-crash"
TIMING = replace(Timing.instant(), deadline_scale=0.02)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(TIMING) as one:
        yield one


@pytest.fixture
def variables(environment: Environment, sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    return environment.variables | {"KUBECONFIG": str(sandbox.write_kubeconfig(tmp_path / "kubeconfig"))}


async def agent(
    script: Path, variables: dict[str, str], *words: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run an agent to its end; the cluster lives in this process and must be able to answer meanwhile."""
    return await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            [python, str(script), *words],
            env=variables,
            capture_output=True,
            text=True,
            timeout=scale_timeout(60),
            check=False,
        ),
        abandon_on_cancel=True,
    )


def image_of(sandbox: Sandbox, app: str = "shop") -> str:
    found = sandbox.get("Deployment", app)
    assert found is not None
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_the_stdio_agent_reads_why_it_crashed_and_finds_it_rolled_back(
    example: Example, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    result = await agent(example("stdio-agent") / "stdio_agent.py", variables)
    assert result.returncode == 0, result.stdout + result.stderr
    # CrashLoopBackOff, or the end of the container before it: which of them is seen depends on the moment.
    assert "CrashLoopBackOff (exit code 1" in result.stdout or "Error (exit code 1" in result.stdout
    assert "could not connect to postgres" in result.stdout
    assert "shop is rolled back, so nothing has to be undone here" in result.stdout
    assert result.stdout.endswith("shop is healthy at the end\n")
    assert image_of(sandbox) == GOOD


async def test_the_stdio_agent_keeps_what_is_well(
    example: Example, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    better = "registry.example/shop:1.1"
    result = await agent(example("stdio-agent") / "stdio_agent.py", variables, "--next-image", better)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "rollback_deployment" not in result.stdout
    assert image_of(sandbox) == better


@contextmanager
def served(variables: dict[str, str], *options: str) -> Iterator[str]:
    """`klepaas serve --http` in a process of its own, and its address."""
    command = [sys.executable, "-m", "klepaas", "serve", "--http", "127.0.0.1:0", *options]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "serves MCP on " in line, line
            yield line.split("serves MCP on ")[1].split()[0]
        finally:
            process.terminate()
            process.communicate(timeout=scale_timeout(20))


async def _break_the_shop(variables: dict[str, str]) -> None:
    transport = StdioTransport(sys.executable, ["-m", "klepaas", "serve", "--writes"], env=variables, keep_alive=False)
    async with Client(transport) as client:
        for image in (GOOD, CRASHING):
            wishes = {"app_name": "shop", "image": image, "wait_s": 30, "auto_rollback": False}
            await client.call_tool("deploy_application", wishes, raise_on_error=False)


def _python_with(version: int) -> str:
    """An interpreter whose MCP library has this major version; klepaas itself needs 2."""
    return sys.executable if version == 2 else str(environment_of(SAMPLE) / "bin" / "python")


@pytest.mark.parametrize("version", [1, 2])
async def test_the_http_agent_finds_what_is_ill_and_changes_nothing_unasked_with_mcp_1_and_mcp_2(
    version: int, example: Example, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    script, python = example("http-agent") / "http_agent.py", _python_with(version)
    await _break_the_shop(variables)
    sandbox.clear_requests()
    with served(variables, "--writes") as url:
        looked = await agent(script, variables, url, python=python)
        assert (looked.returncode, [one for one in sandbox.requests if mutating(one)]) == (1, [])
        assert "could not connect to postgres" in looked.stdout
        assert looked.stdout.endswith("1 not healthy at the end\n")
        repaired = await agent(script, variables, url, "--repair", python=python)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert image_of(sandbox) == GOOD


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("fault", ["nobody listens", "cut off", "not found", "a page"])
async def test_the_http_agent_says_in_one_line_that_a_server_cannot_be_used(
    version: int, fault: str, example: Example, variables: dict[str, str]
) -> None:
    async with FakeHttp() as fake:
        if fault == "cut off":
            fake.fault = Reset()
        elif fault == "a page":
            fake.answer("POST", "/mcp", "hello")
        url = "http://127.0.0.1:9/mcp" if fault == "nobody listens" else f"{fake.url}/mcp"
        script = example("http-agent") / "http_agent.py"
        said = await agent(script, variables, url, python=_python_with(version))
    assert said.returncode == 2, said.stdout + said.stderr
    assert "Traceback" not in said.stderr
    assert said.stderr.splitlines()[-1].startswith(f"{url} cannot be used: ")


@asynccontextmanager
async def _two_clusters(tmp_path: Path) -> AsyncIterator[tuple[dict[str, Sandbox], str]]:
    """Two clusters with tokens of their own, behind the example's kubeconfig."""
    text = (EXAMPLES / "multi-cluster" / "kubeconfig.yaml").read_text()
    clusters: dict[str, Sandbox] = {}
    async with (
        Sandbox(TIMING, token="tok-of-staging-1") as staging,
        Sandbox(TIMING, token="tok-of-production-2") as prod,
    ):
        clusters |= {"staging": staging, "production": prod}
        for name, sandbox in clusters.items():
            assert sandbox.token is not None
            token = tmp_path / f"{name}-token"
            token.write_text(sandbox.token)
            token.chmod(0o600)
            text = text.replace(f"https://{name}.example:6443", sandbox.url).replace(
                f"/path/to/{name}-token", str(token)
            )
        assert "/path/to" not in text
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(text)
        kubeconfig.chmod(0o600)
        yield clusters, str(kubeconfig)


async def test_one_server_works_on_two_clusters_and_asks_before_it_changes_production(
    environment: Environment, example: Example, tmp_path: Path
) -> None:
    script = example("multi-cluster") / "promote.py"
    async with _two_clusters(tmp_path) as (clusters, kubeconfig):
        variables = environment.variables | {"KUBECONFIG": kubeconfig}
        nothing = await agent(script, variables, "--yes")
        assert (nothing.returncode, "nothing was promoted" in nothing.stdout) == (1, True)
        # The kubeconfig's current context is staging, so this lands there.
        result = await agent(EXAMPLES / "stdio-agent" / "stdio_agent.py", variables)
        assert result.returncode == 0, result.stdout
        promoted = await agent(script, variables, "--yes")
        assert promoted.returncode == 0, promoted.stdout + promoted.stderr
        assert "--- to confirm ---" in promoted.stdout
        assert "tok-of" not in promoted.stdout + promoted.stderr
        assert {image_of(sandbox) for sandbox in clusters.values()} == {GOOD}


def _configured(path: Path, key: str) -> dict[str, Any]:
    server: dict[str, Any] = json.loads(path.read_text())[key]["klepaas"]
    return server


@pytest.mark.parametrize(
    ("file", "key"),
    [("claude-desktop/claude_desktop_config.json", "mcpServers"), ("vscode/.vscode/mcp.json", "servers")],
)
async def test_a_clients_configuration_starts_a_server_that_reads(
    file: str, key: str, example: Example, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    example(file.split("/")[0])
    server = _configured(EXAMPLES / file, key)
    assert "KUBECONFIG" in server["env"]
    given = {name: value for name, value in server["env"].items() if name != "KUBECONFIG"}
    transport = StdioTransport(server["command"], server["args"], env=variables | given, keep_alive=False)
    async with Client(transport) as client:
        names = {tool.name for tool in await client.list_tools()}
        answer = await client.call_tool("get_overview", {})
    assert "get_overview" in names
    assert "deploy_application" not in names
    assert not answer.is_error


def test_every_example_is_on_the_list_and_has_a_text() -> None:
    folders = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    listed = (EXAMPLES / "README.md").read_text()
    assert [
        name for name in folders if f"]({name})" not in listed or not (EXAMPLES / name / "README.md").exists()
    ] == []


def test_the_kubeconfig_of_the_example_says_what_the_how_to_says() -> None:
    loaded = yaml.safe_load((EXAMPLES / "multi-cluster" / "kubeconfig.yaml").read_text())
    assert [context["name"] for context in loaded["contexts"]] == ["staging", "production"]
    assert loaded["current-context"] == "staging"
