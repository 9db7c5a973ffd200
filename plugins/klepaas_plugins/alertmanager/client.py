"""The public way to Alertmanager: what can be asked of one server, and all servers that are configured.

Reads are bounded and read row by row; what comes back is somebody else's and is not shown from here.

Source: Alertmanager's api/v2/openapi.yaml.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from klepaas.errors import BadRequest, NotFound
from klepaas.host import Host
from klepaas.offload import offload, size_of
from klepaas.output.safe import limit_length, safe_label
from klepaas.resilience import Upstreams, UpstreamState
from klepaas_plugins.alertmanager.matchers import Matcher
from klepaas_plugins.alertmanager.settings import AlertmanagerSettings
from klepaas_plugins.prometheus.client import (
    ApiAnswer,
    ApiRequest,
    HttpApi,
    Malformed,
    judge,
    policy_of,
    read_document,
    read_list,
)

__all__ = ["Alert", "AlertmanagerServer", "Alertmanagers", "Group", "Rows", "Silence", "seconds_of"]

ANSWER_MAX_BYTES = 16 * 1024 * 1024
MOST_ROWS = 5000
_TEXT_MAX_CHARS = 2000


@dataclass(frozen=True)
class Alert:
    """An alert.

    Attributes:
        labels: Its labels.
        annotations: What it says of itself.
        since: Since when it fires, in seconds since 1970. None: not told.
        state: "active", "suppressed" or "unprocessed".
        silenced_by: The silences that hide it.
        inhibited_by: The alerts that hide it.
        receivers: Whom it is told to.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    since: float | None
    state: str
    silenced_by: Sequence[str] = ()
    inhibited_by: Sequence[str] = ()
    receivers: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return self.labels.get("alertname", "?")


@dataclass(frozen=True)
class Group:
    """Alerts that are told together.

    Attributes:
        labels: What they have in common.
        receiver: Whom they are told to.
        alerts: They.
    """

    labels: Mapping[str, str]
    receiver: str
    alerts: Sequence[Alert]


@dataclass(frozen=True)
class Silence:
    """A silence.

    Attributes:
        id: Its ID.
        state: "active", "pending" or "expired".
        matchers: What it hides.
        starts_at: From when, in seconds since 1970. None: not told.
        ends_at: Until when.
        created_by: Who made it.
        comment: Why.
    """

    id: str
    state: str
    matchers: Sequence[Matcher]
    starts_at: float | None
    ends_at: float | None
    created_by: str
    comment: str

    @property
    def named(self) -> list[Mapping[str, str]]:
        """What its matchers say of labels."""
        return [{one.name: one.value} for one in self.matchers]


@dataclass
class Rows:
    """The rows of an answer.

    Attributes:
        items: They.
        more: Whether there are more than were read.
        hidden: How many are left out, since a label that a matcher names has a hidden value.
    """

    items: list[Any] = field(default_factory=list)
    more: bool = False
    hidden: int = 0

    def take(self, row: Any) -> bool:
        """Take one row; False: these are enough."""
        if not isinstance(row, dict):
            raise Malformed
        if len(self.items) >= MOST_ROWS:
            self.more = True
            return False
        self.items.append(row)
        return True


def hides(labels: Sequence[Mapping[str, str]], matchers: Sequence[Matcher]) -> bool:
    """Whether a matcher compares a value that is hidden, so that its answer would tell whether a guess is right.

    Args:
        labels: The labels that are compared.
        matchers: What is asked.
    """
    return any(
        safe_label(one.name, known[one.name]) != known[one.name]
        for known in labels
        for one in matchers
        if one.name in known
    )


def _without_hidden(found: Rows, all_rows: Rows, is_hidden: Callable[[Any], bool]) -> Rows:
    """What was found without rows whose hidden values were compared, and how many such rows there are, fitting or not.

    Args:
        found: What fits the matchers.
        all_rows: All rows, so that the count does not tell which fit.
        is_hidden: Whether a matcher compares a hidden value of a row.
    """
    left = [one for one in found.items if not is_hidden(one)]
    return Rows(left, found.more, sum(map(is_hidden, all_rows.items)))


