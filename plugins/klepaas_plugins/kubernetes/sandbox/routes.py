"""HTTP: which request is which verb on which object, and how the answer is written."""

from __future__ import annotations

import time

import anyio
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from . import discovery, status
from .bodies import check_size
from .calls import Call, answer, decode_body
from .faults import ADMIN, ANONYMOUS, Attributes, Faults
from .managed import update_owners
from .model import timestamp
from .objects import Objects
from .openapi import documents
from .openapi.schemas import node_named
from .status import ApiError
from .verbs import Verbs

_HEALTH = ("/livez", "/readyz", "/healthz")
_REVIEW = "SelfSubjectAccessReview"
_REVIEW_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def _page_not_found() -> Response:
    return Response("404 page not found\n", 404, {"content-type": "text/plain; charset=utf-8"})


class Router:
    """The API server's paths."""

    def __init__(self, objects: Objects, verbs: Verbs, faults: Faults) -> None:
        self._objects = objects
        self._verbs = verbs
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
            check_size(body)
            found = self._resolve(call)
            if wait_s := self._webhook_wait_s(found):
                await anyio.sleep(wait_s)
            return self._route(call, found)
        except ApiError as error:
            return answer(error.body, error.code)

    def _webhook_wait_s(self, found: Call | Response | None) -> float:
        """How long a write waits for admission webhooks, in seconds."""
        if not isinstance(found, Call) or found.resource is None:
            return 0.0
        operation = {"POST": "CREATE", "PUT": "UPDATE", "PATCH": "UPDATE", "DELETE": "DELETE"}.get(found.method, "")
        if found.method == "PATCH" and self._objects.store.get(found.resource, found.namespace, found.name) is None:
            operation = "CREATE"
        return self._objects.webhooks.wait_s(found.resource, operation)

    def _route(self, call: Call, found: Call | Response | None) -> Response:
        if isinstance(found, Call):
            return self._verbs.carry_out(found)
        if call.path not in (_REVIEW_PATH, _WHO_PATH):
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
        if call.path == _WHO_PATH:
            return self._who(call)
        if parts[:1] == ["api"]:
            return self._below(call, "", parts[1:])
        if parts[:1] == ["apis"]:
            return self._below(call, parts[1] if len(parts) > 1 else "", parts[2:])
        if parts[:1] == ["openapi"]:
            return self._open_api(parts[1:])
        return None

    def _open_api(self, parts: list[str]) -> Response | None:
        if parts == ["v3"]:
            # An API server says text/plain here.
            return answer(documents.index(self._objects.registry), media_type="text/plain; charset=utf-8")
        if parts[:1] == ["v3"]:
            found = documents.document(self._objects.registry, parts[1:])
            return answer(found) if found else None
        raise status.not_implemented("OpenAPI documents of version 2")

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

    def _who(self, call: Call) -> Response:
        if call.method != "POST":
            raise status.method_not_allowed()
        groups = {ADMIN: ["system:masters", "system:authenticated"], ANONYMOUS: ["system:unauthenticated"]}
        impersonated = [*call.headers.getlist("impersonate-group"), "system:authenticated"]
        info = {"username": call.user, "groups": groups.get(call.user, impersonated)}
        head = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        meta = {"creationTimestamp": timestamp(time.time())}
        return answer({**head, "metadata": meta, "status": {"userInfo": info}}, 201)

    def _review(self, call: Call) -> Response:
        if call.method != "POST":
            raise status.method_not_allowed()
        node = node_named("authorization.k8s.io", "v1", _REVIEW)
        body = decode_body(call, node, _REVIEW)
        spec = body.get("spec") or {}
        asked = spec.get("resourceAttributes") or {}
        resource = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        path = (spec.get("nonResourceAttributes") or {}).get("path", "")
        attributes = Attributes(
            asked.get("verb", "get"), path, asked.get("group", ""), resource, asked.get("namespace") or None,
            asked.get("name", ""),
        )  # fmt: skip
        head = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
        review = {**head, "spec": spec}
        review = update_owners(None, review, call.write.manager, "", node, time.time())
        return answer({**review, "status": {"allowed": self._faults.allowed(call.user, attributes)}}, 201)
