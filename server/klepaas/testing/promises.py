"""klepaas' promises over every tool of a plugin: reading changes nothing, texts lead nowhere, nothing leaks.

Each calls every tool with sensible arguments made from its declaration; a test gives samples for parameters whose
checks alone cannot tell what they mean. The upstream is a `FakeHttp` that the plugin has been pointed to.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from klepaas.app import App
from klepaas.catalogue import Entry
from klepaas.doctor import examine
from klepaas.observability import safe_text
from klepaas.output.quoting import quote
from klepaas.output.redaction import Vault
from klepaas.testing.clients import Said, Session, client
from klepaas.testing.expecting import expect
from klepaas.testing.fault_proxy import Fault
from klepaas.testing.http_fake import FakeHttp, HttpRequest, failing
from klepaas.testing.samples import HOSTILE, Samples, sensible, text_places
from klepaas.tools import Effect

__all__ = ["assert_nothing_leaks", "assert_read_only", "assert_refuses_hostile_texts"]

_READING = ("GET", "HEAD", "OPTIONS")


def by_method(request: HttpRequest) -> bool:
    """Whether a request changes something, by its method."""
    return request.method not in _READING


async def assert_read_only(
    app: App, fake: FakeHttp, *, samples: Samples | None = None, changes: Callable[[HttpRequest], bool] = by_method
) -> None:
    """What is declared to read changes nothing, and a read-only server refuses the rest and does not list it.

    Args:
        app: The klepaas.
        fake: Its upstream.
        samples: Values by parameter name. None: those that the checks accept.
        changes: Whether a request changes something. An API that reads with POST needs one of its own.

    Raises:
        AssertionError: It is otherwise.
    """
    async with client(app, person=True) as session:
        listed = {tool.name for tool in await session.tools()}
        for entry in app.catalogue:
            reads, is_open = entry.tool.effect is Effect.READ, entry.tool.name in listed
            expect(is_open or not reads, f"{entry.tool.name} reads, but is not listed")
            if is_open and not reads:
                continue  # the server allows writes
            fake.forget()
            said = await session.call(entry.tool.name, **sensible(entry, samples or {}))
            made = [f"{request.method} {request.path}" for request in fake.requests if changes(request)]
            expect(not made, f"{entry.tool.name} is not to change anything, and asked for {', '.join(made)}")
            refused = said.code == "forbidden"
            expect(reads or refused, f"a read-only server let {entry.tool.name} pass: {said.text}")


@dataclass(frozen=True)
class _Shape:
    """What texts in a call must not change about a request."""

    method: str
    segments: int
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, request: HttpRequest) -> "_Shape":
        return cls(request.method, request.path.count("/"), tuple(sorted({name for name, _ in request.query})))


async def assert_refuses_hostile_texts(app: App, fake: FakeHttp, *, samples: Samples | None = None) -> None:
    """No text in any place of any tool leads a request to another path, or adds to its query.

    A text may be refused, or arrive as the one name or value that it is.

    Args:
        app: The klepaas; changing tools are tried where it allows writes.
        fake: Its upstream, without faults.
        samples: Values by parameter name. None: those that the checks accept.

    Raises:
        AssertionError: A request went astray, or a call failed in a way that nobody foresaw.
    """
    async with client(app, person=True) as session:
        listed = {tool.name for tool in await session.tools()}
        for entry in app.catalogue:
            if entry.tool.name in listed:
                await _try_hostile_texts(session, entry, fake, samples or {})


async def _try_hostile_texts(session: Session, entry: Entry, fake: FakeHttp, samples: Samples) -> None:
    name, arguments = entry.tool.name, sensible(entry, samples)
    for place in text_places(entry):
        fake.forget()
        plain = samples.get(place.parameter, arguments.get(place.parameter))
        await session.call(name, **({**arguments, place.parameter: plain} if plain is not None else arguments))
        usual = {_Shape.of(request) for request in fake.requests}
        for text in HOSTILE:
            fake.forget()
            said = await _call_with(session, name, {**arguments, place.parameter: place.value_with(text)})
            about = f"{name} with {place.parameter}={quote(text, 40)}"
            if said is not None:
                expect(said.code != "internal", f"{about} failed unexpectedly: {said.text}")
            for request in fake.requests:
                objection = _objection(request, usual)
                expect(objection is None, f"{about} asked for {request.method} {quote(request.path, 300)}: {objection}")


async def _call_with(session: Session, name: str, arguments: dict[str, Any]) -> Said | None:
    """The answer; None for what no client can even send (half a character)."""
    try:
        return await session.call(name, **arguments)
    except (UnicodeEncodeError, ValueError):
        return None


def _objection(request: HttpRequest, usual: set[_Shape]) -> str | None:
    for segment in request.path.split("/")[1:]:
        decoded = unquote(segment)
        if decoded in ("", ".", "..") or any(char in decoded for char in "/\\") or not decoded.isprintable():
            return f"its path holds {quote(decoded, 300)}"
    # A text that is left out on purpose may leave out its parameter; nothing may be added.
    shape = _Shape.of(request)
    for one in usual:
        if (one.method, one.segments) == (shape.method, shape.segments) and set(shape.parameters) <= set(
            one.parameters
        ):
            return None
    return "a harmless text leads to no request of this form"


async def assert_nothing_leaks(
    app: App, secrets: Sequence[str], *, fake: FakeHttp | None = None, samples: Samples | None = None
) -> None:
    """No secret stands in any answer, progress, log line, listed tool or finding of doctor, in any common spelling.

    Args:
        app: The klepaas.
        secrets: What must not be seen, for example the token in the plugin's settings; at least 6 characters each.
        fake: Its upstream, which then also fails in ways that quote the secrets. None: it is left as it is.
        samples: Values by parameter name. None: those that the checks accept.

    Raises:
        AssertionError: A secret was seen; the message says where and does not repeat it.
    """
    search = [_Search(secret) for secret in secrets]
    with _everything_logged() as lines:
        async with client(app, person=True) as session:
            seen = {"the list of tools": str(await session.tools())}
            for fault in (None, *(_quoting(secrets) if fake else ())):
                if fake:
                    fake.fault = fault
                for entry in app.catalogue:
                    said = await session.call(entry.tool.name, **sensible(entry, samples or {}))
                    where = f"the answer of {entry.tool.name}" + (" to a failure" if fault else "")
                    seen[where] = (
                        seen.get(where, "") + f"{said.text} {said.meta} {said.structured} {said.data} {said.progress}\n"
                    )
            if fake:
                fake.fault = None
            seen["doctor"] = str(await examine(app.plugins, app.host))
    seen["the log"] = "\n".join(lines)
    leaks = [f"secret number {n + 1} stands in {where}" for where, text in seen.items() for n in _found(search, text)]
    expect(not leaks, "; ".join(leaks))


class _Search:
    """Finds one secret in its common spellings: quoted, percent-encoded, base64, hexadecimal."""

    def __init__(self, secret: str) -> None:
        self._vault = Vault()
        self._vault.keep(secret)
        expect(self.finds(secret), "a secret of fewer than 6 characters cannot be told from a word")

    def finds(self, text: str) -> bool:
        return self._vault.redact(text) != text


def _found(search: list[_Search], text: str) -> list[int]:
    return [number for number, one in enumerate(search) if one.finds(text)]


def _quoting(secrets: Sequence[str]) -> list[Fault]:
    """Failures as real services word them, with what they should not quote."""
    quoted = " ".join(f"{secret} is no password for https://user:{secret}@db/x" for secret in secrets)
    return [failing(status, quoted) for status in (500, 401, 400)]


@contextlib.contextmanager
def _everything_logged() -> Iterator[list[str]]:
    """Every log line of the process as the server would write it, the least important ones too."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(safe_text(self.format(record)))

    root, keeper = logging.getLogger(), Keeper()
    before = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(before)
        root.removeHandler(keeper)
