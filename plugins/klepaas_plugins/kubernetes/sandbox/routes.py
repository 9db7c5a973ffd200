"""HTTP: which request is which verb on which object, and how the answer is written."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from . import discovery, schema, status
from .evictions import evict
from .faults import Attributes, Faults
from .logs import Logs
from .managed import update_owners
from .model import Json
from .objects import DeleteOptions, Objects, Write, patched
from .openapi.schemas import node_named
from .resources import PODS, SERVICES, Resource
from .selectors import Match, field_match, label_match
from .status import ApiError
from .tables import partial, table
from .watch import View, watch

_TABLE, _PARTIAL = "as=Table", "as=PartialObjectMetadata"
_HEALTH = ("/livez", "/readyz", "/healthz")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_REVIEW_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Call:
    """One request, understood."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: str
    address: str
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""

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
            self.query.get("fieldManager") or agent, dry_run == "All", self.query.get("force") in ("true", "1")
        )


def answer(
    body: Any, code: int = 200, media_type: str = "application/json", warnings: tuple[str, ...] = ()
) -> Response:
    """A JSON answer."""
    response = Response(json.dumps(body, separators=(",", ":")), code, media_type=media_type)
    for warning in warnings:
        response.headers.append("warning", f"299 - {json.dumps(warning)}")
    return response


def _page_not_found() -> Response:
    return Response("404 page not found\n", 404, {"content-type": "text/plain; charset=utf-8"})


def parse_body(call: Call) -> Any:
    """The body as JSON or YAML.

    Raises:
        ApiError: 400 or 415.
    """
    media_type = call.headers.get("content-type", "application/json").split(";", 1)[0].strip()
    try:
        if media_type in ("application/yaml", "application/apply-patch+yaml"):
            return yaml.safe_load(call.body)
        if media_type.endswith("json"):
            return json.loads(call.body)
    except (ValueError, yaml.YAMLError) as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error
    raise status.unsupported_media_type()