class AlertmanagerServer:
    """Asks one server.

    Args:
        api: How it is reached.
    """

    def __init__(self, api: HttpApi) -> None:
        self.api = api

    @property
    def name(self) -> str:
        """What people call it."""
        return self.api.name

    @property
    def state(self) -> UpstreamState:
        """How it has been lately."""
        return self.api.state

    async def alerts(self, matchers: Sequence[Matcher] = ()) -> Rows:
        """The alerts of now, silenced and inhibited ones too.

        Args:
            matchers: Only those that all of these fit.

        Raises:
            KlepaasError: It failed.
        """
        found = await self._alerts(matchers)
        if not matchers:
            return found
        return _without_hidden(found, await self._alerts(), lambda one: hides([one.labels], matchers))

    async def _alerts(self, matchers: Sequence[Matcher] = ()) -> Rows:
        return await self._read("/api/v2/alerts", "list the alerts", matchers, _alert)

    async def groups(self, matchers: Sequence[Matcher] = ()) -> Rows:
        """The groups in which alerts are told.

        Args:
            matchers: Only alerts that all of these fit.

        Raises:
            KlepaasError: It failed.
        """
        found = await self._read("/api/v2/alerts/groups", "list the groups of alerts", matchers, _group)
        if not matchers:
            return found

        def is_hidden(one: Alert) -> bool:
            return hides([one.labels], matchers)

        compared = [replace(one, alerts=[each for each in one.alerts if not is_hidden(each)]) for one in found.items]
        hidden = sum(map(is_hidden, (await self._alerts()).items))
        return Rows([one for one in compared if one.alerts], found.more, hidden)

    async def silences(self, matchers: Sequence[Matcher] = ()) -> Rows:
        """The silences, those that have expired lately too.

        Args:
            matchers: Only those that have these among their own.

        Raises:
            KlepaasError: It failed.
        """
        found = await self._silences(matchers)
        if not matchers:
            return found
        return _without_hidden(found, await self._silences(), lambda one: hides(one.named, matchers))

    async def _silences(self, matchers: Sequence[Matcher] = ()) -> Rows:
        return await self._read("/api/v2/silences", "list the silences", matchers, _silence)

    async def silence(self, silence_id: str) -> Silence:
        """One silence.

        Args:
            silence_id: A UUID.

        Raises:
            NotFound: There is none of that ID.
        """
        what = f"read the silence {silence_id}"
        try:
            return _silence(await self._object(ApiRequest("GET", f"/api/v2/silence/{silence_id}", what)))
        except NotFound as exc:
            raise NotFound(
                f"There is no silence {silence_id}", next_step="list_alerts(what=silences) shows them"
            ) from exc

    async def create(self, body: Mapping[str, Any]) -> str:
        """Make a silence; its ID.

        Args:
            body: It, as the API takes it.

        Raises:
            BadRequest: The server does not accept it; the error holds its message.
            KlepaasError: It failed.
        """
        verify = "look with list_alerts(what=silences) whether it is there"
        request = ApiRequest("POST", "/api/v2/silences", "silence", body=dict(body), changes=True, verify=verify)
        found = (await self._object(request)).get("silenceID")
        return limit_length(str(found), 100) if found else "?"

    async def expire(self, silence_id: str) -> None:
        """End a silence.

        Args:
            silence_id: A UUID.

        Raises:
            KlepaasError: It failed.
        """
        verify = "look with list_alerts(what=silences) whether it is still active"
        what = f"expire the silence {silence_id}"

        async def read(_answer: ApiAnswer) -> None:
            return None

        path = f"/api/v2/silence/{silence_id}"
        await self.api.ask(ApiRequest("DELETE", path, what, changes=True, verify=verify), read)

    async def ping(self) -> tuple[str, float | None]:
        """Its version, and how far its clock is before ours, in seconds.

        Raises:
            KlepaasError: It does not answer.
        """

        async def read(answer: ApiAnswer) -> tuple[Any, float | None]:
            return (await read_document(answer.pieces, _any, ANSWER_MAX_BYTES)).values, answer.skew_s

        values, skew_s = await self.api.ask(ApiRequest("GET", "/api/v2/status", "ask Alertmanager"), read)
        version = values.get("versionInfo")
        return limit_length(str(version.get("version", "?")), 40) if isinstance(version, dict) else "?", skew_s

    async def _read(self, path: str, what: str, matchers: Sequence[Matcher], make: Callable[[Any], Any]) -> Rows:
        rows = await self._rows(path, what, matchers)
        # Long texts are redacted here, before they are cut.
        items = await offload(lambda: [make(row) for row in rows.items], size_chars=size_of(rows.items))
        return Rows(items, rows.more)

    async def _rows(self, path: str, what: str, matchers: Sequence[Matcher]) -> Rows:
        async def read(answer: ApiAnswer) -> Rows:
            rows = Rows()
            document = await read_list(answer.pieces, rows.take, ANSWER_MAX_BYTES)
            rows.more = rows.more or document.cut
            return rows

        return await self.api.ask(ApiRequest("GET", path, what, [("filter", one.text) for one in matchers]), read)

    async def _object(self, request: ApiRequest) -> dict[str, Any]:
        async def read(answer: ApiAnswer) -> dict[str, Any]:
            return (await read_document(answer.pieces, _any, ANSWER_MAX_BYTES)).values

        return await self.api.ask(request, read)


