"""From what a Kubernetes API server answers to klepaas' errors: each answer becomes exactly one.

A message says what was asked, of which object in which context, and what to do next. It quotes the server's one-line
reason, never a URL, a header or a token. The few errors that callers tell apart have their own class here; so have
those that the pipeline (`klepaas.resilience`) must not take for an ill API server.

A text of admission decides, whatever its code (`refusals`); of the rest, the code.

Source: Kubernetes API conventions, "Response Status Kind"; the answers of a 1.36 server.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from klepaas.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    KlepaasError,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.foreign_json import parse_json
from klepaas.resilience import OutcomeUnknown, parse_retry_after
from klepaas_plugins.kubernetes.refusals import Refusal, refusal_of

__all__ = [
    "Act",
    "AlreadyExists",
    "BehindIt",
    "Expired",
    "FieldConflict",
    "Invalid",
    "NotTheApi",
    "ObjectModified",
    "OutcomeUnknown",
    "error_for",
]

MESSAGE_MAX_CHARS = 600
# What an aggregator writes when it does not ask, or does not reach, the API behind it; the API server writes a Status.
_AWAY = (b"service unavailable",)
_UNREACHABLE = (b"error trying to reach service",)
# Storage in trouble: the one inner failure that is the API server's own, and that leaves a change in doubt.
_STORAGE = ("etcdserver", "etcd ", "leader changed")

# What the API server says of a version or a uid that a request was held to; a webhook's 409 says something else.
_MODIFIED = ("the object has been modified", "Precondition failed", "uid mismatch")


class AlreadyExists(Conflict):
    """An object of that name is there already."""


class Expired(Conflict):
    """The version or cursor to go on from is no longer kept by the server; list again."""


class ObjectModified(Conflict):
    """The object has another version, or is another one, than the request was held to."""


class FieldConflict(Conflict):
    """A server-side apply would change fields that other managers own.

    Attributes:
        owners: The managers and the fields in the way, as pairs.
    """

    owners: tuple[tuple[str, str], ...] = ()


class Invalid(BadRequest):
    """The server finds fields of the object not valid.

    Attributes:
        causes: The fields and what is wrong with each, as pairs.
    """

    causes: tuple[tuple[str, str], ...] = ()


class BehindIt(Unavailable):
    """The API server answers, but what it needs for this does not: a node, a webhook, another API, our trust in it.

    It says nothing about the API server's own health, and asking again at once is no use.
    """


class NotTheApi(Unavailable):
    """Something else than an API server answered."""


@dataclass(frozen=True)
class Act:
    """One request in words, for the messages.

    Attributes:
        verb: What was asked for ("list", "apply").
        what: Of what ("pods in namespace prod").
        context: In which context.
        name: The object's name. None: a collection.
        changes: Whether the request may change something.
    """

    verb: str
    what: str
    context: str
    name: str | None = None
    changes: bool = False

    def cannot(self, reason: str) -> str:
        """The sentence that says the request failed, and why."""
        return f"Cannot {self.deed} (context {self.context}): {reason}"

    @property
    def deed(self) -> str:
        """The request, to go after "Cannot"."""
        return f"{self.verb} {self.what}"

    @property
    def verify(self) -> str:
        """How to find out whether a change was made."""
        looking = f"Read {self.what}" if self.name is not None else f"List {self.what}"
        return f"{looking} (context {self.context}) to see whether it was made, before doing it again"


@dataclass(frozen=True)
class _Status:
    """What the answer says, already read."""

    code: int
    reason: str
    message: str
    details: Mapping[str, Any]
    retry_after_s: float | None
    refusal: Refusal | None = None

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        causes = self.details.get("causes")
        return [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []

    def has_cause(self, reason: str) -> bool:
        return any(cause.get("reason") == reason for cause in self.causes)


def error_for(act: Act, code: int, body: bytes, retry_after: str | None = None) -> KlepaasError:
    """The error that an unsuccessful answer means.

    Args:
        act: The request in words.
        code: The HTTP status, or the code of a Status inside a watch.
        body: The answer's body; best a Status, but a proxy's page will do.
        retry_after: The Retry-After header. None: there was none.
    """
    status = _read(code, body, retry_after)
    if status.refusal is not None:
        return _EXPLAIN[status.refusal](act, status)
    if status.code >= 500:
        return _server_trouble(act, status, body)
    explain = _BY_CODE.get(status.code, _bad_request)
    return explain(act, status)


def _read(code: int, body: bytes, retry_after: str | None) -> _Status:
    try:
        document = parse_json(body)
    except ValueError:
        document = None
    found = document if isinstance(document, dict) and document.get("kind") == "Status" else {}
    details = found.get("details")
    details = details if isinstance(details, dict) else {}
    message = _line(found.get("message"))
    seconds = retry_after if retry_after is not None else details.get("retryAfterSeconds")
    status = _Status(code, str(found.get("reason") or ""), message, details, _seconds(seconds))
    return replace(status, refusal=refusal_of(found))


def _line(message: Any) -> str:
    """A message without the objects and values that it quotes; masking is loaded when something fails."""
    from klepaas_plugins.kubernetes.masking.messages import message_line

    return message_line(message, MESSAGE_MAX_CHARS)


def _seconds(value: Any) -> float | None:
    seconds = None if value is None else parse_retry_after(str(value), time.time())
    return seconds if seconds is not None and seconds <= 3600 else None


def _bad_request(act: Act, status: _Status) -> KlepaasError:
    reason = status.message or f"the server answered {status.code}"
    return BadRequest(act.cannot(reason), next_step="Correct that and call again")


def _invalid(act: Act, status: _Status) -> KlepaasError:
    reason = status.message or f"the server answered {status.code}"
    advice = _ADVICE[status.refusal] if status.refusal is not None else "Correct that and call again"
    error = Invalid(act.cannot(reason), next_step=advice)
    error.causes = tuple((_line(cause.get("field")), _line(cause.get("message"))) for cause in status.causes)
    return error


def _unauthorized(act: Act, status: _Status) -> KlepaasError:
    # Another reason is that of something between us and the API server, and its text may say what it wants.
    said = "" if status.reason == "Unauthorized" or not status.message else f": {status.message}"
    return Unauthorized(
        act.cannot(f"the cluster does not accept the credentials{said}"),
        next_step="Log in to the cluster's provider again on the machine that runs klepaas, then retry",
    )


def _forbidden(act: Act, status: _Status) -> KlepaasError:
    reason = status.message or "the credentials do not allow it"
    return Forbidden(act.cannot(reason), next_step=_ADVICE[Refusal.RIGHTS])


def _refused(act: Act, status: _Status) -> KlepaasError:
    """By a rule of the cluster, whoever asks: neither missing credentials nor an outage."""
    kind = BadRequest if status.refusal is Refusal.WEBHOOK else Forbidden
    return kind(act.cannot(status.message), next_step=_ADVICE[status.refusal or Refusal.ADMISSION])


def _ending(act: Act, status: _Status) -> KlepaasError:
    reason = status.message or "the namespace is being terminated"
    return Conflict(act.cannot(reason), next_step="Wait until the namespace is gone, or use another one")


def _behind(act: Act, status: _Status) -> KlepaasError:
    reason = status.message or f"the server answered {status.code}"
    return BehindIt(act.cannot(reason), next_step="Look at what it names: the API server itself is well")


def _not_found(act: Act, status: _Status) -> KlepaasError:
    missing = status.details.get("name")
    if missing is None:
        # Not the object is missing but its path: a kind or a subresource that is not served.
        reason = status.message or "the cluster does not serve this"
        return NotFound(act.cannot(reason), next_step="Check the kind, its group and whether it can do that")
    if status.message and (missing != act.name or _is_of_namespace(act, status)):
        return NotFound(act.cannot(status.message), next_step="Check that name, or create it first")
    return NotFound(f"There is no {act.what} (context {act.context})", next_step="List the kind to see what is there")


def _is_of_namespace(act: Act, status: _Status) -> bool:
    """Whether the namespace of an object is missing, which may have the object's own name."""
    return status.details.get("kind") == "namespaces" and not act.what.lower().startswith("namespace ")


