"""Command-line clients of npm, each with a home of its own: a turn with a scripted model, by `make clients`."""

from pathlib import Path

import pytest
from tests.served import served

from klepaas.testing import scale_timeout

from .command_lines import COMMANDS
from .environments import environment
from .scripted_model import Step
from .turns import LOG_LINE, stage

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

# What the model reads when nobody confirms: klepaas' words, or the client's own where it does not call klepaas at all.
REFUSALS = {"Codex": "approval"}
CANNOT_ASK = {"Gemini CLI", "opencode", "Qwen Code", "Qwen Code with alwaysLoadTools", "Continue", "Cline"}
DEFERRED = {"Qwen Code"}
# The clients that klepaas is not started by; a server that Cline starts gets 2.7 s.
OVER_HTTP = {"Cline"}


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_turn_lists_looks_deploys_reads_why_it_failed_and_is_not_confirmed(name: str, tmp_path: Path) -> None:
    folder, command = COMMANDS[name]
    environment(folder)
    async with stage(tmp_path) as scene:
        if name in OVER_HTTP:
            with served("--writes", environment=scene.variables, stderr=tmp_path / "stderr") as server:
                turn = await scene.play(command(scene, server.url))
        else:
            turn = await scene.play(command(scene, ""))
    results, shown = turn.model.results, turn.describe()
    assert set(results) == {"get_overview", "deploy_application", "k8s_delete"}, shown
    assert "0 applications" in results["get_overview"], shown
    assert LOG_LINE in results["deploy_application"], shown
    assert REFUSALS.get(name, "nothing was changed") in results["k8s_delete"], shown
    assert ("this client cannot ask for one" in results["k8s_delete"]) == (name in CANNOT_ASK), shown
    # A client that defers tools offers its model only ways to search for them and to call what was found.
    assert any(Step("k8s_get").matches(one) for one in turn.model.offered) == (name not in DEFERRED), shown
    assert turn.remains, shown
    assert turn.status == 0, shown
