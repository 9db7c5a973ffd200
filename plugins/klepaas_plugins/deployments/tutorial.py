"""The tutorial: a prompt that lets a model guide a newcomer through nine steps, each a few calls of tools.

Where a person stands is theirs to know: the conversation holds it, or the argument `step` says it. The server keeps
nothing. The steps are data (`tutorial_steps`), so that a test can do what the text says.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from klepaas import names
from klepaas.completion import Completer
from klepaas.prompts import Prompt
from klepaas_plugins.deployments.prompt_facts import Beginning, Facts, Language, find_facts, is_step
from klepaas_plugins.deployments.prompt_texts import written
from klepaas_plugins.deployments.prompt_wordings import TUTORIAL
from klepaas_plugins.kubernetes.client import Clusters

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
_SAID = {"en": "What I told you so far:", "ko": "지금까지 알려 드린 내용입니다."}
_FAILS = {"en": "meant to fail", "ko": "일부러 실패"}


def tutorial_prompt(clusters: Clusters, completions: Mapping[str, Completer]) -> Prompt:
    """The prompt.

    Args:
        clusters: Where a context and a namespace are looked up.
        completions: What completes them.
    """

    async def tutorial(
        step: Beginning = "start",
        namespace: Annotated[str | None, names.NAMESPACE] = None,
        context: Annotated[str | None, names.CONTEXT] = None,
        language: Language = "en",
        wish: Annotated[str | None, names.TEXT] = None,
    ) -> str:
        """Be guided through the tutorial."""
        from klepaas_plugins.deployments.tutorial_steps import steps  # with the first tutorial, not with the server

        given = {"step": step, "namespace": namespace, "context": context, "wish": wish}
        facts = await find_facts(clusters, given, language)
        shown = "\n\n".join(_shown(number, one, language, facts.place) for number, one in enumerate(steps(), 1))
        text = written(f"tutorial.{language}.md").replace("{steps}", shown)
        # Last, so that nothing that a person said is taken for a placeholder.
        return text.replace("{begin}", _begin(given, facts, language))

    return Prompt(tutorial, TUTORIAL, completions, takes_sentences=True)


def _begin(given: Mapping[str, str | None], facts: Facts, language: Language) -> str:
    """Where to begin, and what else was said."""
    step = given["step"] or "start"
    known = step if is_step(step) else "start"
    begin = _BEGIN[language].get(known) or _BEGIN[language]["next"].format(number=known)
    has_more = known != step or any(given[name] for name in ("namespace", "context", "wish"))
    return f"{begin}\n\n{_SAID[language]}\n\n{facts.text}" if has_more else begin


def _shown(number: int, step: "Step", language: str, place: Mapping[str, str]) -> str:
    title, said = step.words[language]
    calls = [f"   - `{call.text(place)}`{f' ({_FAILS[language]})' if call.fails else ''}" for call in step.calls]
    return "\n".join([f"{number}. **{title}.** {said}", *calls])