def _conflict(act: Act, status: _Status) -> KlepaasError:
    if status.reason == "AlreadyExists":
        return AlreadyExists(act.cannot("it already exists"), next_step="Change it instead, or choose another name")
    owners = tuple(_owners(status))
    if owners:
        return _field_conflict(act, owners)
    reason = status.message or "it was changed meanwhile"
    kind = ObjectModified if any(text in reason for text in _MODIFIED) else Conflict
    return kind(act.cannot(reason), next_step="Read it again, then retry")


def _owners(status: _Status) -> list[tuple[str, str]]:
    found = (cause for cause in status.causes if cause.get("reason") == "FieldManagerConflict")
    return [(_manager(_line(cause.get("message"))), str(cause.get("field", ""))) for cause in found]


def _manager(message: str) -> str:
    """The manager's name in `conflict with "kubectl" using apps/v1`."""
    parts = message.split('"')
    return parts[1] if len(parts) > 2 else message


def _field_conflict(act: Act, owners: tuple[tuple[str, str], ...]) -> KlepaasError:
    shown = ", ".join(f"{field} ({manager})" for manager, field in owners[:8])
    more = f" and {len(owners) - 8} more" if len(owners) > 8 else ""
    conflict = FieldConflict(
        act.cannot(f"other managers own these fields: {shown}{more}"),
        next_step="Leave these fields out, or take ownership explicitly",
    )
    conflict.owners = owners
    return conflict


