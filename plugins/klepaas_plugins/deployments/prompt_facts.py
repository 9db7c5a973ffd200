"""What a person filled into a prompt, as a list: what was looked up and found, and what was only said.

Some clients split what a person types at its blanks and fill in the words by position, so that any argument may hold a
word of a sentence. Nothing is stated as a fact that was not found, and where a value is in doubt, all the words follow
in their order. Nothing here is an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from klepaas import names
from klepaas.observability import one_line
from klepaas.output.quoting import quote
from klepaas_plugins.deployments.prompt_lookup import LOOKED_UP, Finding, State, find_names, keeps
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["NUMBER", "Beginning", "Facts", "Language", "find_facts", "is_step"]

Language = Literal["en", "ko"]
Beginning = Literal["start", "1", "2", "3", "4", "5", "6", "7", "8", "9", "reset"]
NUMBER = names.Check("release", lambda text: text.isascii() and text.isdecimal(), "a number", max_chars=9)
_TEXT_MAX_CHARS = 4000
_WORD_MAX_CHARS = 64
_SENTENCE_MAX_CHARS = 1000


def is_step(value: str) -> bool:
    """Whether a word is a place of the tutorial to begin at.

    Args:
        value: The word.
    """
    return value in get_args(Beginning)


def _is_tagged_image(value: str) -> bool:
    """Any word could be an image; one with a registry, a tag or a digest is meant as one."""
    return any(mark in value for mark in ":/@") and keeps(names.IMAGE, value)


_RULES: Mapping[str, Callable[[str], bool]] = {
    "app_name": lambda value: keeps(names.APPLICATION, value),
    "image": _is_tagged_image,
    "release": lambda value: keeps(NUMBER, value),
    "step": is_step,
}
_SHOWN: Mapping[Language, Mapping[State, str]] = {
    "en": {
        State.MISSING: "not given",
        State.GOOD: "{value}",
        State.NOT_FOUND: "not found: {value}",
        State.UNCHECKED: "{value} (not checked: it could not be looked up)",
        State.ODD: "{value} (as I said it; it may not be what is asked for here)",
    },
    "ko": {
        State.MISSING: "주어지지 않음",
        State.GOOD: "{value}",
        State.NOT_FOUND: "not found: {value}",
        State.UNCHECKED: "{value} (조회할 수 없어 확인하지 못함)",
        State.ODD: "{value} (제가 말한 그대로이며, 여기에 맞는 값이 아닐 수 있음)",
    },
}
# What clients do to a sentence: some fill its words in one by one and drop those that are left over.
_SENTENCE: Mapping[Language, str] = {
    "en": "I said, in this order: {sentence}. My client may have split one sentence at its blanks into the values\n"
    'above. Read what was "not found" as words of that sentence, never as names; the other values may be words of it\n'
    "too. What you need and cannot see, ask me.",
    "ko": "제가 말한 순서 그대로: {sentence}. 클라이언트가 한 문장을 빈칸마다 나누어 위의 값으로 넣었을 수 있습니다.\n"
    '"not found"인 값은 이름이 아니라 그 문장의 낱말로 읽으세요. 다른 값도 그 문장의 낱말일 수 있습니다.\n'
    "필요한데 알 수 없는 것은 저에게 물어보세요.",
}
_END: Mapping[Language, str] = {
    "en": "My client may have dropped my last words: where you see the command as I typed it, read it to its end.",
    "ko": "클라이언트가 제 마지막 말을 빠뜨렸을 수 있으니, 제가 입력한 명령이 보이면 끝까지 읽으세요.",
}


@dataclass(frozen=True)
class Facts:
    """What a person filled in.

    Attributes:
        text: The list, and where a value is in doubt the words in their order.
        place: The context and the namespace that calls may name, without those that were not found.
    """

    text: str
    place: Mapping[str, str]


async def find_facts(clusters: Clusters, given: Mapping[str, str | None], language: Language) -> Facts:
    """Look up what was filled in.

    Args:
        clusters: The clusters there are.
        given: By argument, in the order of the arguments: what was filled in. None: nothing.
        language: The language of the list.
    """
    said = {name: value for name, value in given.items() if value}
    looked_up = await find_names(clusters, said)
    found = {name: looked_up.get(name) or _judge(name, said.get(name)) for name in given}
    lines = [f"- `{name}`: {_line(name, said.get(name, ''), one, language)}" for name, one in found.items()]
    notes = []
    if any(one.state.is_doubtful for one in found.values()):
        sentence = quote(one_line(" ".join(said.values()), _SENTENCE_MAX_CHARS), _SENTENCE_MAX_CHARS)
        notes.append(_SENTENCE[language].replace("{sentence}", sentence))
    # The free text comes last: as long as it is empty, every word had a place.
    if [*given][-1] in said:
        notes.append(_END[language])
    if notes:
        lines += ["", *notes]
    place = {name: said[name] for name, one in looked_up.items() if one.state is not State.NOT_FOUND}
    return Facts("\n".join(lines), place)


def _judge(name: str, value: str | None) -> Finding:
    if value is None:
        return Finding(State.MISSING)
    rule = _RULES.get(name)
    return Finding(State.GOOD if rule is None or rule(value) else State.ODD)


def _line(name: str, value: str, found: Finding, language: Language) -> str:
    shown = _word(value) if name in _RULES or name in LOOKED_UP else one_line(value, _TEXT_MAX_CHARS)
    note = f" ({found.note})" if found.note else ""
    return _SHOWN[language][found.state].replace("{value}", shown) + note


def _word(value: str) -> str:
    """One plain word as it is; anything else in quotes, so that a reader sees where it ends."""
    is_plain = one_line(value, _WORD_MAX_CHARS) == value and not set(" `'\"") & set(value)
    return value if is_plain else quote(value, _WORD_MAX_CHARS)
