"""What is wrong with how a case went: each fault of klepaas by its kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from klepaas.operations import State

from .cases import Case, Meaning, Stage
from .playing import Played

__all__ = ["Finding", "Wrong", "changes", "judge"]

# How long a change may wait for what is not decided; longer, and it is.
_DEADLINE_S = 900.0
# What an answer has in it that says that something was changed and stays, or was undone.
_STAYS = ("stays", "rolled back", "may have been made", "needs a person", "FAILED TOO", "Done before", "were done")
# What an answer has in it that speaks of a fault which lasts.
_TROUBLES = (
    "waits", "cannot", "not reach", "broke off", "credentials", "rights", "forbidden", "later", "webhook", "answer",
    "tried again",
)  # fmt: skip


class Wrong(StrEnum):
    """The kinds of faults that are counted."""

    UNDONE = "healthy releases undone"
    LEFT = "left for good"
    DUPLICATED = "duplicated"
    SAYS_LESS = "answers that say less than what was changed"
    MUTE = "tools that did not answer at the first call after recovery"
    NOT_PLAYED = "cases that did not come to their moment"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        wrong: Its kind.
        text: What was seen.
    """

    wrong: Wrong
    text: str


def judge(played: Played) -> list[Finding]:
    """What is wrong; nothing where all is well.

    Args:
        played: What was seen.
    """
    return [Finding(wrong, text) for wrong, text in _judge(played)]


def _judge(played: Played) -> Iterator[tuple[Wrong, str]]:
    state = played.ended.state if played.ended is not None else None
    seen = f"{state}: {changes(played)}; {played.text[:200]!r}"
    if not played.met:
        yield Wrong.NOT_PLAYED, seen
    if _is_undone(played):
        yield Wrong.UNDONE, seen
    elif _is_left(played):
        yield Wrong.LEFT, seen
    if _is_duplicated(played):
        yield Wrong.DUPLICATED, seen
    if _says_less(played):
        yield Wrong.SAYS_LESS, seen
    if _is_silent_meanwhile(played):
        yield Wrong.SAYS_LESS, f"while it lasted: {played.meanwhile[:300]!r}"
    for tool, answer in played.first_calls.items():
        # A cluster that made callers wait is left alone for a while; how long depends on the machine's speed, so an
        # answer that says so and until when is none to judge here.
        if answer.is_error and "times in a row" not in answer.text:
            yield Wrong.MUTE, f"{tool}: {answer.text[:120]!r}"


def changes(played: Played) -> dict[str, str]:
    """What of the application is other than before.

    Args:
        played: What was seen.
    """
    return {key: f"{one} -> {played.after[key]}" for key, one in played.before.items() if played.after[key] != one}


def _is_wanted(played: Played) -> bool:
    """Whether the application is as the change wanted it."""
    if played.case.verb.name == "deploy-broken":
        return False
    is_other = all(played.after[name] != played.before[name] for name in played.case.verb.changes)
    return is_other and all(played.after[name] == value for name, value in played.wanted.items())


def _is_as_before(played: Played) -> bool:
    names = ("image", "port", "replicas", "restarted", "color")
    return all(played.after[name] == played.before[name] for name in names)


def _refuses(case: Case) -> bool:
    """Whether the fault decides, so that the change cannot be had."""
    late = case.fault.meaning is Meaning.REFUSES_LATE and case.duration_s > _DEADLINE_S
    return case.fault.meaning is Meaning.REFUSES or late


def _refuses_way_back(case: Case) -> bool:
    """Whether the fault refuses going back too; missing rights may never come back."""
    is_on_the_way = case.stage in (Stage.BETWEEN, Stage.GOING_BACK)
    return is_on_the_way and (_refuses(case) or case.fault.name == "403-rights")


def _is_undone(played: Played) -> bool:
    """What would have been healthy was written, and is not there any more."""
    is_good = played.case.verb.name != "deploy-broken" and not _refuses(played.case)
    return is_good and played.wrote and played.ended is not None and _is_as_before(played)


def _is_left(played: Played) -> bool:
    """It never ends, or ends half-way, or otherwise than what it leaves behind."""
    ended, case = played.ended, played.case
    if ended is None:
        return not (_is_wanted(played) or (played.said.is_error and (_is_as_before(played) or not case.verb.operates)))
    if not ended.ended:
        return True
    if _refuses_way_back(case) and ended.state is State.FAILED:
        # It cannot be put in order, and says so; what it says is judged on its own.
        return "needs a person" not in played.text
    if case.verb.name == "deploy-broken":
        if _refuses(case):
            return not _is_as_before(played)
        return not (ended.state is State.ROLLED_BACK and _is_as_before(played) and bool(played.after["ready"]))
    if _refuses(case):
        return not (_is_as_before(played) and bool(played.after["ready"]) and ended.state is not State.SUCCEEDED)
    return not (ended.state is State.SUCCEEDED and _is_wanted(played) and bool(played.after["ready"]))


def _is_duplicated(played: Played) -> bool:
    """More rollouts or releases than the change is."""
    goes_back = played.case.verb.name == "deploy-broken" or _refuses(played.case)
    rollouts = played.after["generation"] - played.before["generation"]
    releases = played.after["release"] - played.before["release"]
    return bool(rollouts > (2 if goes_back else 1) or releases > 1)


def _says_less(played: Played) -> bool:
    """Something was changed, or may have been, and the last answer does not say so."""
    state = played.ended.state if played.ended is not None else None
    if state is State.SUCCEEDED or (state is None and not played.said.is_error):
        return not _is_wanted(played)
    if _is_as_before(played):
        return False
    return not any(word in played.text for word in _STAYS)


def _is_silent_meanwhile(played: Played) -> bool:
    """The change waits because of a fault, and whoever asks is not told why."""
    has_ended = " failed" in played.meanwhile or "succeeded" in played.meanwhile or "rolled back" in played.meanwhile
    is_mute = played.case.fault.kind in ("killed", "asleep", "clock", "slow")
    if not played.meanwhile or has_ended or is_mute or played.case.duration == "1s":
        return False
    return not any(word in played.meanwhile for word in _TROUBLES)
