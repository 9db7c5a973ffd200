"""The turn that every client must be able to play, and what each client's model gets of it."""

import re
from dataclasses import dataclass

from klepaas.testing import time_budget

from .player import Player, text_of
from .rows import Result, Row

__all__ = ["IMAGE", "LOG_LINE", "Turn", "check_refusal", "delete_without_a_yes", "play", "read"]

LOG_LINE = "could not connect to postgres"
IMAGE = "registry.example/shop:1.0-crash"
# Claude Desktop and opencode end a call that is silent for a minute.
SILENCE_MAX_S = time_budget(15, "they would end a call that waits")
_OPERATION = re.compile(r"\bop-[0-9a-z]+\b")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What came of a turn, before any client cuts it.

    Attributes:
        overview: Of an empty cluster.
        deployment: What the deployment answered, then each look at its operation until it had ended.
        status: Of the application that failed.
        refusal: Of a deletion that nobody confirms.
        left: The object, after that.
        questions: How often the client was asked.
        longest_call_s: How long the longest call took, in seconds.
        longest_silence_s: How long the client heard nothing while it waited, in seconds.
    """

    overview: Result
    deployment: tuple[Result, ...]
    status: Result
    refusal: Result
    left: Result
    questions: int
    longest_call_s: float
    longest_silence_s: float


async def play(player: Player, app_name: str = "shop") -> Turn:
    """Look, deploy what fails, read why, and ask for a deletion that nobody confirms.

    Args:
        player: The client.
        app_name: What it deploys; no other application is there.
    """
    overview = await player.call("get_overview")
    deployment = await _deploy_what_fails(player, app_name)
    status = await player.call("get_deployment_status", app_name=app_name)
    refusal, left = await delete_without_a_yes(player, app_name)
    return Turn(
        overview=overview,
        deployment=deployment,
        status=status,
        refusal=refusal,
        left=left,
        questions=player.questions,
        longest_call_s=player.longest_call_s,
        longest_silence_s=player.longest_silence_s,
    )


async def _deploy_what_fails(player: Player, app_name: str) -> tuple[Result, ...]:
    answers = [await player.call("deploy_application", app_name=app_name, image=IMAGE, env_vars=["MODE=a"])]
    for _ in range(10):
        found = _OPERATION.search(text_of(answers[-1]))
        if LOG_LINE in text_of(answers[-1]) or found is None:
            break
        answers.append(await player.call("get_operation", operation_id=found[0]))
    return tuple(answers)


async def delete_without_a_yes(player: Player, app_name: str) -> tuple[Result, Result]:
    """Ask for a deletion that nobody confirms, and look whether the object is still there."""
    refusal = await player.call("k8s_delete", kind="Deployment", name=app_name, namespace="default")
    return refusal, await player.call("k8s_get", kind="Deployment", name=app_name, namespace="default")


def read(row: Row, turn: Turn) -> None:
    """What the model of a client must have got of a turn."""
    seen = row.shows(turn.overview)
    assert "0 applications" in seen, seen
    # The log lines reach the model in the answer, or when it looks at the operation that the answer names.
    *before, last = [row.shows(result) for result in turn.deployment]
    assert all(_OPERATION.search(seen) for seen in before), before
    assert LOG_LINE in last, last
    seen = row.shows(turn.status)
    assert LOG_LINE in seen, f"the model of {row.name} does not see why: {seen}"
    check_refusal(row, row.shows(turn.refusal), row.shows(turn.left))
    assert turn.questions == (1 if row.elicitation else 0)
    assert turn.longest_silence_s < SILENCE_MAX_S
    if row.limit_s is not None:
        longest_s = turn.longest_silence_s if row.extends else turn.longest_call_s
        assert longest_s < time_budget(row.limit_s, "the client ends the call then")


def check_refusal(row: Row, seen: str, left: str) -> None:
    """Nobody answers: nothing is deleted, and the model reads whose word that was and what to do."""
    assert "nothing was changed" in seen, seen
    if row.elicitation:
        assert "the client declined, perhaps without asking anybody" in seen, seen
    else:
        assert "needs a person's confirmation, and this client cannot ask for one" in seen, seen
    assert "run `klepaas confirm plan-" in seen, seen
    assert "shop" in left
    assert "not_found" not in left
