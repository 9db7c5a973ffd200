"""Asks the roster, always through klepaas' pipeline (limits, retries, breaker). It knows no tools."""

from typing import Self
from urllib.parse import quote

import httpx
from klepaas.errors import BadRequest, NotFound, Unavailable
from klepaas.host import Host
from klepaas.output.redaction import vault
from klepaas.resilience import Policy, Upstream, Upstreams

from klepaas_onduty.settings import OndutySettings

__all__ = ["Roster"]

UPSTREAM = "onduty"
LIMITS = Policy(attempt_timeout_s=5.0, total_timeout_s=15.0)


class Roster:
    """The roster.

    Args:
        settings: Where it is, and its token.
        upstream: The way every request takes.
    """

    def __init__(self, settings: OndutySettings, upstream: Upstream) -> None:
        headers = {}
        if settings.token is not None:
            token = settings.token.get_secret_value()
            vault.keep(token)  # whatever quotes it: no answer and no log line will show it
            headers["Authorization"] = f"Bearer {token}"
        self._upstream = upstream
        self._http = httpx.AsyncClient(base_url=settings.url or "", headers=headers, trust_env=False)

    @classmethod
    def of(cls, host: Host) -> Self:
        """The host's own; made at the first use, closed when the server stops."""
        return host.service(cls, cls._build)

    @classmethod
    def _build(cls, host: Host) -> Self:
        return cls(OndutySettings(), Upstreams.of(host).get(UPSTREAM, LIMITS))

    async def who(self, team: str) -> str:
        """Read who is on duty.

        Args:
            team: In which team.

        Raises:
            NotFound: There is no such team.
            KlepaasError: The roster did not answer, or not as it should.
        """
        answer = await self._upstream.call(
            lambda: self._http.get(_path(team)),
            safe=True,
            what=f"read who is on duty in {team}",
        )
        return _person(team, answer)

    async def hand_over(self, team: str, person: str) -> str:
        """Put somebody on duty.

        Args:
            team: In which team.
            person: Whom.

        Raises:
            OutcomeUnknown: It may have been done; nothing is sent twice.
            KlepaasError: It was not done.
        """
        answer = await self._upstream.call(
            lambda: self._http.put(_path(team), json={"person": person}),
            safe=False,
            what=f"put {person} on duty in {team}",
            verify=f"Call onduty_who for {team}",
        )
        return _person(team, answer)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()


def _path(team: str) -> str:
    # The gate has checked the name; quoting it is the second lock of the same door.
    return f"/teams/{quote(team, safe='')}"


def _person(team: str, answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(f"There is no team {team!r}")
    if not answer.is_success:
        raise BadRequest(f"The roster refused what was asked about {team!r} (HTTP {answer.status_code})")
    try:
        return str(answer.json()["person"])
    except (ValueError, KeyError, TypeError) as exc:
        text = f"The roster answered nothing sensible about {team!r}"
        raise Unavailable(text, next_step="Check KLEPAAS_ONDUTY_URL") from exc
