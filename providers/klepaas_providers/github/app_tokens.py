"""Installation tokens of a GitHub App: asked for with the App's signature, kept until shortly before their end.

A token is good for an hour and for the repositories of one installation. The private key leaves this process only as a
signature.

Source: docs.github.com/apps, "Generating a JSON Web Token (JWT) for a GitHub App" and "Generating an installation
access token for a GitHub App"; docs.github.com/rest/apps/apps, "Create an installation access token for an app".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from klepaas.errors import InternalError, NotFound, Unauthorized, Unavailable
from klepaas.foreign_json import parse_json
from klepaas.outbound import open_client
from klepaas.output.redaction import vault
from klepaas.resilience import Upstream

if TYPE_CHECKING:
    import httpx

__all__ = ["AppKey", "AppTokens", "MalformedKey"]

# Another is asked for so long before the end of one.
MARGIN_S = 300.0
# The server's clock may be behind ours; GitHub takes at most ten minutes.
_EARLIER_S, _SIGNATURE_LIFE_S = 60, 540
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5.0, 10.0
_WHAT = "get a token for the GitHub App's installation"


class MalformedKey(Unauthorized):
    """The App's private key cannot be read."""


@dataclass(frozen=True)
class AppKey:
    """A GitHub App and one of its installations.

    Attributes:
        app_id: The App's id, or its client id.
        installation_id: The installation's id.
        private_key: The App's private key, PEM.
    """

    app_id: str
    installation_id: str
    private_key: str

    def signed(self, now_s: float) -> str:
        """What shows GitHub that we are the App.

        Args:
            now_s: Now, in seconds since 1970.

        Raises:
            MalformedKey: The private key cannot be read.
        """
        import jwt

        claims = {"iat": int(now_s) - _EARLIER_S, "exp": int(now_s) + _SIGNATURE_LIFE_S, "iss": self.app_id}
        try:
            # Settings that are one line write the key's line ends as \n.
            return jwt.encode(claims, self.private_key.replace("\\n", "\n"), algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError) as exc:
            raise MalformedKey(
                "The private key of the GitHub App cannot be read",
                next_step="Set KLEPAAS_GITHUB_APP_PRIVATE_KEY_FILE to the .pem file that GitHub gave you",
            ) from exc


class AppTokens:
    """The tokens of one installation, one at a time.

    Args:
        key: Whose.
        api_url: Where GitHub's REST API is, without a final slash.
        upstream: What every request goes through.
        wall: The time, in seconds since 1970.
    """

    def __init__(self, key: AppKey, api_url: str, upstream: Upstream, wall: Callable[[], float] = time.time) -> None:
        self._key = key
        self._url = f"{api_url}/app/installations/{key.installation_id}/access_tokens"
        self._upstream = upstream
        self._wall = wall
        self._lock = anyio.Lock()
        self._token: str | None = None
        self._good_until_s = 0.0

    async def current(self) -> tuple[str, float]:
        """A token, and for how many seconds it is to be used.

        Raises:
            KlepaasError: GitHub gives none.
        """
        async with self._lock:
            left_s = self._good_until_s - self._wall()
            if self._token is None or left_s <= 0:
                self._token, left_s = await self._ask()
                self._good_until_s = self._wall() + left_s
            return self._token, left_s

    async def _ask(self) -> tuple[str, float]:
        signature = await anyio.to_thread.run_sync(self._key.signed, self._wall())
        vault.keep(signature, renewal_of="the GitHub App's signature")
        # An installation may have many tokens: asking twice changes nothing for the first.
        answer = await self._upstream.call(lambda: self._post(signature), safe=True, what=_WHAT)
        if answer.status_code == 404:
            raise NotFound(
                f"Cannot {_WHAT}: GitHub knows no installation {self._key.installation_id} of App {self._key.app_id}",
                next_step="Set KLEPAAS_GITHUB_APP_INSTALLATION_ID to the number at the end of its page's address",
            )
        if answer.status_code != 201:
            raise Unavailable(f"Cannot {_WHAT}: GitHub answered {answer.status_code}")
        return self._read(answer)

    async def _post(self, signature: str) -> "httpx.Response":
        import httpx

        headers = {
            "Authorization": f"Bearer {signature}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        limits = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        async with open_client(self._url, limits) as client:
            return await client.post(self._url, headers=headers)

    def _read(self, answer: "httpx.Response") -> tuple[str, float]:
        try:
            said = parse_json(answer.content)
            token, until = str(said["token"]), datetime.fromisoformat(said["expires_at"])
        except (ValueError, KeyError, TypeError) as exc:
            raise InternalError(f"Cannot {_WHAT}: GitHub's answer is not what its documentation says") from exc
        vault.keep(token, renewal_of="the GitHub App's token")
        life_s = until.timestamp() - self._wall()
        return token, max(1.0, life_s - min(MARGIN_S, life_s / 2))
