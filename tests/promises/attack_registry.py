"""The attacks on what an answer is made of, by the sentence that says what each tries."""

from collections.abc import Awaitable, Callable

from .attack_world import World

Attack = Callable[[World], Awaitable[list[str]]]
ON_ANY: dict[str, Attack] = {}
ON_SANDBOX: dict[str, Attack] = {}


def attack(sentence: str, *, everywhere: bool = False) -> Callable[[Attack], Attack]:
    """An attack. It answers what it got; a pair of answers to a right and a wrong guess is made equal by `guess`."""

    def add(function: Attack) -> Attack:
        (ON_ANY if everywhere else ON_SANDBOX)[sentence] = function
        return function

    return add
