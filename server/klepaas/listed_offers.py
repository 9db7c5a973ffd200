"""Resources and prompts as clients list them, in few bytes and in an order that never changes."""

from collections.abc import Sequence
from typing import Any

from fastmcp.prompts import Prompt as McpPrompt
from fastmcp.prompts.base import PromptArgument
from fastmcp.resources import Resource as McpResource
from fastmcp.resources import ResourceTemplate as McpTemplate
from pydantic import AnyUrl

from klepaas.hookspecs import Prompt, Resource
from klepaas.offers import Offers
from klepaas.output.jsonable import valid_text
from klepaas.prompts import LANGUAGE

__all__ = ["listed_prompts", "listed_resources", "listed_templates"]


def listed_resources(offers: Offers) -> Sequence[McpResource]:
    """The resources without variables, by URI."""
    return [_resource(offer.item) for offer in offers.resources if not offer.item.is_template]


def listed_templates(offers: Offers) -> Sequence[McpTemplate]:
    """The resources with variables, by URI."""
    return [_template(offer.item) for offer in offers.resources if offer.item.is_template]


def listed_prompts(offers: Offers) -> Sequence[McpPrompt]:
    """The prompts, by name, each with its words in all its languages."""
    return [_prompt(offer.item) for offer in offers.prompts.values()]


class _LeanResource(McpResource):
    """Without FastMCP's note to clients, which says nothing."""

    def get_meta(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Nothing, so that nothing is sent."""
        return None


class _LeanTemplate(McpTemplate):
    """Without that note."""

    def get_meta(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Nothing, so that nothing is sent."""
        return None


class _LeanPrompt(McpPrompt):
    """Without that note."""

    def get_meta(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Nothing, so that nothing is sent."""
        return None


def _resource(item: Resource) -> McpResource:
    return _LeanResource(
        uri=AnyUrl(item.uri),
        name=item.name,
        title=valid_text(item.title),
        description=valid_text(item.description),
        mime_type=item.mime_type,
    )


def _template(item: Resource) -> McpTemplate:
    return _LeanTemplate(
        uri_template=item.uri,
        name=item.name,
        title=valid_text(item.title),
        description=valid_text(item.description),
        mime_type=item.mime_type,
        parameters={},
    )


def _prompt(item: Prompt) -> McpPrompt:
    arguments = [
        PromptArgument(name=name, description=_meaning(item, name), required=variable.required)
        for name, variable in item.variables.items()
    ]
    return _LeanPrompt(
        name=item.name,
        title=valid_text(item.shown(lambda wording: wording.title)),
        description=valid_text(item.shown(lambda wording: wording.description)),
        arguments=arguments,
    )


def _meaning(item: Prompt, argument: str) -> str:
    if argument == LANGUAGE:
        return " / ".join(item.wordings)
    return valid_text(item.shown(lambda wording: wording.arguments[argument]))
