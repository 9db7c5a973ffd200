"""The tutorial: a prompt that lets a model guide a newcomer through nine steps, each a few calls of tools.

Where a person stands is theirs to know: the conversation holds it, or the argument `step` says it. The server keeps
nothing. The steps are data (`tutorial_steps`), so that a test can do what the text says.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from klepaas import names
from klepaas.completion import Completer
from klepaas.prompts import Prompt
from klepaas_plugins.deployments.prompt_texts import written
from klepaas_plugins.deployments.prompt_wordings import TUTORIAL

if TYPE_CHECKING:
    from klepaas_plugins.deployments.tutorial_steps import Step

__all__ = ["tutorial_prompt"]

_BEGIN: Mapping[str, Mapping[str, str]] = {
    "en": {
        "start": "Begin with step 1. Tell me first what the tutorial is about, in three sentences.",
        "reset": "Do the last step first: it deletes what an earlier run made. What is not there is fine. Then begin "
        "with step 1.",
        "next": "I have done everything before step {number}. Begin there.",
    },
    "ko": {
        "start": "1단계부터 시작하세요. 먼저 튜토리얼에서 무엇을 하는지 세 문장으로 알려 주세요.",
        "reset": "먼저 마지막 단계를 해서 이전에 만든 것을 삭제하세요. 이미 없다면 괜찮습니다. 그런 다음 1단계부터 "
        "시작하세요.",
        "next": "{number}단계 전까지는 마쳤습니다. 그 단계부터 시작하세요.",
    },
}
_FAILS = {"en": "meant to fail", "ko": "일부러 실패"}


async def tutorial(
    step: Literal["start", "1", "2", "3", "4", "5", "6", "7", "8", "9", "reset"] = "start",
    namespace: Annotated[str | None, names.NAMESPACE] = None,
    context: Annotated[str | None, names.CONTEXT] = None,
    language: Literal["en", "ko"] = "en",
) -> str:
    """Be guided through the tutorial."""
    from klepaas_plugins.deployments.tutorial_steps import steps  # with the first tutorial, not with the server

    text = written(f"tutorial.{language}.md")
    place = {name: value for name, value in (("namespace", namespace), ("context", context)) if value}
    begin = _BEGIN[language].get(step) or _BEGIN[language]["next"].format(number=step)
    shown = "\n\n".join(_shown(number, one, language, place) for number, one in enumerate(steps(), 1))
    return text.replace("{begin}", begin).replace("{steps}", shown)


def tutorial_prompt(completions: Mapping[str, Completer]) -> Prompt:
    """The prompt.

    Args:
        completions: What completes a context and a namespace.
    """
    return Prompt(tutorial, TUTORIAL, completions)


def _shown(number: int, step: "Step", language: str, place: Mapping[str, str]) -> str:
    title, said = step.words[language]
    calls = [f"   - `{call.text(place)}`{f' ({_FAILS[language]})' if call.fails else ''}" for call in step.calls]
    return "\n".join([f"{number}. **{title}.** {said}", *calls])
