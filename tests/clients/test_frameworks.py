"""Each block of docs/agents.md in an environment with its framework alone: a whole turn with a scripted model.

`make clients` installs the frameworks; `KLEPAAS_TEST_CLIENTS` names those that must be there, or "all".
Only the sample is run besides.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.served import served

from klepaas.testing import scale_timeout

from .environments import NODE, environment
from .scripted_model import Step
from .turns import LOG_LINE, UNCONFIRMED, Scene, Turn, stage

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

PAGE = "docs/agents.md"
ADDRESS = "http://127.0.0.1:8000/mcp"
# What a model must be offered at least.
EVERYDAY = (
    *("deploy_application", "get_deployment_status", "get_overview", "k8s_delete", "k8s_get", "k8s_logs"),
    *("list_applications", "restart_application", "rollback_deployment", "scale_application"),
)
# The heading on the page, and the folder of the environment in which its blocks are run.
ENVIRONMENTS = {
    "pydantic-ai": "pydantic-ai",
    "LangChain and LangGraph": "langchain",
    "OpenAI Agents SDK": "openai-agents",
    "LlamaIndex": "llama-index",
    "Strands Agents": "strands",
    "Agno": "agno",
    "mcp-use": "mcp-use",
    "Semantic Kernel": "semantic-kernel",
    "AutoGen": "autogen",
    "Google ADK": "google-adk",
    "smolagents": "smolagents",
    "CrewAI": "crewai",
    "AI SDK": "typescript",
    "Mastra": "mastra",
    "LangChain.js": "langchain-js",
    "TypeScript SDK 1": "typescript",
    "TypeScript SDK 2": "typescript",
}


def heading_of(block: Block) -> str:
    """The heading under which a block stands."""
    above = (ROOT / block.page).read_text(encoding="utf-8").splitlines()[: block.line]
    return next(line.removeprefix("## ") for line in reversed(above) if line.startswith("## "))


SCRIPTS = {heading_of(block): block.text for block in blocks_of(PAGE) if block.language in ("python", "javascript")}


def test_every_framework_of_the_page_is_run() -> None:
    assert set(SCRIPTS) == set(ENVIRONMENTS)


@pytest.mark.parametrize("heading", SCRIPTS)
async def test_a_turn_lists_looks_deploys_reads_why_it_failed_and_is_not_confirmed(
    heading: str, tmp_path: Path
) -> None:
    folder = environment(ENVIRONMENTS[heading])
    async with stage(tmp_path) as scene:
        with _addressed(SCRIPTS[heading], scene) as text:
            turn = await scene.play(_command(folder, text))
    check(turn)


def _command(folder: Path, text: str) -> list[str | Path]:
    """What runs a script in an environment; Node.js looks for packages from the script's own folder."""
    node = (folder / "node_modules").is_dir()
    script = folder / ("agent.mjs" if node else "agent.py")
    script.write_text(text)
    return [NODE if node else folder / "bin" / "python", script]


@contextmanager
def _addressed(text: str, scene: Scene) -> Iterator[str]:
    """A script with the address of a klepaas that runs, where it names one."""
    if ADDRESS not in text:
        yield text
        return
    with served("--writes", environment=scene.variables, stderr=scene.folder / "stderr") as server:
        yield text.replace(ADDRESS, server.url)


def check(turn: Turn) -> None:
    """What every turn must show."""
    model, shown = turn.model, turn.describe()
    assert turn.status == 0, shown
    assert [name for name in EVERYDAY if not any(Step(name).matches(one) for one in model.offered)] == [], shown
    assert {"get_overview", "deploy_application", "k8s_delete"} == set(model.results), shown
    assert "0 applications" in model.results["get_overview"], shown
    assert LOG_LINE in model.results["deploy_application"], shown
    assert UNCONFIRMED in model.results["k8s_delete"], shown
    assert turn.remains, shown
    assert "done" in turn.printed, shown
