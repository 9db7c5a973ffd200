"""One request, understood: which verb on which object, how it writes, and how the client wants the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response

from . import status
from .bodies import read_json, read_object, read_yaml
from .model import Json
from .objects import DeleteOptions, Write
from .openapi.decoding import Decoder, Mismatch
from .openapi.schemas import Node, schemas
from .resources import Resource
from .schema import validation_of

_TABLE, _PARTIAL = "as=Table", "as=PartialObjectMetadata"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_PROPAGATIONS = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True)
class Call:
    """One request, understood."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    user: str
    address: str
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def media_type(self) -> str:
        """The media type of the body."""
        return self.headers.get("content-type", "application/json").split(";", 1)[0].strip()

    @property
    def form(self) -> str:
        """How the client wants an object: as a table, its metadata, or whole. The first it names wins."""
        first = self.accept.split(",", 1)[0]
        return "table" if _TABLE in first else "partial" if _PARTIAL in first else "whole"

    @property
    def verb(self) -> str:
        """What authorization calls this request.

        Raises:
            ApiError: 405 for a method that is no verb.
        """
        if self.method in ("GET", "HEAD"):
            watching = self.query.get("watch") in ("true", "1")
            if self.name and not watching:
                return "get"
            return "watch" if watching else "list"
        if self.method == "DELETE":
            return "delete" if self.name else "deletecollection"
        verb = _VERBS.get(self.method)
        if verb is None:
            raise status.method_not_allowed()
        return verb

    @property
    def accept(self) -> str:
        """The media types the client takes."""
        return self.headers.get("accept", "")

    @property
    def write(self) -> Write:
        """How a write of this request is to be made.

        Raises:
            ApiError: 400 for a dryRun that is not All.
        """
        dry_run = self.query.get("dryRun", "")
        if dry_run not in ("", "All"):
            says = f'Unsupported value: "{dry_run}": supported values: "All"'
            raise status.invalid(
                "PatchOptions", "meta.k8s.io", "", [status.Cause("FieldValueNotSupported", says, "dryRun")]
            )
        agent = self.headers.get("user-agent", "").split("/", 1)[0] or "unknown"
        return Write(
            self.query.get("fieldManager") or agent,
            dry_run == "All",
            self.query.get("force") in ("true", "1"),
            validation_of(self.query.get("fieldValidation", ""), self.method),
            self.user,
        )


def answer(
    body: Any, code: int = 200, media_type: str = "application/json", warnings: tuple[str, ...] = ()
) -> Response:
    """A JSON answer."""
    response = Response(json.dumps(body, separators=(",", ":")), code, media_type=media_type)
    for warning in warnings:
        response.headers.append("warning", f"299 - {json.dumps(warning)}")
    return response


def decode_body(call: Call, node: Node, kind: str) -> Json:
    """The body as one object of a built-in kind that is not stored.

    Raises:
        ApiError: 400.
    """
    read = read_object(call.body, call.media_type, kind)
    try:
        return Decoder(read.duplicates).decode(read.value, node)
    except Mismatch as error:
        said = f'{kind} in version "v1" cannot be handled as a {kind}: {error}'
        raise status.bad_request(said) from error


def delete_options(call: Call) -> DeleteOptions:
    """What a delete asks for, in its body or its query.

    Raises:
        ApiError: 400 or 422.
    """
    body = _delete_body(call)
    held = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    propagation = body.get("propagationPolicy") or call.query.get("propagationPolicy") or "Background"
    if propagation not in _PROPAGATIONS:
        supported = ", ".join(f'"{one}"' for one in (*_PROPAGATIONS, "nil"))
        says = f'Unsupported value: "{propagation}": supported values: {supported}'
        cause = status.Cause("FieldValueNotSupported", says, "propagationPolicy")
        raise status.invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    if body.get("orphanDependents") is True:
        propagation = "Orphan"
    dry_run = call.write.dry_run or "All" in (body.get("dryRun") or ())
    grace_s = None if grace is None else status.integer(str(grace))
    return DeleteOptions(propagation, grace_s, held.get("uid"), held.get("resourceVersion"), dry_run)


def _delete_body(call: Call) -> Json:
    if not call.body.strip():
        return {}
    try:
        value = (read_yaml if call.media_type.endswith("yaml") else read_json)(call.body).value
        if not isinstance(value, dict):
            raise status.bad_request("couldn't get version/kind; json parse error")
        return Decoder().decode(value, Node(schemas()[_OPTIONS], reference=_OPTIONS))
    except (Mismatch, ValueError) as error:
        raise status.bad_request(str(error)) from error
