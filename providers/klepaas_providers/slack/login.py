"""A user's token for the MCP server that Slack hosts: got by a login in the browser, renewed before its end.

Slack registers no clients by itself: the operator makes a Slack app and gives its client id and secret. The flow is the
authorization code with PKCE. The server that Slack hosts could not be reached where this was written: the addresses are
those of its documentation, and only a fake has seen this.

Source: docs.slack.dev/ai/slack-mcp-server; docs.slack.dev/reference/methods/oauth.v2.user.access;
docs.slack.dev/authentication/using-token-rotation; RFC 6749 section 4.1, RFC 7636.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import anyio.to_thread

from klepaas.errors import BadRequest, Unauthorized, Unavailable
from klepaas.foreign_json import parse_json
from klepaas.host import Host
from klepaas.outbound import open_client
from klepaas.output.redaction import vault
from klepaas.resilience import Kind, Observation, Upstream, Upstreams, Verdict
from klepaas.resilience import classify as classify_http
from klepaas_providers.slack.settings import SlackSettings
from klepaas_providers.slack.token_file import Token, TokenFile

__all__ = ["AUTHORIZE_URL", "SCOPES", "TOKEN_URL", "Attempt", "Login", "judge"]

AUTHORIZE_URL = "https://slack.com/oauth/v2_user/authorize"
TOKEN_URL = "https://slack.com/api/oauth.v2.user.access"  # noqa: S105 -- an address
# What the listed tools need, and no more.
SCOPES = ("channels:history", "groups:history", "search:read.public", "search:read.users", "users:read", "chat:write")
MARGIN_S = 300.0
_AGAIN = "Run klepaas slack login"
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5.0, 10.0


@dataclass(frozen=True)
class Attempt:
    """One login, from the address that a person opens to the one that Slack sends the browser to.

    Attributes:
        state: Ties the answer to this attempt.
        verifier: Shows Slack that who asked is who comes with the code.
    """

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    def address(self, client_id: str, redirect_uri: str) -> str:
        """What the person opens in a browser.

        Args:
            client_id: The Slack app.
            redirect_uri: Where Slack sends the browser afterwards.
        """
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "scope": ",".join(SCOPES),
            "redirect_uri": redirect_uri,
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{AUTHORIZE_URL}?{urlencode(query)}"

    def code_in(self, address: str) -> str:
        """The code in the address that Slack sent the browser to.

        Args:
            address: That address, or its path and query.

        Raises:
            BadRequest: It is of another attempt, or the person declined.
        """
        query = parse_qs(urlsplit(address.strip()).query)
        state, code = query.get("state", [""])[0], query.get("code", [""])[0]
        if not secrets.compare_digest(state.encode(), self.state.encode()):
            raise BadRequest("The address does not belong to this login", next_step=f"{_AGAIN} again")
        if not code:
            raise BadRequest("Slack gave no code: the login was declined", next_step=f"{_AGAIN} again")
        return code


class Login:
    """The token of one Slack app's user.

    Args:
        settings: The Slack app.
        file: Where the token lies.
        upstream: What every request goes through.
        token_url: Where tokens are given.
        wall: The time, in seconds since 1970.
    """

    def __init__(
        self,
        settings: SlackSettings,
        file: TokenFile,
        upstream: Upstream,
        token_url: str = TOKEN_URL,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._file = file
        self._upstream = upstream
        self._token_url = token_url
        self._wall = wall
        self._lock = anyio.Lock()

    @classmethod
    def of(cls, host: Host, settings: SlackSettings) -> "Login":
        """The host's own.

        Args:
            host: The server's settings and shared services.
            settings: The Slack app.
        """
        upstream = Upstreams.of(host).get("slack-oauth", classify=judge)
        return host.service(cls, lambda host: cls(settings, TokenFile.of(host), upstream))

    async def current(self) -> tuple[str, float | None]:
        """The token, renewed where it is about to end, and for how many seconds it is to be used.

        Raises:
            KlepaasError: Nobody has logged in, or Slack gives no other.
        """
        async with self._lock:
            token = await anyio.to_thread.run_sync(self._file.read)
            if token is not None and self._left_s(token) <= 0 and token.refresh_token:
                token = await self._renewed()
            if token is None or self._left_s(token) <= 0:
                raise Unauthorized("There is no Slack login, or it has ended", next_step=_AGAIN)
            left_s = self._left_s(token)
            return token.access_token, None if left_s == float("inf") else left_s

    async def finish(self, attempt: Attempt, address: str) -> None:
        """Exchange the code of a login for a token, and keep it.

        Args:
            attempt: The login.
            address: Where Slack sent the browser.

        Raises:
            KlepaasError: The address is of another login, or Slack gives no token.
        """
        wanted = {
            "grant_type": "authorization_code",
            "code": attempt.code_in(address),
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        await anyio.to_thread.run_sync(self._file.write, await self._ask(wanted))

    def _left_s(self, token: Token) -> float:
        return float("inf") if token.good_until_s is None else token.good_until_s - MARGIN_S - self._wall()

    async def _renewed(self) -> Token | None:
        """The next token; another process may have got it in the meantime."""
        held = self._file.locked()
        await anyio.to_thread.run_sync(held.__enter__)
        try:
            token = await anyio.to_thread.run_sync(self._file.read)
            if token is None or self._left_s(token) > 0 or not token.refresh_token:
                return token
            token = await self._ask({"grant_type": "refresh_token", "refresh_token": token.refresh_token})
            with anyio.CancelScope(shield=True):
                # The old one is spent: this one must not be lost.
                await anyio.to_thread.run_sync(self._file.write, token)
            return token
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(held.__exit__, None, None, None)

    async def _ask(self, wanted: Mapping[str, str]) -> Token:
        secret = self._settings.client_secret.get_secret_value() if self._settings.client_secret else ""
        form = {"client_id": self._settings.client_id or "", "client_secret": secret, **wanted}
        what = "get a token of Slack"
        # A code and a refresh token are good once: asking again could not help.
        answer = await self._upstream.call(lambda: self._post(form), safe=False, what=what, verify=_AGAIN)
        return self._token_in(answer)

    async def _post(self, form: Mapping[str, str]) -> dict[str, Any]:
        import httpx

        limits = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        async with open_client(self._token_url, limits) as client:
            answer = await client.post(self._token_url, data=dict(form))
        answer.raise_for_status()
        try:
            said = parse_json(answer.content)
        except ValueError as exc:
            raise Unavailable("Slack answered something that is not JSON") from exc
        return said if isinstance(said, dict) else {}

    def _token_in(self, said: Mapping[str, Any]) -> Token:
        inner = said.get("authed_user")
        source = inner if isinstance(inner, Mapping) and "access_token" in inner else said
        access, refresh, life_s = (source.get(name) for name in ("access_token", "refresh_token", "expires_in"))
        if not isinstance(access, str) or not access:
            raise Unauthorized(f"Slack gives no token: {_refusal(said)}", next_step=f"{_AGAIN} again")
        for secret in (access, refresh):
            vault.keep(str(secret or ""), renewal_of="the Slack login")
        until_s = self._wall() + float(life_s) if isinstance(life_s, int | float) and life_s > 0 else None
        return Token(access, refresh if isinstance(refresh, str) else None, until_s)


def judge(seen: Observation) -> Verdict:
    """The verdict on a token request; Slack refuses with status 200.

    Args:
        seen: What an attempt brought.
    """
    if isinstance(seen.result, dict) and seen.result.get("ok") is not True:
        from klepaas_providers.slack.classify import verdict_of

        verdict = verdict_of(_refusal(seen.result))
        # It answers, and `_token_in` says why there is no token.
        return Verdict(Kind.OK) if verdict.kind in (Kind.AUTH, Kind.CALLER_MISTAKE) else verdict
    return classify_http(seen)


def _refusal(said: Mapping[str, Any]) -> str:
    code = said.get("error")
    return (
        code if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) < 60 else "it does not say why"
    )
