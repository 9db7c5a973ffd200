"""How a plugin takes messages from other programs over HTTP: declared here, answered by `klepaas.http.receiving`.

A route cannot be declared without a token, and what it gets has passed the token, the size and the rate: a plugin
cannot forget these. It is no way to serve pages, and no way round the gate: whoever receives a message calls no tool.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from klepaas.output.safe import limit_length
from klepaas.parameters import DeclarationError

__all__ = ["TOKEN_MIN_CHARS", "HttpRoute"]

TOKEN_MIN_CHARS = 16
_PATH = re.compile(r"/hooks/[a-z0-9]+(?:[-/][a-z0-9]+)*")
_PATH_MAX_CHARS = 100
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class HttpRoute:
    """A path to which other programs post JSON.

    Attributes:
        path: The path, below `/hooks/`.
        token: What the sender shows as `Authorization: Bearer ...`; at least 16 characters.
        receive: Takes the JSON object that was posted; returns the few values of the answer, as JSON data. An error of
            klepaas becomes its status: `BadRequest` 400, `Unavailable` 503. It is called with a time limit.
        max_bytes: Longest message, in bytes; never more than the server's own limit.
        per_minute: How many messages are taken in a minute.
        timeout_s: The time limit, in seconds.

    Raises:
        DeclarationError: It lacks something, or its token is too short.
    """

    path: str
    token: SecretStr
    receive: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    max_bytes: int = 512 * 1024
    per_minute: int = 300
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if len(self.path) > _PATH_MAX_CHARS or not _PATH.fullmatch(self.path):
            raise DeclarationError(f"the HTTP path {limit_length(self.path, 60)!r} is not /hooks/ and lower-case words")
        token = self.token.get_secret_value()
        if len(token) < TOKEN_MIN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
            rule = f"at least {TOKEN_MIN_CHARS} printable ASCII characters without spaces"
            raise DeclarationError(f"the token of {self.path} is not {rule}")
        if not 0 < self.max_bytes <= _MOST_BYTES or self.per_minute < 1:
            raise DeclarationError(f"{self.path} has no sensible max_bytes or per_minute")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise DeclarationError(f"timeout_s of {self.path} is not a number of seconds above 0")
