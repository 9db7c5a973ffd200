"""What an error means for an operation: read from its text and cause first, from its code last.

A webhook's denial carries any code, 401, 404, 429 and 503 among them; a quota is a 403 like missing rights are. So a
text of admission decides whatever its code; of the rest, what may pass is waited for.

Sources: Kubernetes, "Dynamic Admission Control", "Admission Controllers", "Validating Admission Policy", "Pod Security
Admission", "Using RBAC Authorization" (privilege escalation); answers of a real 1.36 API server.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from klepaas.changes import RaisedEffect
from klepaas.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InternalError,
    KlepaasError,
    NotFound,
    RateLimited,
    Unauthorized,
)
from klepaas_plugins.deployments.executor.observed import Trouble
from klepaas_plugins.kubernetes.client import (
    ChangedSincePlan,
    Expired,
    FieldConflict,
    OutcomeUnknown,
    Refusal,
    find_refusal,
)

__all__ = ["classify_error", "classify_status"]

# What the client reads from a text of admission; another refusal is the body's fault.
_REFUSALS: Mapping[Refusal, Trouble] = {
    Refusal.WEBHOOK_UNREACHABLE: Trouble.WEBHOOK_UNREACHABLE,
    Refusal.NAMESPACE_ENDING: Trouble.NAMESPACE_ENDING,
    Refusal.RIGHTS: Trouble.RIGHTS,
}
# Of the rest, the first that is found in a text decides.
_TEXTS: tuple[tuple[re.Pattern[str], Trouble], ...] = (
    (re.compile(r"failed to create typed patch object"), Trouble.REFUSED),
    (re.compile(r"namespaces \"[^\"]{1,300}\" not found"), Trouble.NAMESPACE_MISSING),
    (re.compile(r"no matches for kind|the server could not find the requested resource"), Trouble.NOT_SERVED),
)
_TYPES: tuple[tuple[type[KlepaasError], Trouble], ...] = (
    (FieldConflict, Trouble.OWNED),
    (OutcomeUnknown, Trouble.STALE),
    (Expired, Trouble.STALE),
    # What the plan rests on is not so any more: whoever confirmed it has not confirmed this.
    (ChangedSincePlan, Trouble.OWNED),
    (RaisedEffect, Trouble.REFUSED),
    (Conflict, Trouble.STALE),
    (Unauthorized, Trouble.CREDENTIALS),
    (Forbidden, Trouble.RIGHTS),
    (RateLimited, Trouble.RATE_LIMITED),
    (NotFound, Trouble.REFUSED),
    (BadRequest, Trouble.REFUSED),
    (InternalError, Trouble.REFUSED),
)
_CODES: Mapping[int, Trouble] = {
    403: Trouble.RIGHTS,
    409: Trouble.STALE,
    410: Trouble.STALE,
    429: Trouble.RATE_LIMITED,
}


def classify_error(error: KlepaasError) -> Trouble:
    """What an error of a cluster's client means.

    Args:
        error: The error.
    """
    found = _classify_text(error.what)
    if found is not None:
        return found
    return next((trouble for kind, trouble in _TYPES if isinstance(error, kind)), Trouble.UNREACHABLE)


def classify_status(code: int, reason: str, message: str, causes: Sequence[Mapping[str, Any]] = ()) -> Trouble:
    """What an API server's Status means.

    Args:
        code: Its HTTP code.
        reason: Its machine-readable reason; a webhook's denial has none.
        message: Its text.
        causes: Its `details.causes`.
    """
    if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        return Trouble.OWNED
    found = _classify_text(message, causes)
    if found is not None:
        return found
    if code == 401:
        # Without the API server's own reason it is somebody's answer in between, which may be another next time.
        return Trouble.CREDENTIALS if reason == "Unauthorized" else Trouble.UNREACHABLE
    if code >= 500:
        return Trouble.UNREACHABLE
    return _CODES.get(code, Trouble.REFUSED)


def _classify_text(text: str, causes: Sequence[Mapping[str, Any]] = ()) -> Trouble | None:
    refusal = find_refusal(text, causes)
    if refusal is not None:
        return _REFUSALS.get(refusal, Trouble.ADMISSION)
    return next((trouble for pattern, trouble in _TEXTS if pattern.search(text)), None)
