"""All rules together: what `klepaas.output.redaction` imports when the first text is redacted."""

import re
from collections.abc import Iterator

from klepaas.output.masking import addresses, keys, tokens
from klepaas.output.masking.assignments import redact_assignments
from klepaas.output.masking.blocks import redact_sections
from klepaas.output.masking.commands import redact_commands
from klepaas.output.masking.directives import redact_directives
from klepaas.output.masking.quoted import redact_escaped, redact_quoted
from klepaas.output.masking.templates import redact_templates
from klepaas.output.vault import MARK

__all__ = ["looks_secret", "redact"]

# After these words prose goes on with letters ("basic authentication"), a credential with something else among them.
_BEARER = re.compile(
    r"(?P<before>\b(?i:bearer|basic|token)[ \t]{1,16}+)(?=\S{0,200}?(?:[0-9=+/_]|[a-z][A-Z]))"
    r"(?P<secret>[A-Za-z0-9._~+/=-]{12,})"
)
# Of Fly.io: some tokens behind each other.
_FLY = re.compile(r"(?P<before>FlyV1[ \t])(?P<secret>[A-Za-z0-9._~+/=,-]{60,}+)")
# So deep texts stand in quotes in each other at most: a manifest in an annotation in a log line in JSON.
_QUOTES_DEPTH = 4
_HIGH_ENTROPY = re.compile(r"(?=[^\s0-9]*+[0-9])(?=[^\sA-Za-z]*+[A-Za-z])[A-Za-z0-9+/_=-]{32,}")


def looks_secret(value: str) -> bool:
    """Whether a value's own form says that it is a secret."""
    return (
        tokens.contains_token(value)
        or addresses.contains_credentials(value)
        or keys.redact_keys(value) != value
        or _HIGH_ENTROPY.fullmatch(value) is not None
    )


def redact(text: str, depth: int = _QUOTES_DEPTH) -> str:
    """The text with the mark in place of everything that looks like a secret.

    Args:
        text: The text.
        depth: How many quoted texts in each other are read.
    """
    return redact_escaped(text, lambda plain: _redact(plain, depth))


def _redact(text: str, depth: int) -> str:
    if depth:
        text = redact_quoted(text, lambda inner: redact(inner, depth - 1))
    text = keys.redact_keys(text)
    text = _redact_spans(text, tokens.find_tokens(text))
    text = addresses.redact_addresses(text)
    lowered = text.lower()
    if any(word in lowered for word in ("bearer", "basic", "token")):
        text = _BEARER.sub(lambda match: match["before"] + MARK, text)
    if "FlyV1" in text:
        text = _FLY.sub(lambda match: match["before"] + MARK, text)
    text = redact_templates(redact_directives(redact_commands(text)))
    return redact_sections(redact_assignments(text))


def _redact_spans(text: str, spans: Iterator[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += [text[done:start], MARK]
        done = end
    return "".join(pieces) + text[done:] if pieces else text
