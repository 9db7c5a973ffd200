"""What a request to an API server is, in data; `transport` sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klepaas_plugins.kubernetes.errors import Act

__all__ = ["JSON", "Request", "Timeouts"]

JSON = "application/json"


@dataclass(frozen=True)
class Timeouts:
    """Limits of a request, in seconds.

    Attributes:
        connect_s: Until the connection stands.
        read_s: Until the next bytes come; a whole answer may take twice as long.
    """

    connect_s: float = 5.0
    read_s: float = 30.0


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        act: The request in words.
        path: Its path, every variable segment checked and quoted.
        query: Its query.
        method: Its method.
        body: What is sent, as JSON. None: nothing.
        content_type: What the body is.
        accept: What answer is wanted.
    """

    act: Act
    path: str
    query: Mapping[str, str | int] | None = None
    method: str = "GET"
    body: Any = None
    content_type: str = JSON
    accept: str = JSON
