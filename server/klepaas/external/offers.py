"""What klepaas offers of a server: each trusted tool under its rules, with names that nobody else has.

An offer joins what the server says of a tool (its definition) with what klepaas thinks of it (its rule). It knows how
the tool is listed and whether it may be called; calling it is `klepaas.external.guarded`'s.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from klepaas.external.declaration import ExternalProvider, ToolRule
from klepaas.external.definitions import Definition
from klepaas.external.trust import Listing, Standing, Trust
from klepaas.external.wording import LONG_DESCRIPTION_MAX_CHARS, LONG_PARAMETER_MAX_CHARS, said_by, schema_of
from klepaas.output.quoting import quote
from klepaas.output.safe import limit_length
from klepaas.tools import Target

__all__ = ["Offer", "offers_of", "unruled"]

log = logging.getLogger(__name__)

NAME_MAX_CHARS = 64
_OWN = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True)
class Offer:
    """One tool as it is offered.

    Attributes:
        name: The name clients call.
        provider: The server.
        definition: What the server says of it.
        rule: What klepaas thinks of it.
        standing: Whether it is trusted.
    """

    name: str
    provider: ExternalProvider
    definition: Definition
    rule: ToolRule
    standing: Standing

    @property
    def open(self) -> bool:
        """Whether it may be called."""
        return self.standing is Standing.TRUSTED

    @property
    def listed(self) -> bool:
        """Whether clients are told of it at once."""
        return self.open and self.rule.listed

    @property
    def title(self) -> str:
        """A short name for people."""
        return self.rule.title or self.name.replace("_", " ").replace("-", " ").capitalize()

    @cached_property
    def description(self) -> str:
        """What the list says of it."""
        return self.rule.description or said_by(self.provider.name, self.definition.description)

    @cached_property
    def long_description(self) -> str:
        """What a search says of it."""
        theirs = said_by(self.provider.name, self.definition.description, LONG_DESCRIPTION_MAX_CHARS)
        return f"{self.rule.description} {theirs}" if self.rule.description else theirs

    @cached_property
    def listed_schema(self) -> dict[str, Any]:
        """Its parameters as the list shows them."""
        return schema_of(self.definition.schema, hidden=self.rule.fixed, shown=self.rule.parameters)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """All of its parameters."""
        return schema_of(self.definition.schema, hidden=self.rule.fixed, parameter_max_chars=LONG_PARAMETER_MAX_CHARS)

    def targets(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        """What a call with these arguments would change.

        Args:
            arguments: The arguments that the caller gave.
        """
        if self.rule.targets is not None:
            return tuple(self.rule.targets({**arguments, **self.rule.fixed}))
        return (Target(context=self.provider.name, kind=limit_length(self.definition.name, 100)),)


def offers_of(
    provider: ExternalProvider, listing: Listing, trust: Trust, other_prefixes: Collection[str] = ()
) -> tuple[dict[str, Offer], list[str]]:
    """What is offered of a server, by the names that clients call, and a note on each tool that is not.

    Args:
        provider: The server.
        listing: What it listed.
        trust: What is trusted of it.
        other_prefixes: Whose names begin so belongs to another server.
    """
    found: dict[str, Offer] = {}
    notes: list[str] = []
    longer = [f"{other}_" for other in other_prefixes if other.startswith(f"{provider.prefix}_")]
    for name in sorted(listing.definitions):
        definition = listing.definitions[name]
        for rule in _rules(provider, name, notes):
            shown = _shown_name(provider.prefix, rule.name or name)
            if shown is None or any(shown.startswith(other) for other in longer):
                notes.append(f"{quote(name)} is left out: it cannot be named within {provider.prefix}_")
            elif shown in found:
                notes.append(f"{quote(name)} is left out: {found[shown].definition.name} is called {shown} already")
            else:
                found[shown] = Offer(shown, provider, definition, rule, trust.standing(definition))
    return found, notes


def unruled(provider: ExternalProvider, name: str) -> bool:
    """Whether nobody says anything of a tool: neither the plugin nor the operator.

    Args:
        provider: The server.
        name: The server's own name of the tool.
    """
    return all(rule == ToolRule(listed=rule.listed) for rule in _rules(provider, name, []))


def _rules(provider: ExternalProvider, name: str, notes: list[str]) -> Iterator[ToolRule]:
    try:
        yield from provider.rules_for(name)
    except Exception as exc:  # a plugin's code
        log.warning("the rules of %s for %s failed: %s", provider.name, quote(name), type(exc).__name__, exc_info=exc)
        notes.append(f"{quote(name)} has no rules: they failed with {type(exc).__name__}")


def _shown_name(prefix: str, name: str) -> str | None:
    """The name with its prefix, once; None where it makes no name."""
    own = re.sub(r"[^a-zA-Z0-9_-]", "_", name.removeprefix(f"{prefix}_").removeprefix(f"{prefix}-"))
    shown = f"{prefix}_{own}"
    return shown if own.strip("_-") and _OWN.fullmatch(own) and len(shown) <= NAME_MAX_CHARS else None
