"""The Status errors of the API server, in its own words.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ and the recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model import Json

if TYPE_CHECKING:
    from .resources import Resource


@dataclass(frozen=True)
class Cause:
    """One field's fault in an Invalid status."""

    reason: str
    message: str
    field: str

    def json(self) -> Json:
        """As the API writes it."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """An answer that is not the one asked for; `body` is its Status."""

    def __init__(self, code: int, message: str, reason: str = "", details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.body["reason"] = reason
        if details is not None:
            self.body["details"] = details
        self.body["code"] = code


def _details(resource: Resource, name: str, **more: object) -> Json:
    details: Json = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural, **more}


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for one object."""
    return ApiError(404, f'{resource.qualified} "{name}" not found', "NotFound", _details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 for a name that is taken."""
    return ApiError(409, f'{resource.qualified} "{name}" already exists', "AlreadyExists", _details(resource, name))


def modified(resource: Resource, name: str) -> ApiError:
    """409 for a write on a stale resourceVersion."""
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return ApiError(409, message, "Conflict", _details(resource, name))


def uid_mismatch(resource: Resource, name: str, uid: str) -> ApiError:
    """409 for an apply that names the uid of an object that is not there."""
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": uid mismatch: '
        f"the provided object specified uid {uid}, and no existing object was found"
    )
    return ApiError(409, message, "Conflict", _details(resource, name))


def precondition_failed(resource: Resource, name: str, what: str, asked: str, found: str) -> ApiError:
    """409 for a delete whose precondition does not hold."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    message = (
        f'Operation cannot be fulfilled on {kind} "{name}": the {what} in the precondition ({asked}) does not match '
        f"the {what} in record ({found}). The object might have been "
        + ("deleted and then recreated" if what == "UID" else "modified")
    )
    details = {**_details(resource, name), "kind": resource.kind}
    return ApiError(409, message, "Conflict", details)


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Json] = ()) -> ApiError:
    """403 by admission: the caller may, but not this."""
    more = {"causes": list(causes)} if causes else {}
    message = f'{resource.qualified} "{name}" is forbidden: {why}'
    return ApiError(403, message, "Forbidden", _details(resource, name, **more))


def denied(user: str, verb: str, group: str, resource: str, namespace: str | None, name: str = "") -> ApiError:
    """403 by authorization (RBAC)."""
    plural = resource.split("/", 1)[0]
    qualified = f"{plural}.{group}" if group else plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{qualified} "{name}"' if name else qualified
    message = (
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}" {where}'
    )
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    return ApiError(403, message, "Forbidden", {**details, "kind": plural})


def denied_path(user: str, verb: str, path: str) -> ApiError:
    """403 for a path that is no resource."""
    return ApiError(403, f'forbidden: User "{user}" cannot {verb} path "{path}"', "Forbidden", {})


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with one cause a field."""
    found = [f"{cause.field}: {cause.message}" for cause in causes]
    said = found[0] if len(found) == 1 else "[" + ", ".join(found) + "]"
    qualified = f"{kind}.{group}" if group else kind
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    details |= {"kind": kind, "causes": [cause.json() for cause in causes]}
    return ApiError(422, f'{qualified} "{name}" is invalid: {said}', "Invalid", details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, message, "BadRequest")


def integer(text: str) -> int:
    """A query's number.

    Raises:
        ApiError: 400 when it is none.
    """
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def expired(asked: int, oldest: int) -> ApiError:
    """410 for a resourceVersion that history no longer reaches."""
    return ApiError(410, f"too old resource version: {asked} ({oldest})", "Expired")


def method_not_allowed(message: str = "the server does not allow this method on the requested resource") -> ApiError:
    """405."""
    return ApiError(405, message, "MethodNotAllowed", {})


def not_implemented(what: str) -> ApiError:
    """501: a real API server would answer, the sandbox does not."""
    return ApiError(501, f"the sandbox does not do this: {what}", "NotImplemented")


def unsupported_media_type() -> ApiError:
    """415."""
    return ApiError(415, "415: Unsupported Media Type", "UnsupportedMediaType", {})


def success(resource: Resource, obj: Json) -> Json:
    """The Status a finished delete answers with."""
    meta = obj["metadata"]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_details(resource, meta["name"]), "uid": meta["uid"]},
    }
