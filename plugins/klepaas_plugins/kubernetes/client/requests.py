"""What a request to an API server is, in data, and within which limits it is made; `transport` sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.resilience import Policy
from klepaas_plugins.kubernetes.errors import Act

__all__ = ["JSON", "Request", "Timeouts"]

JSON = "application/json"
# An API server that fails within milliseconds is asked again soon: the first call after an outage is to be answered.
_OPEN_RATIO = 3.0


@dataclass(frozen=True)
class Timeouts:
    """Limits of a request, in seconds.

    Attributes:
        connect_s: Until the connection stands.
        read_s: Until the answer is there, whole: 32 MiB at 10 Mbit/s with the default.
    """

    connect_s: float = 5.0
    read_s: float = 30.0

    @property
    def policy(self) -> Policy:
        """The limits of a cluster.

        An attempt's own limit comes first, so that its words are ours; the whole call ends before a tool's minute.
        """
        return Policy(
            max_concurrent=32,
            max_waiting=256,
            queue_timeout_s=10.0,
            attempt_timeout_s=1.1 * self.read_s,
            total_timeout_s=1.9 * self.read_s,
            open_ratio=_OPEN_RATIO,
        )


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
