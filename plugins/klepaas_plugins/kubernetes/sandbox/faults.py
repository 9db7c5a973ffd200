"""Answers on demand that a healthy cluster would not give, and who may call at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .status import ApiError, denied, denied_path, unauthorized

ANONYMOUS = "system:anonymous"
ADMIN = "sandbox-admin"


@dataclass(frozen=True)
class Attributes:
    """What authorization looks at.

    Args:
        resource: plural, with its subresource as in `pods/log`; empty for a path that is no resource.
    """

    verb: str
    path: str
    group: str = ""
    resource: str = ""
    namespace: str | None = None
    name: str = ""


@dataclass
class _Rule:
    kind: Literal["deny", "fail", "hang"]
    method: str = ""
    path: str = ""
    verb: str = ""
    resource: str = ""
    namespace: str | None = None
    error: ApiError | None = None
    times: int | None = None

    def covers(self, method: str, path: str) -> bool:
        return self.method in ("", "*", method) and re.search(self.path, path) is not None


class Faults:
    """The rules, in the order they were made, and the sandbox's few users."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._rules: list[_Rule] = []
        self._requests_left: int | None = None
        self.users: set[str] = set()

    def deny(self, verb: str, resource: str, namespace: str | None) -> None:
        """Refuse a verb on a resource, `*` for any, everywhere when the namespace is None."""
        self._rules.append(_Rule("deny", verb=verb, resource=resource, namespace=namespace))

    def fail(self, method: str, path: str, error: ApiError, times: int | None) -> None:
        """Answer with an error."""
        self._rules.append(_Rule("fail", method=method, path=path, error=error, times=times))

    def hang(self, path: str) -> None:
        """Never answer."""
        self._rules.append(_Rule("hang", path=path))

    def unauthorized_after(self, requests: int) -> None:
        """Accept so many requests more, then no credentials at all."""
        self._requests_left = requests

    def clear(self) -> None:
        """Behave again."""
        self._rules.clear()
        self._requests_left = None

    def user(self, authorization: str | None, impersonated: str | None) -> str:
        """Who calls.

        Raises:
            ApiError: 401.
        """
        if self._requests_left is not None:
            if self._requests_left <= 0:
                raise unauthorized()
            self._requests_left -= 1
        if self._token is None:
            return impersonated or ADMIN
        if authorization is None:
            return ANONYMOUS
        if authorization != f"Bearer {self._token}":
            raise unauthorized()
        return impersonated or ADMIN

    def allowed(self, user: str, asked: Attributes) -> bool:
        """Whether authorization lets a user do something."""
        if user != ADMIN and user not in self.users:
            return asked.path in ("/version", "/livez", "/readyz", "/healthz") or asked.resource.startswith(
                "selfsubject"
            )
        for rule in self._rules:
            if rule.kind != "deny" or not asked.resource:
                continue
            if (
                rule.verb in ("*", asked.verb)
                and rule.resource in ("*", asked.resource)
                and (rule.namespace is None or rule.namespace == asked.namespace)
            ):
                return False
        return True

    def authorize(self, user: str, asked: Attributes) -> None:
        """Let a user do something.

        Raises:
            ApiError: 403.
        """
        if self.allowed(user, asked):
            return
        if not asked.resource:
            raise denied_path(user, asked.verb, asked.path)
        raise denied(user, asked.verb, asked.group, asked.resource, asked.namespace, asked.name)

    def strike(self, method: str, path: str) -> bool:
        """Carry out the first failure or hang that covers a request.

        Returns:
            Whether the request is to hang.

        Raises:
            ApiError: the planted one.
        """
        for rule in self._rules:
            if rule.kind == "deny" or rule.times == 0 or not rule.covers(method, path):
                continue
            if rule.times is not None:
                rule.times -= 1
            if rule.error is None:
                return True
            raise rule.error
        return False
