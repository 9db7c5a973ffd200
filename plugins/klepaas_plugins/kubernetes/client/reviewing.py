"""Whom an API server takes this process for: the user and the groups that its credentials stand for.

A server says it of whoever is authenticated, whatever roles they have. It is asked once for a credential, and again
after a few minutes: a token that was renewed is another one, and its user may be the same.

Source: Kubernetes API, authentication.k8s.io/v1 SelfSubjectReview (v1 since Kubernetes 1.28).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from klepaas.errors import Forbidden, NotFound, Unavailable
from klepaas.operations.origin import ActingUser
from klepaas_plugins.kubernetes.client.requests import Request
from klepaas_plugins.kubernetes.errors import Act

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.credentials import Connection
    from klepaas_plugins.kubernetes.client.transport import Transport

__all__ = ["Reviews"]

_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_BODY = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
MAX_AGE_S = 300.0


@dataclass(frozen=True)
class _Review:
    """An answer, for which credential, and when on the event loop's clock. A user of None: the server never tells."""

    credential: bytes
    user: ActingUser | None
    at_s: float


class Reviews:
    """The users that one process was taken for, by context."""

    def __init__(self) -> None:
        self._known: dict[str, _Review] = {}

    async def ask(self, transport: "Transport", context: str) -> ActingUser | None:
        """Whom the server of a context takes this process for.

        Args:
            transport: How requests are sent.
            context: The context's name.

        Returns:
            The user. None: the server does not tell its clients, being older than the API, or forbidding it.

        Raises:
            KlepaasError: It gave no answer.
        """
        async with transport.connection() as connection:
            credential = _digest(connection)
        known, now_s = self._known.get(context), anyio.current_time()
        if known is not None and known.credential == credential and 0 <= now_s - known.at_s < MAX_AGE_S:
            return known.user
        act = Act("ask", "the API server who we are", context)
        try:
            user = _user_of(await transport.json(Request(act, _PATH, method="POST", body=_BODY)), act)
        except (NotFound, Forbidden):
            user = None
        self._known[context] = _Review(credential, user, now_s)
        return user


def _user_of(review: Mapping[str, Any], act: Act) -> ActingUser:
    info = (review.get("status") or {}).get("userInfo") or {}
    name = info.get("username")
    if not isinstance(name, str) or not name:
        raise Unavailable(act.cannot("the answer names no user"))
    return ActingUser.of(name, [str(group) for group in info.get("groups") or ()])


def _digest(connection: "Connection") -> bytes:
    """What is the same for the same credentials."""
    told = "\n".join(f"{name}: {text}" for name, text in connection.headers)
    return hashlib.sha256(connection.way + told.encode()).digest()
