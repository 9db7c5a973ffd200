"""One server behind the guard: its connection, its trusted tools, and the one way of a call to it.

    gate -> a tool of the server -> limits, retry, breaker (`klepaas.resilience`) -> its session -> its own classifier

Nothing of FastMCP's own proxy is used: it lists and starts a server within somebody's request, forgets the tools of one
that is down, and passes headers and metadata of callers on. The list comes from memory here, and from disk before that.
A change is never sent twice; where nobody knows whether it was made, the answer says so and how to find out.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import anyio.to_thread
import mcp_types as mt
from fastmcp.tools import ToolResult
from pydantic import ValidationError

from klepaas.errors import BadRequest, Conflict, KlepaasError, Unauthorized
from klepaas.external.classify import classify_mcp, said_in
from klepaas.external.connection import BOOT_WAIT_S, Connection, ConnectionState, Pace
from klepaas.external.declaration import ExternalProvider
from klepaas.external.definitions import Definition, definitions_of
from klepaas.external.failures import AnswerTooLong, NotUp
from klepaas.external.offers import Offer, offers_of, unruled
from klepaas.external.trust import Listing, Standing, Trust, TrustStore
from klepaas.output.jsonable import valid_json, valid_text
from klepaas.output.safe import shorten
from klepaas.resilience import Kind, Observation, OutcomeUnknown, Policy, Upstream, Upstreams, Verdict
from klepaas.tools import Effect

__all__ = ["Guarded", "policy_of"]

log = logging.getLogger(__name__)

TRUST_POLL_S = 2.0
_DETAILS_MAX_CHARS = 2000
_MOST_NOTES = 20


def policy_of(provider: ExternalProvider) -> Policy:
    """The limits of calls to a server: two tries of a read, and the start that the first may have to wait for."""
    if provider.policy is not None:
        return provider.policy
    attempt_s = min(BOOT_WAIT_S, provider.boot_timeout_s) + provider.call_timeout_s + 1.0
    return Policy(max_concurrent=8, attempt_timeout_s=attempt_s, total_timeout_s=attempt_s + provider.call_timeout_s)


class Guarded:
    """One server.

    Args:
        provider: Its declaration.
        store: What is known of it between starts.
        upstreams: Where its limits are kept.
        changed: Told whenever other tools are offered than before.
        drifted: Told of each tool that is defined otherwise than it was trusted.
        strict: Whether new tools must be trusted by a person, whatever the declaration says.
        pace: How often things are tried. None: as people want it.
    """

    def __init__(
        self,
        provider: ExternalProvider,
        store: TrustStore,
        upstreams: Upstreams,
        *,
        changed: Callable[[], None],
        drifted: Callable[[ExternalProvider, Definition], None],
        strict: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self.provider = provider
        self.policy = policy_of(provider)
        self.connection = Connection(provider, self._listed, pace)
        self.listing: Listing | None = store.listing()
        self.trust: Trust = store.trust()
        self.offers: dict[str, Offer] = {}
        self.notes: list[str] = []
        self.lists_taken = 0
        self.other_prefixes: Collection[str] = ()
        self._store = store
        self._stamp = store.stamp
        self._strict = strict or provider.strict
        self._changed = changed
        self._drifted = drifted
        self._told: set[str] = set()
        self._classify = provider.classify or classify_mcp
        self._upstream: Upstream = upstreams.get(f"mcp/{provider.key}", self.policy, self._judge)
        self._settle()

    @property
    def upstream(self) -> Upstream:
        """Its limits, its breaker and its last failure."""
        return self._upstream

    @property
    def closed(self) -> list[Offer]:
        """The tools that wait for a person's trust."""
        return [offer for offer in self.offers.values() if not offer.open]

    @property
    def list_age_s(self) -> float | None:
        """How old the list of its tools is, in seconds. None: there is none."""
        return None if self.listing is None else max(0.0, time.time() - self.listing.listed_at)

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        if self.provider.problem is not None:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self.connection.run)
            group.start_soon(self._watch_trust)

    async def call(self, offer: Offer, arguments: dict[str, Any]) -> ToolResult:
        """Call one of its tools.

        Args:
            offer: The tool.
            arguments: What the caller gave; the gate has checked it.

        Raises:
            KlepaasError: It refused, failed, or nobody knows.
        """
        seen: list[Observation] = []
        ask = partial(self._ask, offer, {**arguments, **offer.rule.fixed}, seen)
        safe = offer.rule.effect is Effect.READ
        try:
            result = await self._upstream.call(ask, safe=safe, what=f"call {offer.name}", verify=offer.rule.verify)
        except NotUp as exc:
            what = f"Cannot call {offer.name}: {self.provider.name} {exc.what}; nothing was sent"
            if self.connection.unauthorized:
                raise Unauthorized(what, next_step="Ask the person who runs klepaas to renew its credentials") from exc
            raise NotUp(what, next_step=exc.next_step, retry_after_s=exc.retry_after_s) from exc
        except KlepaasError as exc:
            exc.details = exc.details or self._said(seen)
            raise
        if isinstance(result, mt.InputRequiredResult):
            raise Conflict(f"{self.provider.name} asks for more input, which klepaas does not pass on")
        verdict = self._judge(Observation(result, wall_s=time.time()))
        if verdict.kind is not Kind.OK or result.is_error:
            raise self._refused(offer, verdict, seen)
        return _result(result)

    async def _ask(self, offer: Offer, arguments: dict[str, Any], seen: list[Observation]) -> Any:
        """Ask once, and remember the answer for whoever explains it."""
        limit_s = offer.rule.timeout_s or self.provider.call_timeout_s
        try:
            result = await self.connection.call_tool(offer.definition.name, arguments, limit_s)
        except AnswerTooLong as exc:
            if offer.rule.effect is Effect.READ:
                raise
            raise OutcomeUnknown(
                f"It is not known whether this was done: {exc.what[0].lower()}{exc.what[1:]}",
                next_step=offer.rule.verify or "Look at what there is now before doing it again",
            ) from exc
        except Exception as exc:
            seen.append(Observation(error=exc))
            raise
        seen.append(Observation(result))
        return result

    def _judge(self, seen: Observation) -> Verdict:
        if isinstance(seen.error, NotUp):
            return Verdict(Kind.NOT_SENT, seen.error.retry_after_s)
        if isinstance(seen.error, ValidationError):
            return Verdict(Kind.PROTOCOL)
        return self._classify(seen)

    def _refused(self, offer: Offer, verdict: Verdict, seen: list[Observation]) -> KlepaasError:
        kind = verdict.error or BadRequest
        return kind(f"{self.provider.name} refused {offer.name}", details=self._said(seen))

    def _said(self, seen: list[Observation]) -> str | None:
        """What the server said last, as evidence below the error's line."""
        text = shorten(said_in(seen[-1]), _DETAILS_MAX_CHARS, "").strip() if seen else ""
        return f"{self.provider.name} said: {text}" if text else None

    async def _listed(self, tools: list[mt.Tool], server: str) -> None:
        """Take in a new list: trust what may be trusted at first sight, close what changed, remember it."""
        definitions, notes = definitions_of(tools)
        if not definitions and self.listing is not None and self.listing.definitions:
            # A server that lists nothing any more has usually lost something; its tools stay, and calls will tell.
            log.warning("%s lists no tools any more; those of before stay", self.provider.name)
            self.lists_taken += 1
            return
        self.listing = Listing(definitions, time.time(), server, tuple(notes[:_MOST_NOTES]))
        try:
            self.trust = await anyio.to_thread.run_sync(self._remember, self.listing)
        except OSError as exc:
            log.warning("what %s lists cannot be remembered: %s", self.provider.name, exc.strerror)
            self.trust = Trust({**{d.name: d for d in self._trusted_at_sight(self.trust)}, **self.trust.definitions})
        self._settle()
        self.lists_taken += 1

    def _remember(self, listing: Listing) -> Trust:
        trust = self._store.trust()
        fresh = self._trusted_at_sight(trust)
        if fresh:
            trust = self._store.add(fresh)
        self._store.keep(listing)
        self._stamp = self._store.stamp
        return trust

    def _trusted_at_sight(self, trust: Trust) -> list[Definition]:
        """All at the first list ever; later, new tools of which somebody has said what they may do."""
        if self._strict or not trust.readable or self.listing is None:
            return []
        new = [item for item in self.listing.definitions.values() if trust.standing(item) is Standing.NEW]
        return new if trust.is_new else [item for item in new if not unruled(self.provider, item.name)]

    def _settle(self) -> None:
        """Offer what the list and the trust allow, and tell whoever wants to know."""
        if self.listing is None:
            return
        before = self._shape()
        self.offers, notes = offers_of(self.provider, self.listing, self.trust, self.other_prefixes)
        self.notes = [*self.listing.notes, *notes][:_MOST_NOTES]
        self._tell_of_drift()
        if self._shape() != before:
            self._changed()

    def _tell_of_drift(self) -> None:
        """Once a tool, however often it changes, until it is trusted again."""
        drifted = {offer.definition.name: offer for offer in self.closed if offer.standing is Standing.CHANGED}
        for name, offer in drifted.items():
            if name not in self._told:
                self._drifted(self.provider, offer.definition)
        self._told = set(drifted)

    def settle_names(self, other_prefixes: Collection[str]) -> None:
        """Leave names to servers with a longer prefix.

        Args:
            other_prefixes: The prefixes of the other servers.
        """
        self.other_prefixes = other_prefixes
        self._settle()

    def _shape(self) -> list[tuple[str, str, bool]]:
        return [(offer.name, offer.definition.digest, offer.open) for offer in self.offers.values()]

    async def _watch_trust(self) -> None:
        """While tools wait for a person: see whether one has trusted them, in whatever process."""
        while True:
            await anyio.sleep(TRUST_POLL_S)
            if not self.closed:
                continue
            if await anyio.to_thread.run_sync(self._trust_changed):
                self._settle()

    def _trust_changed(self) -> bool:
        stamp = self._store.stamp
        if stamp == self._stamp:
            return False
        self._stamp, self.trust = stamp, self._store.trust()
        return True

    @property
    def is_up(self) -> bool:
        """Whether the server can be asked now."""
        return self.connection.state is ConnectionState.CONNECTED

    def start(self) -> "asyncio.Task[None]":
        """Begin to keep the connection up, in a task that whoever starts it cancels."""
        self.connection.starting()
        return asyncio.create_task(self.run(), name=f"klepaas-mcp-{self.provider.key}")


def _result(result: mt.CallToolResult) -> ToolResult:
    """The answer as FastMCP takes it, with the server's structured content, which is also the text where there is none.

    Its `_meta` stays behind: it is the server's own talk with its client, which is klepaas.
    """
    content: list[Any] = [_valid(block) for block in result.content]
    data = valid_json(result.structured_content)
    if not content and data is not None:
        content = [mt.TextContent(text=json.dumps(data, ensure_ascii=False))]
    return ToolResult(content=content, structured_content=_object(data))


def _valid(block: mt.ContentBlock) -> mt.ContentBlock:
    """The block with texts that JSON can carry: FastMCP refuses others, and with them the whole answer."""
    if isinstance(block, mt.TextContent):
        return mt.TextContent(text=valid_text(block.text))
    if isinstance(block, mt.EmbeddedResource) and isinstance(block.resource, mt.TextResourceContents):
        text = valid_text(block.resource.text)
        return block.model_copy(update={"resource": block.resource.model_copy(update={"text": text})})
    return block


def _object(data: Any) -> dict[str, Any] | None:
    """Structured content as every version of the protocol has it: an object."""
    return data if isinstance(data, dict) else None
