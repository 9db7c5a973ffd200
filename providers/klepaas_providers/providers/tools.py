"""The tools about external servers: which there are, how they are, and finding among all that they can do."""

import json
import re
from collections.abc import Iterator
from typing import Annotated

from klepaas.errors import NotFound
from klepaas.external.externals import Externals
from klepaas.external.guarded import Guarded
from klepaas.external.offers import Offer
from klepaas.names import TEXT, Check
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.quoting import quote
from klepaas.tools import Effect, Tool
from klepaas_providers.providers.standing import COLUMNS, lines_of, row_of

__all__ = ["ProviderTools"]

_PROVIDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@/=+-]*")
PROVIDER = Check(
    "provider name",
    lambda text: _PROVIDER.fullmatch(text) is not None,
    "a name that list_providers shows",
    max_chars=64,
)
MOST_FOUND = 8
_WORD = re.compile(r"[a-z0-9가-힣]+")


class ProviderTools:
    """The tools of one klepaas.

    Args:
        externals: Its external servers.
    """

    def __init__(self, externals: Externals) -> None:
        self._externals = externals

    def tools(self) -> Iterator[Tool]:
        """The tools."""
        for function, title, hint in (
            (self.list_providers, "External servers", "external mcp servers github slack"),
            (self.provider_health, "Health of external servers", "external server connection error retry"),
            (self.search_tools, "Search external tools", "find tool github slack issue pull request message"),
        ):
            yield Tool(function, Effect.READ, title, "providers", foreign_text=True, search_hint=hint)

    async def list_providers(self) -> Answer:
        """List the external MCP servers behind klepaas (GitHub, Slack, ...)."""
        servers = self._externals.servers
        return Answer(table(COLUMNS, [row_of(server) for server in servers]))

    async def provider_health(self, provider: Annotated[str | None, PROVIDER] = None) -> Answer:
        """Say how external servers are: connection, breaker, last error, age of the list, next retry, closed tools."""
        servers = [self._server(provider)] if provider else list(self._externals.servers)
        lines = [line for server in servers for line in lines_of(server)]
        return Answer("\n".join(lines))

    async def search_tools(
        self, query: Annotated[str, TEXT], provider: Annotated[str | None, PROVIDER] = None
    ) -> Answer:
        """Find tools of external servers that are not listed, with their parameters; call_tool calls them."""
        servers = [self._server(provider)] if provider else list(self._externals.servers)
        offers = [offer for server in servers for offer in server.offers.values() if offer.open]
        found = _best(offers, query)
        if not found:
            named = ", ".join(sorted(offer.name for offer in offers)[:60])
            return Answer(f"No tool has words of the query. There are: {named}" if named else "There are no tools yet.")
        return Answer(fit("\n\n".join(_shown(offer) for offer in found), LIST_BYTES, "Search for less"))

    def _server(self, name: str) -> Guarded:
        server = self._externals.server(name)
        if server is None:
            known = ", ".join(one.provider.name for one in self._externals.servers)
            raise NotFound(f"There is no provider {quote(name)}", next_step=f"There are: {known}")
        return server


def _shown(offer: Offer) -> str:
    parameters = json.dumps(offer.schema["properties"], ensure_ascii=False, separators=(",", ":"))
    required = ", ".join(offer.schema.get("required", [])) or "none"
    return f"{offer.name} ({offer.rule.effect.value})\n{offer.long_description}\nrequired: {required}\n{parameters}"


def _best(offers: list[Offer], query: str) -> list[Offer]:
    """Those with the most words of the query, words of the name counting more; a word that few tools have, more too."""
    wanted = set(_WORD.findall(query.lower()))
    texts = {offer.name: _words(offer) for offer in offers}
    rarity = {word: 1 + len(offers) / (1 + sum(_has(word, text) > 0 for text in texts.values())) for word in wanted}
    scores = {offer.name: sum(_has(word, texts[offer.name]) * rarity[word] for word in wanted) for offer in offers}
    ranked = sorted(offers, key=lambda offer: (-scores[offer.name], offer.name))
    return [offer for offer in ranked if scores[offer.name] > 0][:MOST_FOUND]


def _words(offer: Offer) -> tuple[set[str], set[str]]:
    name = {*_WORD.findall(offer.name.lower()), *_WORD.findall(offer.definition.name.lower().replace("_", " "))}
    name |= set(offer.name.lower().split("_"))
    return name, set(_WORD.findall(offer.long_description.lower()))


def _has(word: str, text: tuple[set[str], set[str]]) -> float:
    name, description = text
    stem = word.rstrip("s") if len(word) > 3 else word
    if any(part.rstrip("s") == stem for part in name):
        return 3.0
    return 1.0 if any(part.rstrip("s") == stem for part in description) else 0.0
