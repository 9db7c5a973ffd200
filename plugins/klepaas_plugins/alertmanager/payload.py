"""The message that Alertmanager posts to a webhook, version 4: read strictly, then without secrets and bounded.

What a later version adds is passed over; what is missing, of another type or too long is refused whole, so that no
half of a message is ever stored.

Source: prometheus.io/docs/alerting/latest/configuration ("webhook_config").
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from klepaas.errors import BadRequest
from klepaas.observability import one_line
from klepaas.output.safe import limit_length, shorten
from klepaas.store.alerts import Notice

__all__ = ["MOST_ALERTS", "notices_of"]

SOURCE = "alertmanager"
MOST_ALERTS = 1000
_LABEL_CHARS, _TEXT_CHARS = 1000, 4000
_MOST_AHEAD_S = 24 * 3600.0

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Labels = Annotated[dict[_Name, Annotated[str, Field(max_length=8192)]], Field(max_length=100)]
_Annotations = Annotated[dict[_Name, Annotated[str, Field(max_length=65_536)]], Field(max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Alert(_Strict):
    status: Literal["firing", "resolved"]
    labels: _Labels
    annotations: _Annotations
    starts_at: Annotated[str, Field(alias="startsAt", max_length=40)]
    ends_at: Annotated[str, Field(alias="endsAt", max_length=40)]
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class _Message(_Strict):
    version: Literal["4"]
    group_key: Annotated[str, Field(alias="groupKey", max_length=16_384)]
    status: Literal["firing", "resolved"]
    receiver: Annotated[str, Field(max_length=1000)]
    alerts: Annotated[list[_Alert], Field(max_length=MOST_ALERTS)]


def notices_of(message: Mapping[str, Any], now: float) -> list[Notice]:
    """The alerts of a message, each once.

    Args:
        message: As it was posted.
        now: The time, in seconds since 1970.

    Raises:
        BadRequest: It is no such message.
    """
    try:
        found = _Message.model_validate(message)
        notices = [_notice(found, one, now) for one in found.alerts]
    except ValidationError as exc:
        wrong = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(limit_length(str(part), 40) for part in wrong["loc"])
        raise BadRequest(
            f"This is no message of Alertmanager's version 4: {one_line(where, 120)}: {wrong['msg']}"
        ) from None
    # Of an alert that is there twice, what it ended as counts.
    once = {(one.fingerprint, one.starts_at): one for one in sorted(notices, key=lambda one: one.state)}
    return list(once.values())


def _notice(message: _Message, alert: _Alert, now: float) -> Notice:
    labels: dict[str, str] = {one_line(name, 200): one_line(text, _LABEL_CHARS) for name, text in alert.labels.items()}
    firing = alert.status == "firing"
    return Notice(
        source=SOURCE,
        fingerprint=alert.fingerprint,
        starts_at=_moment(alert.starts_at, now),
        state=alert.status,
        name=labels.get("alertname") or "(no name)",
        severity=labels.get("severity", ""),
        labels=labels,
        annotations={one_line(name, 200): shorten(text, _TEXT_CHARS, "") for name, text in alert.annotations.items()},
        ends_at=None if firing else _moment(alert.ends_at, now),
        group_key=one_line(message.group_key, 1000),
        receiver=one_line(message.receiver, 200),
    )


def _moment(text: str, now: float) -> float:
    try:
        found = datetime.fromisoformat(text)
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadRequest("A time in the message is none") from None
    if not 0 <= seconds <= now + _MOST_AHEAD_S:
        raise BadRequest("A time in the message cannot be")
    return seconds