class Router:
    """The API server's paths."""

    def __init__(self, objects: Objects, logs: Logs, faults: Faults) -> None:
        self._objects = objects
        self._logs = logs
        self._faults = faults

    async def handle(self, request: HttpRequest, body: bytes) -> Response:
        """Answer a request; every refusal is a Status."""
        headers = request.headers
        try:
            user = self._faults.user(headers.get("authorization"), headers.get("impersonate-user"))
            call = Call(
                request.method, request.url.path, request.query_params, headers, body, user,
                headers.get("host", "127.0.0.1"),
            )  # fmt: skip
            return self._route(call)
        except ApiError as error:
            return answer(error.body, error.code)

    def _route(self, call: Call) -> Response:
        found = self._resolve(call)
        if isinstance(found, Call):
            return self._resource(found)
        if call.path != _REVIEW_PATH:
            self._faults.authorize(call.user, Attributes(call.method.lower(), call.path))
        return found or _page_not_found()

    def _resolve(self, call: Call) -> Call | Response | None:
        """The call with its resource, or the answer of a path that is none."""
        parts = [part for part in call.path.split("/") if part]
        if call.path in _HEALTH:
            return Response("ok", headers={"content-type": "text/plain; charset=utf-8"})
        if call.path == "/version":
            return answer(discovery.VERSION)
        if call.path == _REVIEW_PATH:
            return self._review(call)
        if parts[:1] == ["api"]:
            return self._below(call, "", parts[1:])
        if parts[:1] == ["apis"]:
            return self._below(call, parts[1] if len(parts) > 1 else "", parts[2:])
        if parts[:1] == ["openapi"]:
            raise status.not_implemented("OpenAPI documents")
        return None

    def _below(self, call: Call, group: str, rest: list[str]) -> Call | Response | None:
        registry = self._objects.registry
        core = call.path.startswith("/api/") or call.path == "/api"
        if not rest:
            if group:
                described = discovery.group(registry, group)
                return answer(described) if described else None
            if "g=apidiscovery.k8s.io" in call.accept and "v=v2" in call.accept.replace("v=v2beta1", ""):
                return answer(discovery.aggregated(registry, core=core), media_type=discovery.AGGREGATED)
            return answer(discovery.core_versions(call.address) if core else discovery.group_list(registry))
        version, *rest = rest
        if not rest:
            listed = discovery.resource_list(registry, group, version)
            return answer(listed) if listed else None
        return self._located(call, group, version, rest)

    def _located(self, call: Call, group: str, version: str, rest: list[str]) -> Call | None:
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self._objects.registry.find(group, version, rest[0])
        if resource is None or len(rest) > 3:
            return None
        if namespace and not resource.namespaced:
            return None
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if name and resource.namespaced and not namespace:
            return None
        return Call(
            call.method, call.path, call.query, call.headers, call.body, call.user, call.address, resource, namespace,
            name, subresource,
        )  # fmt: skip

    def _review(self, call: Call) -> Response:
        if call.method != "POST":
            raise status.method_not_allowed()
        body = parse_body(call)
        asked = body.get("spec", {}).get("resourceAttributes") or {}
        resource = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        path = body.get("spec", {}).get("nonResourceAttributes", {}).get("path", "")
        attributes = Attributes(
            asked.get("verb", "get"), path, asked.get("group", ""), resource, asked.get("namespace") or None
        )
        head = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
        review = {**head, "spec": body.get("spec", {})}
        node = node_named("authorization.k8s.io", "v1", "SelfSubjectAccessReview")
        review = update_owners(None, review, call.write.manager, "", node, time.time())
        return answer({**review, "status": {"allowed": self._faults.allowed(call.user, attributes)}}, 201)

    def _resource(self, call: Call) -> Response:
        assert call.resource is not None  # noqa: S101 - _resolve gives a Call only with its resource
        verb = _verb(call)
        name = f"{call.resource.plural}/{call.subresource}" if call.subresource else call.resource.plural
        self._faults.authorize(
            call.user, Attributes(verb, call.path, call.resource.group, name, call.namespace or None, call.name)
        )
        if call.subresource and call.subresource not in call.resource.subresources:
            return self._unserved(call)
        if call.subresource in ("log", "eviction", "scale"):
            return self._special(call)
        if verb == "watch":
            return self._watch(call)
        if verb == "list":
            return self._list(call)
        if verb == "get":
            return self._get(call)
        if verb.startswith("delete"):
            return self._delete(call)
        if not call.name and verb != "create":
            raise status.method_not_allowed()
        return self._write(call)

    def _unserved(self, call: Call) -> Response:
        if call.resource in (PODS, SERVICES) or call.subresource in ("finalize", "proxy", "token"):
            raise status.not_implemented(f"{call.subresource} of {call.resource.plural if call.resource else ''}")
        raise ApiError(404, "the server could not find the requested resource", "NotFound", {})

    def _special(self, call: Call) -> Response:
        resource = call.resource
        assert resource is not None  # noqa: S101
        if call.subresource == "log":
            if call.query.get("follow") in ("true", "1"):
                raise status.not_implemented("following a log")
            text = self._logs.read(call.namespace, call.name, call.query)
            return Response(text, headers={"content-type": "text/plain"})
        if call.subresource == "eviction":
            return answer(evict(self._objects, call.namespace, call.name, call.write.dry_run), 201)
        live = self._objects.get(resource, call.namespace, call.name)
        scale = self._objects.scale(resource, live)
        if call.method == "GET":
            return answer(scale)
        body = parse_body(call)
        if call.method == "PATCH":
            body = patched(scale, _media_type(call), body, resource)
        return answer(self._objects.rescale(resource, live, body, call.write))

    def _selection(self, call: Call) -> Match | None:
        assert call.resource is not None  # noqa: S101
        labels = label_match(call.query.get("labelSelector", ""))
        fields = field_match(call.query.get("fieldSelector", ""), call.resource)
        if labels and fields:
            return lambda obj: labels(obj) and fields(obj)
        return labels or fields

    def _watch(self, call: Call) -> Response:
        assert call.resource is not None  # noqa: S101
        match = self._selection(call)
        if call.name:
            name = call.name
            match = lambda obj: obj["metadata"]["name"] == name  # noqa: E731
        version = status.integer(call.query.get("resourceVersion") or "0")
        view = View(
            call.resource, call.namespace or None, match, _form(call), call.query.get("includeObject", "Metadata")
        )
        timeout_s = status.integer(call.query["timeoutSeconds"]) if call.query.get("timeoutSeconds") else math.inf
        stream = watch(
            self._objects.store, view, version, timeout_s,
            bookmarks=call.query.get("allowWatchBookmarks") in ("true", "1"),
        )  # fmt: skip
        return StreamingResponse(stream, media_type="application/json")

    def _list(self, call: Call) -> Response:
        resource = call.resource
        assert resource is not None  # noqa: S101
        match = self._selection(call)
        found = self._objects.store.list(resource, call.namespace or None)
        if match:
            found = [obj for obj in found if match(obj)]
        meta: Json = {"resourceVersion": str(self._objects.store.version)}
        limit = status.integer(call.query.get("limit") or "0")
        found, meta = _page(found, meta, limit, call.query.get("continue", ""), selected=match is not None)
        form = _form(call)
        if form == "table":
            return answer(table(resource, found, meta, call.query.get("includeObject", "Metadata")))
        if form == "partial":
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
            return answer({**head, "items": [partial(obj) for obj in found]})
        if not resource.custom:
            found = [{name: part for name, part in obj.items() if name not in ("kind", "apiVersion")} for obj in found]
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta}
        return answer({**head, "items": found})

    def _get(self, call: Call) -> Response:
        assert call.resource is not None  # noqa: S101
        return self._object(call, self._objects.get(call.resource, call.namespace, call.name))

    def _object(self, call: Call, obj: Json, code: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        assert call.resource is not None  # noqa: S101
        form = _form(call)
        if form == "table":
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return answer(table(call.resource, [obj], meta, call.query.get("includeObject", "Metadata")), code)
        return answer(partial(obj) if form == "partial" else obj, code, warnings=warnings)

    def _write(self, call: Call) -> Response:
        resource = call.resource
        assert resource is not None  # noqa: S101
        write = call.write
        media_type = _media_type(call)
        if call.method == "PATCH" and media_type == "application/apply-patch+yaml" and "fieldManager" not in call.query:
            says = "Required value: is required for apply patch"
            causes = [status.Cause("FieldValueRequired", says, "fieldManager")]
            raise status.invalid("PatchOptions", "meta.k8s.io", "", causes)
        if call.method == "PATCH" and not media_type.endswith(("patch+json", "patch+yaml")):
            raise status.unsupported_media_type()
        body = parse_body(call)
        if not isinstance(body, dict) and media_type != "application/json-patch+json":
            raise status.bad_request("the object provided is unrecognized (must be of type Object)")
        if call.method == "PATCH":
            if media_type == "application/apply-patch+yaml":
                schema.check_applied(resource, body, call.namespace, call.name)
            obj, created = self._objects.patch(
                resource, call.namespace, call.name, media_type, body, call.subresource, write
            )
            return self._object(call, obj, 201 if created else 200)
        body, warnings = schema.check_fields(resource, body, call.query.get("fieldValidation") or "Warn")
        if call.method == "PUT":
            return self._object(
                call,
                self._objects.update(resource, call.namespace, call.name, body, call.subresource, write),
                200,
                warnings,
            )
        if call.name or (resource.namespaced and not call.namespace):
            raise status.method_not_allowed()
        return self._object(call, self._objects.create(resource, call.namespace, body, write), 201, warnings)

    def _delete(self, call: Call) -> Response:
        resource = call.resource
        assert resource is not None  # noqa: S101
        options = _delete_options(call)
        if call.name:
            obj, gone = self._objects.delete(resource, call.namespace, call.name, options)
            return answer(status.success(resource, obj) if gone and resource is not PODS else obj)
        if "deletecollection" not in resource.verbs or (resource.namespaced and not call.namespace):
            raise status.method_not_allowed()
        match = self._selection(call)
        ended = []
        for obj in self._objects.store.list(resource, call.namespace or None):
            if match is None or match(obj):
                ended.append(self._objects.delete(resource, call.namespace, obj["metadata"]["name"], options)[0])
        meta = {"resourceVersion": str(self._objects.store.version)}
        return answer(
            {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": ended}
        )


def _verb(call: Call) -> str:
    if call.method in ("GET", "HEAD"):
        watching = call.query.get("watch") in ("true", "1")
        if call.name and not watching:
            return "get"
        return "watch" if watching else "list"
    if call.method == "DELETE":
        return "delete" if call.name else "deletecollection"
    verb = _VERBS.get(call.method)
    if verb is None:
        raise status.method_not_allowed()
    return verb


def _media_type(call: Call) -> str:
    return call.headers.get("content-type", "application/json").split(";", 1)[0].strip()


def _form(call: Call) -> str:
    """How the client wants an object: as a table, its metadata, or whole. The first it names wins."""
    first = call.accept.split(",", 1)[0]
    return "table" if _TABLE in first else "partial" if _PARTIAL in first else "whole"


def _delete_options(call: Call) -> DeleteOptions:
    body = parse_body(call) if call.body.strip() else {}
    held = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    propagation = body.get("propagationPolicy") or call.query.get("propagationPolicy") or "Background"
    if body.get("orphanDependents") is True:
        propagation = "Orphan"
    dry_run = call.write.dry_run or "All" in (body.get("dryRun") or ())
    grace_s = None if grace is None else status.integer(str(grace))
    return DeleteOptions(propagation, grace_s, held.get("uid"), held.get("resourceVersion"), dry_run)


def _page(found: list[Json], meta: Json, limit: int, token: str, *, selected: bool) -> tuple[list[Json], Json]:
    """One page of a list. Later pages show the present, not the moment of the first page."""
    if token:
        start, version = _decode(token)
        found = [obj for obj in found if _page_key(obj) >= start]
        meta = {"resourceVersion": str(version)}
    if not limit or len(found) <= limit:
        return found, meta
    start = _page_key(found[limit - 1]) + "\u0000"
    said = {"v": "meta.k8s.io/v1", "rv": int(meta["resourceVersion"]), "start": start}
    encoded = base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode().rstrip("=")
    meta = {**meta, "continue": encoded}
    if not selected:
        meta["remainingItemCount"] = len(found) - limit
    return found[:limit], meta


def _page_key(obj: Json) -> str:
    meta = obj["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _decode(token: str) -> tuple[str, int]:
    why = "start key or resourceVersion is missing"
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        why = f"invalid character {_quoted(raw[:1])} looking for beginning of value"
        said = json.loads(raw)
        return str(said["start"]), int(said["rv"])
    except (ValueError, KeyError, TypeError) as error:
        raise status.bad_request(f"invalid continue token: continue key is not valid: {why}") from error


def _quoted(byte: bytes) -> str:
    """A byte as Go quotes a character."""
    letter = byte.decode("latin-1")
    return f"'{letter}'" if letter.isascii() and letter.isprintable() else f"'\\u{ord(letter or ' '):04x}'"
