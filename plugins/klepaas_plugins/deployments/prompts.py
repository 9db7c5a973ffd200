"""The prompts about applications, in English and Korean: deploy, troubleshoot, roll back, post-mortem.

Their texts lie in `prompt_texts`, a file for each language; what a person filled in stands in them as a list
(`prompt_facts`), so that nothing of it can become part of the instructions' own sentences. Each takes its names first
and one free text last: clients that fill in by position leave a sentence in its order. The tutorial is `tutorial`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from klepaas import names
from klepaas.host import Host
from klepaas.output.verdict import Claim, term
from klepaas.prompts import Prompt
from klepaas_plugins.deployments.prompt_facts import NUMBER, Language, find_facts
from klepaas_plugins.deployments.prompt_texts import written
from klepaas_plugins.deployments.prompt_wordings import DEPLOY, POST_MORTEM, ROLLBACK, TROUBLESHOOT
from klepaas_plugins.deployments.resources import completions
from klepaas_plugins.deployments.tutorial import tutorial_prompt
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["application_prompts"]

Application = Annotated[str, names.APPLICATION]
Context = Annotated[str | None, names.CONTEXT]
Namespace = Annotated[str | None, names.NAMESPACE]
Said = Annotated[str | None, names.TEXT]


def application_prompts(host: Host) -> Iterable[Prompt]:
    """The prompts.

    Args:
        host: The server's settings and shared services.
    """
    clusters = Clusters.of(host)
    known = completions(clusters)
    author = _Author(clusters)
    yield Prompt(author.deploy, DEPLOY, known, takes_sentences=True)
    yield Prompt(author.troubleshoot, TROUBLESHOOT, known, takes_sentences=True)
    yield Prompt(author.rollback, ROLLBACK, known, takes_sentences=True)
    yield Prompt(author.post_mortem, POST_MORTEM, known, takes_sentences=True)
    yield tutorial_prompt(clusters, {name: known[name] for name in ("context", "namespace")})


class _Author:
    """Writes the prompts.

    Args:
        clusters: Where names are looked up.
    """

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    async def deploy(
        self,
        app_name: Application,
        image: Annotated[str | None, names.IMAGE] = None,
        namespace: Namespace = None,
        context: Context = None,
        language: Language = "en",
        wish: Said = None,
    ) -> str:
        """Deploy an application, step by step."""
        given = {"app_name": app_name, "image": image, "namespace": namespace, "context": context, "wish": wish}
        return await self._write("deploy", language, given)

    async def troubleshoot(
        self,
        app_name: Application,
        namespace: Namespace = None,
        context: Context = None,
        language: Language = "en",
        symptom: Said = None,
    ) -> str:
        """Find out what is wrong with an application."""
        given = {"app_name": app_name, "namespace": namespace, "context": context, "symptom": symptom}
        return await self._write("troubleshoot", language, given)

    async def rollback(
        self,
        app_name: Application,
        release: Annotated[str | None, NUMBER] = None,
        namespace: Namespace = None,
        context: Context = None,
        language: Language = "en",
        reason: Said = None,
    ) -> str:
        """Roll an application back."""
        given = {"app_name": app_name, "release": release, "namespace": namespace, "context": context, "reason": reason}
        return await self._write("rollback", language, given)

    async def post_mortem(
        self,
        app_name: Application,
        namespace: Namespace = None,
        context: Context = None,
        language: Language = "en",
        what_happened: Said = None,
    ) -> str:
        """Write a post-mortem."""
        given = {"app_name": app_name, "namespace": namespace, "context": context, "what_happened": what_happened}
        return await self._write("post_mortem", language, given)

    async def _write(self, name: str, language: Language, given: Mapping[str, str | None]) -> str:
        facts = await find_facts(self._clusters, given, language)
        text = written(f"{name}.{language}.md")
        for placeholder, claim in (("{healthy}", Claim.HEALTHY), ("{verified}", Claim.VERIFIED)):
            text = text.replace(placeholder, term(claim, language))
        # Last, so that nothing that a person said is taken for a placeholder.
        return text.replace("{facts}", facts.text)