def _expired(act: Act, _: _Status) -> KlepaasError:
    return Expired(
        act.cannot("the server no longer keeps the version to go on from"), next_step="List again from the beginning"
    )


def _too_many(act: Act, status: _Status) -> KlepaasError:
    if status.has_cause("DisruptionBudget"):
        return Conflict(act.cannot(status.message), next_step="Wait until more pods are ready, then retry")
    said = f": {status.message}" if status.message else ""
    return RateLimited(
        act.cannot(f"the cluster asks to come back later{said}"),
        next_step="Wait, then retry",
        retry_after_s=status.retry_after_s,
    )


def _server_trouble(act: Act, status: _Status, body: bytes) -> KlepaasError:
    # A 1.36 server answers 500 to a server-side apply with a field that its schema does not know.
    if status.code == 500 and status.message.startswith("failed to create typed patch object"):
        return _bad_request(act, status)
    reason = status.message or f"the server answered {status.code}"
    if _is_behind(act, status, body):
        return _behind(act, status)
    if act.changes:
        return OutcomeUnknown(act.cannot(f"{reason}; the change may have been made"), next_step=act.verify)
    kind = TimedOut if status.code == 504 else Unavailable
    return kind(act.cannot(reason), next_step="Retry in a moment", retry_after_s=status.retry_after_s)


def _is_behind(act: Act, status: _Status, body: bytes) -> bool:
    """Whether the API server is well and only what is behind it is not; then a change was certainly not made."""
    message = status.message
    if any(text in message for text in _STORAGE):
        return False
    if message:
        return "dial tcp" in message or (status.code == 500 and not act.changes)
    aggregator = _AWAY if act.changes else (*_AWAY, *_UNREACHABLE)
    return status.code == 503 and body.strip().startswith(aggregator)


_BY_CODE: dict[int, Callable[[Act, _Status], KlepaasError]] = {
    401: _unauthorized,
    403: _forbidden,
    404: _not_found,
    409: _conflict,
    410: _expired,
    422: _invalid,
    429: _too_many,
}
_EXPLAIN: dict[Refusal, Callable[[Act, _Status], KlepaasError]] = {
    Refusal.WEBHOOK_UNREACHABLE: _behind,
    Refusal.NAMESPACE_ENDING: _ending,
    Refusal.WEBHOOK: _refused,
    Refusal.POLICY: _invalid,
    Refusal.QUOTA: _refused,
    Refusal.POD_SECURITY: _refused,
    Refusal.ESCALATION: _refused,
    Refusal.RIGHTS: _forbidden,
    Refusal.ADMISSION: _refused,
}
_ADVICE: dict[Refusal, str] = {
    Refusal.WEBHOOK: "Change what the webhook refuses and call again",
    Refusal.POLICY: "Change what the policy refuses and call again",
    Refusal.QUOTA: "Free quota in the namespace or have it raised",
    Refusal.POD_SECURITY: "Change the fields that it names, or have the namespace's level changed",
    Refusal.ESCALATION: "Have it done by somebody who holds these permissions",
    Refusal.RIGHTS: "Ask the cluster's administrator for that right, or use another context",
    Refusal.ADMISSION: "Change what it names, or have the cluster's rule changed",
}
