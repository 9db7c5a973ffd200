"""The prompts about applications, in English and Korean: deploy, troubleshoot, roll back, post-mortem.

Their texts lie in `prompt_texts`, a file for each language; what a person filled in stands in them as a list, so that
nothing of it can become part of the instructions' own sentences. The tutorial is `tutorial`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from klepaas import names
from klepaas.host import Host
from klepaas.output.verdict import Claim, term
from klepaas.prompts import Prompt
from klepaas_plugins.deployments.prompt_texts import written
from klepaas_plugins.deployments.prompt_wordings import DEPLOY, POST_MORTEM, ROLLBACK, TROUBLESHOOT
from klepaas_plugins.deployments.resources import completions
from klepaas_plugins.deployments.tutorial import tutorial_prompt
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["application_prompts", "filled"]

Language = Literal["en", "ko"]
Context = Annotated[str | None, names.CONTEXT]
Namespace = Annotated[str | None, names.NAMESPACE]
Said = Annotated[str | None, names.TEXT]
_NUMBER = names.Check("release", lambda text: text.isascii() and text.isdecimal(), "a number", max_chars=9)
_NOT_GIVEN: Mapping[str, str] = {"en": "not given", "ko": "주어지지 않음"}


def application_prompts(host: Host) -> Iterable[Prompt]:
    """The prompts.

    Args:
        host: The server's settings and shared services.
    """
    known = completions(Clusters.of(host))
    yield Prompt(deploy, DEPLOY, known)
    yield Prompt(troubleshoot, TROUBLESHOOT, known)
    yield Prompt(rollback, ROLLBACK, known)
    yield Prompt(post_mortem, POST_MORTEM, known)
    yield tutorial_prompt({name: known[name] for name in ("context", "namespace")})


async def deploy(
    app_name: Annotated[str, names.WORKLOAD],
    image: Annotated[str | None, names.IMAGE] = None,
    namespace: Namespace = None,
    context: Context = None,
    wish: Said = None,
    language: Language = "en",
) -> str:
    """Deploy an application, step by step."""
    given = {"app_name": app_name, "image": image, "namespace": namespace, "context": context, "wish": wish}
    return filled("deploy", language, given)


async def troubleshoot(
    app_name: Annotated[str, names.WORKLOAD],
    symptom: Said = None,
    namespace: Namespace = None,
    context: Context = None,
    language: Language = "en",
) -> str:
    """Find out what is wrong with an application."""
    given = {"app_name": app_name, "symptom": symptom, "namespace": namespace, "context": context}
    return filled("troubleshoot", language, given)


async def rollback(
    app_name: Annotated[str, names.WORKLOAD],
    release: Annotated[str | None, _NUMBER] = None,
    reason: Said = None,
    namespace: Namespace = None,
    context: Context = None,
    language: Language = "en",
) -> str:
    """Roll an application back."""
    given = {"app_name": app_name, "release": release, "reason": reason, "namespace": namespace, "context": context}
    return filled("rollback", language, given)


async def post_mortem(
    app_name: Annotated[str, names.WORKLOAD],
    what_happened: Said = None,
    since: Said = None,
    namespace: Namespace = None,
    context: Context = None,
    language: Language = "en",
) -> str:
    """Write a post-mortem."""
    given = {"app_name": app_name, "what_happened": what_happened, "since": since}
    return filled("post_mortem", language, {**given, "namespace": namespace, "context": context})


def filled(name: str, language: str, given: Mapping[str, str | None]) -> str:
    """The text of a prompt with what a person filled in.

    Args:
        name: The prompt's name.
        language: Its language.
        given: By argument: what was filled in. None: nothing.
    """
    text = written(f"{name}.{language}.md")
    missing = _NOT_GIVEN[language]
    facts = "\n".join(f"- `{key}`: {_one_line(value) if value else missing}" for key, value in given.items())
    spoken: Language = "ko" if language == "ko" else "en"
    for placeholder, claim in (("{healthy}", Claim.HEALTHY), ("{verified}", Claim.VERIFIED)):
        text = text.replace(placeholder, term(claim, spoken))
    return text.replace("{facts}", facts)


def _one_line(value: str) -> str:
    return " ".join(value.split())
