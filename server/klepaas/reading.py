"""The gate's part for what is read: resources, prompts, and suggestions for their variables.

    find the declaration -> check each variable -> run with a time limit -> clean, redact, cut

What no plugin declared is not there, whoever mounted it: FastMCP's own way to resources and prompts is never taken.
Nothing here changes anything, so there is no confirmation; the rate and the number at the same time are
`klepaas.calls`' affair, as with tools. Every failure leaves as an error of the protocol with one line and a code.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import mcp_types as mt
from fastmcp.exceptions import NotFoundError
from fastmcp.prompts import PromptResult
from fastmcp.resources import ResourceContent, ResourceResult
from mcp import MCPError

from klepaas.completion import MOST_VALUES, Completer, suggestions
from klepaas.errors import KlepaasError, TimedOut
from klepaas.failures import explained, trail, unexpected
from klepaas.offers import Offers
from klepaas.offload import offload
from klepaas.output import Answer
from klepaas.output.quoting import quote
from klepaas.output.safe import limit_length
from klepaas.principals import acting, current_principal, principal_of
from klepaas.variables import Variable, verify
from klepaas.way_out import safe_beginning, to_protocol_error

if TYPE_CHECKING:
    from fastmcp import Context

__all__ = ["Reading"]

log = logging.getLogger(__name__)
T = TypeVar("T")
# A name that nobody declared is quoted in an error, but not at any length.
_QUOTED_MAX_CHARS = 200


class Reading:
    """Reads what plugins declared.

    Args:
        offers: The resources and prompts there are.
        max_bytes: The most that a text may take, in bytes.
    """

    def __init__(self, offers: Offers, max_bytes: int) -> None:
        self.offers = offers
        self._max_bytes = max_bytes

    async def resource(self, uri: str, context: "Context | None") -> ResourceResult:
        """Read a resource.

        Args:
            uri: Its URI, as a client wrote it.
            context: FastMCP's, which tells who reads.

        Raises:
            NotFoundError: There is no such resource.
            MCPError: It cannot be read; the error says why.
        """
        found = self.offers.find(uri)
        if found is None:
            raise NotFoundError(f"There is no resource {quote(uri, _QUOTED_MAX_CHARS)}")
        resource, values = found

        async def read() -> str:
            checked = verify(resource.variables, values, f"the resource {resource.name}")
            answer = await resource.function(**checked)
            return answer.text if isinstance(answer, Answer) else answer

        # Where the reader finds the mistake: the one thing that the answer's own words need not say.
        where = {"uri": limit_length(uri, _QUOTED_MAX_CHARS)}
        text = await self._guarded(read, f"The resource {resource.name}", resource.timeout_s, context, where)
        return ResourceResult([ResourceContent(text, mime_type=resource.mime_type)])

    async def prompt(self, name: str, arguments: Mapping[str, object], context: "Context | None") -> PromptResult:
        """Write a prompt.

        Args:
            name: Its name, as it is listed.
            arguments: What was filled in.
            context: FastMCP's, which tells who asks.

        Raises:
            NotFoundError: There is no such prompt.
            MCPError: The arguments are wrong, or it cannot be written; the error says why.
        """
        found = self.offers.prompts.get(name)
        if found is None:
            raise NotFoundError(f"There is no prompt {quote(name, _QUOTED_MAX_CHARS)}")
        prompt = found.item

        async def write() -> str:
            return await prompt.function(**prompt.fill(arguments))

        text = await self._guarded(write, f"The prompt {name}", prompt.timeout_s, context, {})
        description = prompt.shown(lambda wording: wording.description)
        return PromptResult(text, description=safe_beginning(description, self._max_bytes))

    async def suggest(
        self,
        ref: mt.PromptReference | mt.ResourceTemplateReference,
        argument: mt.CompletionArgument,
        chosen: Mapping[str, str],
        context: "Context | None",
    ) -> mt.Completion:
        """Suggest values for a variable; nothing where there is no such variable.

        Args:
            ref: Of what.
            argument: The variable, and what was typed so far.
            chosen: What was chosen for others; what breaks its rule is left out.
            context: FastMCP's, which tells who asks.
        """
        variables, completions = self._asked(ref)
        variable = variables.get(argument.name)
        if variable is None:
            return mt.Completion(values=[])
        kept = {name: value for name, value in chosen.items() if name in variables and variables[name].accepts(value)}
        with acting(principal_of(context) if context else current_principal()):
            values = await suggestions(variable, completions.get(variable.name), argument.value, kept)
        return mt.Completion(values=values[:MOST_VALUES], total=len(values), has_more=len(values) > MOST_VALUES)

    def _asked(
        self, ref: mt.PromptReference | mt.ResourceTemplateReference
    ) -> tuple[Mapping[str, Variable], Mapping[str, Completer]]:
        if isinstance(ref, mt.PromptReference):
            found = self.offers.prompts.get(ref.name)
            return (found.item.variables, found.item.completions) if found else ({}, {})
        # Some clients write a template as if it were a URI already.
        resource = self.offers.template(ref.uri.replace("%7B", "{").replace("%7D", "}"))
        return (resource.variables, resource.completions) if resource else ({}, {})

    async def _guarded(
        self,
        run: Callable[[], Awaitable[Any]],
        what: str,
        timeout_s: float,
        context: "Context | None",
        where: Mapping[str, str],
    ) -> str:
        """A plugin's text as it may leave, or the reason why not."""
        try:
            with acting(principal_of(context) if context else current_principal()):
                text = await _in_time(run, what, timeout_s)
            if not isinstance(text, str):
                raise TypeError("a resource or a prompt is a text")
            return await offload(partial(safe_beginning, text, self._max_bytes), size_chars=len(text))
        except (Exception, SystemExit) as exc:  # guarded boundary: a plugin's code
            error = explained(exc, what)
            log.info("%s was not read: %s", what, error.code if error else "unexpected")
            raise self._refusal(error or _defect(exc, what), where) from exc

    def _refusal(self, error: KlepaasError, where: Mapping[str, str]) -> MCPError:
        return to_protocol_error(error, self._max_bytes, where)


async def _in_time(run: Callable[[], Awaitable[T]], what: str, timeout_s: float) -> T:
    with anyio.move_on_after(timeout_s):
        return await run()
    raise TimedOut(f"{what} gave no answer within {timeout_s:g} s", next_step="Look again")


def _defect(exc: BaseException, what: str) -> KlepaasError:
    reference = uuid.uuid4().hex[:12]
    log.error("%s failed unexpectedly, reference %s: %s", what, reference, trail(exc))
    # What an exception says may quote anything, so it needs a person who asks for it.
    log.debug("reference %s in full", reference, exc_info=exc)
    return unexpected(what, reference)