class Alertmanagers:
    """The servers of one klepaas.

    Args:
        settings: Which there are.
        upstreams: Where each has its pipeline, `alertmanager/<name>`.
    """

    def __init__(self, settings: AlertmanagerSettings, upstreams: Upstreams) -> None:
        self.settings = settings
        policy = policy_of(settings.timeout_s)
        self._servers = {
            name: AlertmanagerServer(
                HttpApi(f"alertmanager/{name}", access, upstreams.get(f"alertmanager/{name}", policy, judge))
            )
            for name, access in settings.by_name.items()
        }

    @classmethod
    def of(cls, host: Host) -> "Alertmanagers":
        """The host's own."""
        return host.service(cls, lambda host: cls(AlertmanagerSettings(), Upstreams.of(host)))

    @property
    def names(self) -> list[str]:
        """What they are called, the default one first; empty where none is configured."""
        return list(self._servers)

    def get(self, name: str | None = None) -> AlertmanagerServer:
        """A server.

        Args:
            name: Its name. None: the default one, or the only one.

        Raises:
            NotFound: There is none of that name, or none at all.
            BadRequest: There are several, and none is the default.
        """
        known = ", ".join(self._servers)
        if name is None:
            if not self._servers:
                raise NotFound("No Alertmanager is configured", next_step="Set KLEPAAS_ALERTMANAGER_URL")
            if len(self._servers) > 1 and self.settings.url is None:
                raise BadRequest("There are several Alertmanagers", next_step=f"Name one as server: {known}")
            name = next(iter(self._servers))
        if name not in self._servers:
            raise NotFound(f"There is no Alertmanager {name}", next_step=f"There are: {known}")
        return self._servers[name]

    async def aclose(self) -> None:
        """Close every connection."""
        for server in self._servers.values():
            await server.api.aclose()


def seconds_of(moment: Any) -> float | None:
    """A time of the API in seconds since 1970. None: it is none, or the year 1, which stands for none."""
    try:
        found = datetime.fromisoformat(str(moment)[:40])
    except ValueError:
        return None
    return None if found.year < 1970 else (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _alert(row: Mapping[str, Any]) -> Alert:
    status = row.get("status")
    status = status if isinstance(status, dict) else {}
    receivers = row.get("receivers")
    named = [one.get("name") for one in receivers if isinstance(one, dict)] if isinstance(receivers, list) else []
    return Alert(
        _texts(row.get("labels")),
        _texts(row.get("annotations")),
        seconds_of(row.get("startsAt")),
        limit_length(str(status.get("state") or "active"), 40),
        _list(status.get("silencedBy")),
        _list(status.get("inhibitedBy")),
        _list(named),
    )


def _group(row: Mapping[str, Any]) -> Group:
    receiver, alerts = row.get("receiver"), row.get("alerts")
    name = receiver.get("name") if isinstance(receiver, dict) else None
    there = [_alert(one) for one in alerts if isinstance(one, dict)] if isinstance(alerts, list) else []
    return Group(_texts(row.get("labels")), limit_length(str(name or "?"), 200), there)


def _silence(row: Mapping[str, Any]) -> Silence:
    status, matchers = row.get("status"), row.get("matchers")
    return Silence(
        limit_length(str(row.get("id") or "?"), 100),
        limit_length(str(status.get("state") if isinstance(status, dict) else "?"), 40),
        [Matcher.of(one) for one in matchers] if isinstance(matchers, list) else [],
        seconds_of(row.get("startsAt")),
        seconds_of(row.get("endsAt")),
        limit_length(str(row.get("createdBy") or ""), 200),
        limit_length(str(row.get("comment") or ""), _TEXT_MAX_CHARS),
    )


def _texts(value: Any) -> dict[str, str]:
    found = value if isinstance(value, dict) else {}
    return {limit_length(str(name), 200): limit_length(str(text), _TEXT_MAX_CHARS) for name, text in found.items()}


def _list(value: Any) -> list[str]:
    return [limit_length(str(one), 200) for one in value[:100]] if isinstance(value, list) else []


def _any(_row: Any) -> bool:
    return True
