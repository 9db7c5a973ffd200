"""Answers on demand that a healthy cluster would not give, and who may call at all."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .status import ApiError, denied, denied_path, unauthorized

if TYPE_CHECKING:
    from .rbac import Rights

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


@dataclass(frozen=True)
class Effect:
    """What becomes of one request.

    Args:
        delay_s: how long it waits before anything else.
        error: what it is answered with, in place of its answer.
        headers: what that answer carries beside.
        hang: never answered.
        cut_events: the connection ends after so many lines of the answer.
        cut_bytes: the connection ends after so many bytes of the answer's body.
        half: the connection ends in the middle of the answer's body.
        meanwhile: what somebody else does before it is handled; None for nothing.
    """

    delay_s: float = 0.0
    error: ApiError | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    cut_events: int | None = None
    cut_bytes: int | None = None
    half: bool = False
    meanwhile: Callable[[], Awaitable[None]] | None = None


@dataclass
class _Rule:
    method: str
    path: str
    effect: Effect
    times: int | None = None

    def strikes(self, method: str, url: str) -> bool:
        # An expression about dry runs is one about the query, so the path alone is not asked.
        places = (url,) if "dryRun" in self.path else (url.partition("?")[0], url)
        covered = any(re.search(self.path, place) for place in places)
        if self.times == 0 or self.method not in ("*", method) or not covered:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True)
class _Denial:
    verb: str
    resource: str
    namespace: str | None

    def covers(self, asked: Attributes) -> bool:
        return (
            self.verb in ("*", asked.verb)
            and self.resource in ("*", asked.resource)
            and self.namespace in (None, asked.namespace)
        )


class Faults:
    """The rules, in the order they were made, and the sandbox's few users."""

    def __init__(self, token: str | None, rights: Rights) -> None:
        self._token = token
        self._rights = rights
        self._rules: list[_Rule] = []
        self._denials: list[_Denial] = []
        self._requests_left: int | None = None
        self.users = rights.trusted

    def deny(self, verb: str, resource: str, namespace: str | None) -> None:
        """Refuse a verb on a resource, `*` for any, everywhere when the namespace is None."""
        self._denials.append(_Denial(verb, resource, namespace))

    def plant(self, method: str, path: str, effect: Effect, times: int | None) -> None:
        """Make requests meet with an effect: of a method or `*`, to URLs a regular expression is found in."""
        self._rules.append(_Rule(method, path, effect, times))

    def rotate(self, token: str) -> None:
        """Accept another token from now on, and the old one no longer."""
        self._token = token

    def unauthorized_after(self, requests: int) -> None:
        """Accept so many requests more, then no credentials at all."""
        self._requests_left = requests

    def clear(self) -> None:
        """Behave again."""
        self._rules.clear()
        self._denials.clear()
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
        if user not in self.users and not self._rights.allow(user, asked) and not _is_about_oneself(asked):
            return False
        return not asked.resource or not any(denial.covers(asked) for denial in self._denials)

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

    def strike(self, method: str, url: str) -> Effect:
        """What a request meets with: the first effect planted for it, and every delay."""
        struck = [rule.effect for rule in self._rules if rule.strikes(method, url)]
        delay_s = sum(effect.delay_s for effect in struck)
        return replace(next((one for one in struck if not one.delay_s), Effect()), delay_s=delay_s)


def _is_about_oneself(asked: Attributes) -> bool:
    """Whether somebody asks what they themselves may do, or who they are."""
    return asked.resource.startswith("selfsubject")
