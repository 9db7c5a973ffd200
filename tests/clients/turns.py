"""One turn of a client: a sandbox for its cluster, a scripted model, a home of its own, and what came of it.

async with stage(tmp_path) as scene:
    turn = await scene.play([python, script])
check(turn)
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .scripted_model import ScriptedModel, Step

__all__ = ["SCRIPT", "Scene", "Turn", "stage"]

BIN = Path(sys.executable).parent
TURN_LIMIT_S = scale_timeout(60)
LOG_LINE = "could not connect to postgres"
UNCONFIRMED = "needs a person's confirmation"

SCRIPT = (
    Step("get_overview"),
    Step("deploy_application", {"app_name": "shop", "image": "registry.example/shop:1.0-crash", "wait_s": 20}),
    Step("k8s_delete", {"kind": "Deployment", "name": "shop", "namespace": "default"}),
)
# Nothing leaves this machine: neither figures about use nor looks for newer versions, and a proxy that is not there.
QUIET = {
    "AGNO_TELEMETRY": "false",
    "ANONYMIZED_TELEMETRY": "false",
    "AUTOGEN_TELEMETRY_DISABLED": "true",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "LANGSMITH_TRACING": "false",
    "MASTRA_TELEMETRY_DISABLED": "1",
    "MCP_USE_ANONYMIZED_TELEMETRY": "false",
    "NO_PROXY": "127.0.0.1,localhost",
    "NO_UPDATE_NOTIFIER": "1",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
    "POSTHOG_DISABLED": "1",
}
_FOREIGN = ("ANTHROPIC_", "CLAUDE", "CODEX_", "FASTMCP_", "GEMINI_", "GOOGLE_", "KLEPAAS_", "KUBE", "OPENAI_", "PYTHON")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What came of a turn.

    Attributes:
        model: The model, with all that it was asked.
        printed: What the client printed, on both streams.
        status: Its exit code.
        remains: Whether the application is still there.
    """

    model: ScriptedModel
    printed: str
    status: int
    remains: bool

    def describe(self) -> str:
        """What a failed test shows."""
        results = "\n".join(f"- {tool}: {text[:1500]}" for tool, text in self.model.results.items())
        requests = f"{len(self.model.asked)} requests, to unknown paths: {self.model.unknown}"
        return f"exit code {self.status}, {requests}\n{self.printed[-6000:]}\nthe model was told\n{results}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where a client runs.

    Attributes:
        folder: Its working folder.
        model: The model that it asks.
        sandbox: The cluster.
        variables: Its environment.
    """

    folder: Path
    model: ScriptedModel
    sandbox: Sandbox
    variables: Mapping[str, str]

    async def play(self, command: Sequence[str | Path], limit_s: float = TURN_LIMIT_S, **variables: str) -> Turn:
        """Run the client to its end; the cluster lives in this process and answers meanwhile.

        Args:
            command: What is run.
            limit_s: How long it may take, in seconds.
            variables: What is set beside.
        """

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(word) for word in command],
                cwd=self.folder,
                env={**self.variables, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=limit_s,
                check=False,
            )

        done = await anyio.to_thread.run_sync(run, abandon_on_cancel=True)
        remains = self.sandbox.get("Deployment", "shop") is not None
        return Turn(model=self.model, printed=done.stdout, status=done.returncode, remains=remains)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Scene]:
    """A machine on which nothing is configured but a cluster and the address of a model."""
    work, home = folder / "work", folder / "home"
    work.mkdir()
    home.mkdir()
    async with Sandbox(Timing.instant()) as sandbox:
        kubeconfig = str(sandbox.write_kubeconfig(home / "kubeconfig"))
        with ScriptedModel(SCRIPT) as model:
            inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
            variables = {**inherited, **QUIET, **_addresses(model.url)}
            variables |= {"HOME": str(home), "KUBECONFIG": kubeconfig, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
            variables |= {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
            yield Scene(folder=work, model=model, sandbox=sandbox, variables=variables)


def _addresses(url: str) -> dict[str, str]:
    """Where each provider's own library looks for its model."""
    return {
        "ANTHROPIC_API_KEY": "scripted",
        "ANTHROPIC_BASE_URL": url,
        "GEMINI_API_KEY": "scripted",
        "GOOGLE_API_KEY": "scripted",
        "GOOGLE_GEMINI_BASE_URL": url,
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_API_KEY": "scripted",
        "OPENAI_BASE_URL": f"{url}/v1",
    }
