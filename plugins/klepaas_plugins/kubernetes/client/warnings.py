"""Warnings that an API server sends beside an answer: of policies, of deprecated versions, of webhooks.

Whoever makes a change collects what comes during its requests. The texts are the server's, or somebody's who wrote a
policy: whoever shows them masks and escapes them.

Source: Kubernetes API concepts, "Warnings"; RFC 7234, section 5.5 (code 299).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from klepaas.output.safe import limit_length

__all__ = ["collect_warnings", "joined", "note_warnings", "repeat_warnings"]

WARNINGS_MAX = 20
_WARNING_MAX_CHARS = 1000
_HEADER_MAX_CHARS = 16_384
_ONE = re.compile(r'299 [^\s"]{1,200} "((?:[^"\\]|\\.)*)"')
_QUOTED = re.compile(r"\\(.)")
_collected: ContextVar[list[str] | None] = ContextVar("api_warnings", default=None)


@contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """Collect the warnings of the requests that are sent meanwhile, in this task and in those that it starts.

    Yields:
        The warnings so far, each once.
    """
    found: list[str] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def note_warnings(headers: Iterable[str]) -> None:
    """Give the warnings of an answer to whoever collects them.

    Args:
        headers: The values of its Warning headers.
    """
    if _collected.get() is not None:
        repeat_warnings(_texts(headers))


def repeat_warnings(texts: Iterable[str]) -> None:
    """Give warnings to whoever collects them: those of an answer that is remembered came with it.

    Args:
        texts: The warnings.
    """
    collected = _collected.get()
    if collected is None:
        return
    for text in texts:
        if text not in collected and len(collected) < WARNINGS_MAX:
            collected.append(text)


def _texts(headers: Iterable[str]) -> Iterator[str]:
    for header in headers:
        for quoted in _ONE.findall(limit_length(header, _HEADER_MAX_CHARS)):
            yield limit_length(_QUOTED.sub(r"\1", quoted), _WARNING_MAX_CHARS)


def joined(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Warnings of two looks, each once.

    Args:
        first: Those that come first.
        second: The others.
    """
    return tuple(dict.fromkeys((*first, *second)))
