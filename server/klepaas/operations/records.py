"""How an operation stands in the store and comes out of it; and what of it is redacted before it is kept.

While an operation is under way its request is kept as it was asked for, since it may have to be carried out again; when
it has ended, only what may be shown is left of it.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from klepaas.errors import BadRequest
from klepaas.observability import one_line, safe_text
from klepaas.operations.bodies import shown_part
from klepaas.operations.kinds import PLANNED, Location, Outcome, State
from klepaas.operations.model import Operation, StepRecord, StepState, Superseded, Waiting
from klepaas.operations.origin import Origin
from klepaas.output.redaction import MARK, is_secret_field
from klepaas.output.safe import shorten
from klepaas.principals import Principal
from klepaas.store.moments import is_ahead
from klepaas.store.tables import OperationRow, StepRow

__all__ = [
    "LEASE_OF_OLDER_S",
    "LEFT_AFTER_S",
    "RETRY_MAX_S",
    "UNATTENDED",
    "as_json",
    "digest",
    "is_leased",
    "new_id",
    "notes_of",
    "notes_with",
    "operation_of",
    "outcome_as_json",
    "redacted",
    "step_of",
    "waiting_as_json",
    "waiting_of",
]

# Under these names the notes keep where the operation works, and with what right it was begun.
_LOCATION, _ORIGIN = "location", "origin"
# What an operation waits for that nobody carries out, and after how many seconds it is surely left.
UNATTENDED = "a server that carries it out"
LEFT_AFTER_S = 60.0
# The longest pause before an operation is tried again, and the longest lease of an earlier version; in seconds.
RETRY_MAX_S = 60.0
LEASE_OF_OLDER_S = 60.0
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_CHARS = 12
_REASON_MAX_CHARS = 300
_REQUEST_MAX_BYTES = 2 * 1024 * 1024
_TEXT_MAX_CHARS = 64 * 1024


def new_id() -> str:
    """A handle that nobody can guess and a person can read out."""
    return "op-" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))


def as_json(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request as JSON data, a copy.

    Raises:
        BadRequest: It is no JSON data, or too much.
    """
    try:
        text = json.dumps(request, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise BadRequest("What an operation is asked to do must be JSON data") from exc
    if len(text) > _REQUEST_MAX_BYTES:
        raise BadRequest(f"What an operation is asked to do is more than {_REQUEST_MAX_BYTES // 1024} KiB")
    copy: dict[str, Any] = json.loads(text)
    return copy


def digest(operation_id: str, request: Mapping[str, Any]) -> str:
    """What is the same for the same request of the same operation. Salted, since a request may hold secrets.

    What was planned is no part of it: the same call finds something else while its operation is under way.
    """
    asked = {name: value for name, value in request.items() if name != PLANNED}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hmac.new(operation_id.encode(), text.encode(), hashlib.sha256).hexdigest()


def redacted(value: Any, name: str = "") -> Any:
    """JSON data without secrets."""
    if isinstance(value, str):
        return MARK if is_secret_field(name, value) else safe_text(value)
    if isinstance(value, Mapping):
        return {one_line(str(key), 253): redacted(item, str(key)) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [redacted(item, name) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else one_line(str(value))


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as it is kept."""
    text = shorten(outcome.text, _TEXT_MAX_CHARS, "\n[cut]")
    error = None if outcome.error is None else redacted(outcome.error)
    return {"state": outcome.state.value, "text": text, "facts": redacted(outcome.facts), "error": error}


def principal_as_json(principal: Principal) -> dict[str, Any]:
    """Who asked, as it is kept."""
    return asdict(principal)


def operation_of(row: OperationRow, now: float, steps: Sequence[StepRow] = ()) -> Operation:
    """The operation of a row.

    Args:
        row: The row.
        now: The store's time.
        steps: The rows of its steps, in order.
    """
    return Operation(
        id=row.id,
        kind=row.kind,
        target=row.target,
        title=row.title,
        request=shown_part(row.request),
        kept_request=row.request,
        request_digest=row.request_digest,
        principal=_principal_of(row.principal),
        state=State(row.state),
        attempt=row.attempt,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deadline_at=row.deadline_at,
        ended_at=row.ended_at,
        cancel_requested=row.cancel_requested_at is not None,
        done=row.done,
        total=row.total,
        line=row.line,
        notes=notes_of(row),
        steps=tuple(step_of(step) for step in steps),
        outcome=_outcome_of(row.outcome),
        unattended_since=_unattended_since(row, now),
        next_attempt_at=row.next_attempt_at,
        location=_location_of(row),
        waiting=waiting_of(row, now),
        supersedes=_superseded_of(row),
        attended_s=row.attended_s,
        origin=_origin_of(row),
    )


def step_of(row: StepRow) -> StepRecord:
    """The step of a row."""
    return StepRecord(row.name, StepState(row.state), row.intended_at, row.ended_at, row.result)


def notes_with(location: Location, origin: Origin | None = None) -> dict[str, Any]:
    """The notes that an operation begins with."""
    where = {_LOCATION: asdict(location)} if location != Location() else {}
    return where if origin is None else {**where, _ORIGIN: origin.as_json()}


def notes_of(row: OperationRow) -> dict[str, Any]:
    """The notes as the operation's kind made them."""
    return {name: value for name, value in row.notes.items() if name not in (_LOCATION, _ORIGIN)}


def _location_of(row: OperationRow) -> Location:
    kept = row.notes.get(_LOCATION) or {}
    return Location(kept.get("context"), kept.get("namespace"))


def waiting_as_json(before: Mapping[str, Any] | None, reason: str, now: float, until: float | None) -> dict[str, Any]:
    """What an operation waits for, as it is kept.

    Args:
        before: What it waited for before; for the same it waits since then. None: it was at work.
        reason: What it waits for.
        now: The store's time.
        until: When it looks again at the latest, in seconds since 1970. None: that is not known.
    """
    line = one_line(reason, _REASON_MAX_CHARS)
    since = before["since"] if before is not None and before.get("reason") == line else now
    return {"reason": line, "since": since, "until": until}


def waiting_of(row: OperationRow, now: float) -> Waiting | None:
    """What an operation waits for, also for a server where it was left. None: it is at work, or has ended.

    Args:
        row: The row.
        now: The store's time.
    """
    if State(row.state).ended:
        return None
    if row.waiting is not None:
        until = row.waiting.get("until")
        due = row.next_attempt_at if row.next_attempt_at is not None else until
        return Waiting(str(row.waiting["reason"]), float(row.waiting["since"]), due)
    unattended = _unattended_since(row, now)
    return Waiting(UNATTENDED, unattended) if unattended is not None and now - unattended > LEFT_AFTER_S else None


def _superseded_of(row: OperationRow) -> Superseded | None:
    kept = row.supersedes
    if not kept:
        return None
    return Superseded(
        id=kept["id"],
        title=kept["title"],
        waited_for=kept["waited_for"],
        notes={name: value for name, value in (kept.get("notes") or {}).items() if name not in (_LOCATION, _ORIGIN)},
        has_begun=bool(kept.get("has_begun")),
    )


def _origin_of(row: OperationRow) -> Origin | None:
    kept = row.notes.get(_ORIGIN)
    return None if kept is None or State(row.state).ended else Origin.from_json(kept)


def _principal_of(kept: Mapping[str, Any]) -> Principal:
    # A field that a newer version keeps is not ours to know.
    return Principal(kept["name"], kept["transport"], kept.get("uid"), kept.get("client"), kept.get("realm"))


def _outcome_of(kept: Mapping[str, Any] | None) -> Outcome | None:
    if kept is None:
        return None
    return Outcome(State(kept["state"]), kept["text"], kept["facts"], kept["error"])


def _unattended_since(row: OperationRow, now: float) -> float | None:
    if State(row.state).ended or is_leased(row, now):
        return None
    if is_ahead(row.next_attempt_at, now, at_most_s=RETRY_MAX_S):
        return None
    since = row.lease_until if row.lease_until is not None else row.updated_at
    # A moment in the future was written before the clock was set back; nobody knows more than that it is over.
    return since if since <= now else min(row.updated_at, now)


def is_leased(row: OperationRow, now: float) -> bool:
    """Whether somebody's lease of an operation lasts; one that is further ahead than it lasts has expired.

    Args:
        row: The row.
        now: The store's time.
    """
    lasts_s = LEASE_OF_OLDER_S if row.lease_s is None else row.lease_s
    return is_ahead(row.lease_until, now, at_most_s=lasts_s)
