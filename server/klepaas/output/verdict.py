"""Good verdicts, written in one place and only from what was looked at.

"healthy", "verified", "unchanged" and "nothing was changed" are claims. Each rests on a `Verdict`: what was looked at,
what was not, and when. One that rests on nothing cannot be rendered as good. A test finds these words nowhere else in
what klepaas says, no enum member holds one, and `term`, which gives a word without a Verdict, stands only where nothing
is claimed.
"""

import time
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal

from klepaas.output.answer import timestamp

__all__ = ["NOT_RUN", "NOT_SENT", "Claim", "Language", "Verdict", "nothing_changed", "says", "term"]

Language = Literal["en", "ko"]
# How it is known that a call has changed nothing.
NOT_RUN = "the call was stopped before its tool ran"
NOT_SENT = "the documents were refused before any of them was sent"


class Claim(Enum):
    """What can be claimed; the words for it are `Verdict.render`'s."""

    HEALTHY = auto()
    VERIFIED = auto()
    UNCHANGED = auto()
    NOTHING_CHANGED = auto()


_WORDS: dict[str, dict[Claim, str]] = {
    "en": {
        Claim.HEALTHY: "healthy",
        Claim.VERIFIED: "verified",
        Claim.UNCHANGED: "unchanged",
        Claim.NOTHING_CHANGED: "nothing was changed",
    },
    "ko": {
        Claim.HEALTHY: "정상",
        Claim.VERIFIED: "검증",
        Claim.UNCHANGED: "변경되지 않음",
        Claim.NOTHING_CHANGED: "아무것도 변경되지 않았습니다",
    },
}
_UNKNOWN = {"en": "not known, since nothing was looked at", "ko": "확인한 것이 없어 알 수 없음"}
_LOOKED_AT = {"en": "Looked at", "ko": "확인한 것"}
_NOT_CHECKED = {"en": "Not checked", "ko": "확인하지 않은 것"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a good word rests on.

    Attributes:
        observed: What was looked at, each in a few words. Empty: nothing, so that nothing good can be said.
        not_checked: What was not looked at and a reader might take for granted.
        at: When, in seconds since 1970.
    """

    observed: tuple[str, ...]
    not_checked: tuple[str, ...] = ()
    at: float = field(default_factory=time.time)

    @property
    def is_founded(self) -> bool:
        """Whether anything was looked at."""
        return bool(self.grounds)

    @property
    def grounds(self) -> tuple[str, ...]:
        """What was looked at, without what names nothing."""
        return tuple(text for text in self.observed if any(letter.isalnum() for letter in text))

    def render(self, claim: Claim, language: Language = "en") -> str:
        """The claim in words, or that it is not known.

        Args:
            claim: What is claimed.
            language: In which language.
        """
        return _WORDS[language][claim] if self.is_founded else _UNKNOWN[language]

    def count_unhealthy(self, count: int) -> str:
        """How many of what was looked at are ill: "all healthy", "2 not healthy".

        Args:
            count: How many are ill.
        """
        if not self.is_founded:
            return "nothing there to judge"
        word = self.render(Claim.HEALTHY)
        return f"{count} not {word}" if count else f"all {word}"

    def facts(self) -> dict[str, Any]:
        """What it rests on, for a program: `observed`, `not_checked`, and `at` as an ISO 8601 time."""
        return {"observed": list(self.grounds), "not_checked": list(self.not_checked), "at": timestamp(self.at)}

    def basis(self, language: Language = "en") -> str:
        """What it rests on and what was not checked, on one line.

        Args:
            language: In which language.
        """
        clock = time.strftime("%H:%M:%S UTC", time.gmtime(self.at))
        looked = ", ".join(self.grounds) or "-"
        text = f"{_LOOKED_AT[language]} ({clock}): {looked}."
        return f"{text} {_NOT_CHECKED[language]}: {', '.join(self.not_checked)}." if self.not_checked else text


def term(claim: Claim, language: Language = "en") -> str:
    """The word itself, for a question or a condition that claims nothing ("until it is healthy").

    Args:
        claim: Which.
        language: In which language.
    """
    return _WORDS[language][claim]


def says(text: object, claim: Claim) -> bool:
    """Whether a state in data that an answer carries is this claim, in English as data are.

    Args:
        text: The state, as `Verdict.render` gave it.
        claim: Which.
    """
    return text == _WORDS["en"][claim]


def nothing_changed(*observed: str, yet: bool = False) -> str:
    """That a call left everything as it was, and how that is known, as a part of a sentence.

    Args:
        observed: How that is known, each a clause: what refused it before anything was sent, or what the server
            answered.
        yet: Whether a change may follow, as after a plan.
    """
    verdict = Verdict(observed=observed)
    if not verdict.is_founded:
        return f"whether anything was changed is {verdict.render(Claim.NOTHING_CHANGED)}"
    return f"{verdict.render(Claim.NOTHING_CHANGED)}{' yet' if yet else ''} ({'; '.join(verdict.grounds)})"
