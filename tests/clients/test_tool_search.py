"""Searches in English as clients make them that load no tools at first: the right tool is found first.

Both algorithms are those of the clients as published (Claude Code 2.1.332, Qwen Code 0.24.4), written down in Python.
"""

import re
from collections.abc import Callable, Mapping

import mcp_types as mt
import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings

pytestmark = pytest.mark.anyio

SEARCHES = {
    "what is wrong": "get_overview",
    "cluster overview": "get_overview",
    "overview of everything": "get_overview",
    "deploy image": "deploy_application",
    "deploy application": "deploy_application",
    "deployment status": "get_deployment_status",
    "status of application": "get_deployment_status",
    "scale replicas": "scale_application",
    "restart application": "restart_application",
    "rollback": "rollback_deployment",
    "rollback deployment": "rollback_deployment",
    "list applications": "list_applications",
    "list releases": "list_releases",
    "diff releases": "diff_releases",
    "deployment history": "get_deployment_history",
    "kubernetes pods": "k8s_get",
    "pod logs": "k8s_logs",
    "container logs": "k8s_logs",
    "kubernetes events": "k8s_events",
    "apply yaml manifest": "k8s_apply",
    "delete object": "k8s_delete",
    "cpu memory usage": "k8s_top",
    "explain fields": "k8s_explain",
    "operation progress": "get_operation",
    "cancel operation": "cancel_operation",
}
# Qwen weighs a word in a name three times one in a description, and "list" stands in the names of other tools: of the
# five that it shows, the right one is not the first.
AMONG_FIVE_IN_QWEN = {"pods list": "k8s_get", "list services": "k8s_get"}
_STOP_WORDS = """a an and are at be can could did do does for from how i in is it me my of on or please should that the
these this those to was were what which with would you"""
QWEN_STOP_WORDS = set(_STOP_WORDS.split())
_ENDING = ["cancel", "delete", "remove", "stop", "clear"]
QWEN_ALIASES: Mapping[str, list[str]] = dict.fromkeys(_ENDING, _ENDING)
Rank = Callable[[list[mt.Tool], str], list[str]]


def claude_code(tools: list[mt.Tool], query: str) -> list[str]:
    """What Claude Code finds: whole words of names, hint and description, among the tools that it has not loaded."""

    def score(tool: mt.Tool) -> int:
        coarse = ["klepaas", tool.name.lower()]
        parts = [part for one in coarse for part in re.split(r"[\s_.]+", one) if part]
        hint = str((tool.meta or {}).get("anthropic/searchHint", "")).lower()
        description = (tool.description or "").lower()
        total = 0
        for term in query.lower().split():
            word = re.compile(rf"\b{re.escape(term)}\b")
            total += 12 if term in parts else 6 if any(term in part for part in parts) else 0
            total += 12 if term in coarse else 4 if any(term in one for one in coarse) else 0
            total += 3 if total == 0 and term in " ".join(parts) else 0
            total += 4 * bool(word.search(hint)) + 2 * bool(word.search(description))
        return total

    deferred = [tool for tool in tools if not _is_loaded(tool)]
    ranked = sorted(deferred, key=score, reverse=True)
    return [tool.name for tool in ranked if score(tool)]


def qwen_code(tools: list[mt.Tool], query: str) -> list[str]:
    """What Qwen Code finds: parts of names and descriptions; it reads no hint of the tool's and loads none at first."""
    edges = re.compile(r"^[^\w.+#-]+|[^\w.+#-]+$")
    terms = [edges.sub("", word) for word in query.lower().split()]
    terms = [term for term in terms if len(term) >= 2 and term not in QWEN_STOP_WORDS]

    def score(tool: mt.Tool) -> int:
        name, description, hint = f"mcp__klepaas__{tool.name}", (tool.description or "").lower(), ["mcp", "klepaas"]
        total = 0
        for term in terms:
            variants = QWEN_ALIASES.get(term, [term])
            whole = any(name == one or name.endswith((f"_{one}", f".{one}")) for one in variants)
            total += 12 if whole else 6 if any(one in name for one in variants) else 0
            total += 4 * any(one in hint for one in variants) + 2 * any(one in description for one in variants)
            others = [one for one in variants if one != term]
            total += 6 * any(one in name or one in hint for one in others)
        return total

    ranked = sorted(tools, key=lambda tool: (-score(tool), tool.name))
    return [tool.name for tool in ranked if score(tool)]


def _is_loaded(tool: mt.Tool) -> bool:
    return bool((tool.meta or {}).get("anthropic/alwaysLoad"))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The event loop of the fixture below, which lives as long."""
    return "asyncio"


@pytest.fixture(scope="module")
async def tools(tmp_path_factory: pytest.TempPathFactory) -> list[mt.Tool]:
    """The catalogue with everything that changes something; no test changes it."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(folder / "none"))
        app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=folder))
        async with Client(app.server) as client:
            return list(await client.list_tools())


@pytest.mark.parametrize("query", SEARCHES)
async def test_a_search_in_claude_code_finds_the_right_tool_first_or_it_is_loaded(
    query: str, tools: list[mt.Tool]
) -> None:
    loaded = {tool.name for tool in tools if _is_loaded(tool)}
    assert SEARCHES[query] in loaded or claude_code(tools, query)[:1] == [SEARCHES[query]]


@pytest.mark.parametrize("query", SEARCHES)
async def test_a_search_in_qwen_code_finds_the_right_tool_first(query: str, tools: list[mt.Tool]) -> None:
    assert qwen_code(tools, query)[:1] == [SEARCHES[query]]


@pytest.mark.parametrize("query", AMONG_FIVE_IN_QWEN)
async def test_a_search_with_a_word_of_other_names_shows_the_right_tool_among_the_five_of_qwen_code(
    query: str, tools: list[mt.Tool]
) -> None:
    assert AMONG_FIVE_IN_QWEN[query] in qwen_code(tools, query)[:5]


async def test_neither_search_matches_korean(tools: list[mt.Tool]) -> None:
    assert claude_code(tools, "파드 목록") == qwen_code(tools, "파드 목록") == []
