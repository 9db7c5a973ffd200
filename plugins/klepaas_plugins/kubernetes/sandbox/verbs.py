"""The verbs on resources over HTTP: read, list, watch, write, delete, and the subresources."""

from __future__ import annotations

import json
import math

from starlette.responses import Response, StreamingResponse

from . import schema, status
from .bodies import read_object, read_patch
from .calls import Call, answer, decode_body, delete_options
from .evictions import evict
from .faults import Attributes, Faults
from .floods import Flood, ListQuery, listed
from .logs import Logs
from .metrics import Metrics
from .model import Json
from .objects import Objects, patched
from .openapi.schemas import node_named
from .paging import page
from .resources import METRICS_KINDS, NAMESPACES, PODS, SERVICES, Resource
from .scales import apply_scale, rescale, scale_of
from .selectors import Match, field_match, label_match
from .status import ApiError
from .tables import partial, table
from .watch import View, watch

_APPLY = "application/apply-patch+yaml"


class Verbs:
    """What the API server does with a request for a resource."""

    def __init__(self, objects: Objects, logs: Logs, faults: Faults, metrics: Metrics) -> None:
        self._objects = objects
        self._metrics = metrics
        self._logs = logs
        self._faults = faults
        self.floods: dict[tuple[str, str], Flood] = {}

    def carry_out(self, call: Call) -> Response:
        """Answer a request for a resource.

        Raises:
            ApiError: what the API server would answer.
        """
        resource, verb = _resource(call), call.verb
        name = f"{resource.plural}/{call.subresource}" if call.subresource else resource.plural
        # A namespace lies in itself, so that a role in it can grant to read it.
        namespace = call.namespace or (call.name if resource is NAMESPACES else "")
        self._faults.authorize(
            call.user, Attributes(verb, call.path, resource.group, name, namespace or None, call.name)
        )
        if call.subresource and call.subresource not in resource.subresources:
            return self._unserved(call)
        if call.subresource in ("log", "eviction", "scale"):
            return self._special(call)
        if verb not in resource.verbs:
            raise status.method_not_allowed()
        if verb == "watch":
            return self._watch(call)
        if verb == "list":
            return self._list(call)
        if verb == "get":
            return self._object(call, self._found(call))
        if verb.startswith("delete"):
            return self._delete(call)
        if not call.name and verb != "create":
            raise status.method_not_allowed()
        return self._write(call)

    def _found(self, call: Call) -> Json:
        resource = _resource(call)
        if resource in METRICS_KINDS:
            measured = self._metrics.objects(resource, call.namespace or None)
            found = next((one for one in measured if one["metadata"]["name"] == call.name), None)
            if found is None:
                raise status.not_found(resource, call.name)
            return found
        flood = self.floods.get((resource.group, resource.plural))
        flooded = flood.get(call.namespace, call.name) if flood else None
        return flooded or self._objects.get(resource, call.namespace, call.name)

    def _unserved(self, call: Call) -> Response:
        if call.resource in (PODS, SERVICES) or call.subresource in ("finalize", "proxy", "token"):
            raise status.not_implemented(f"{call.subresource} of {_resource(call).plural}")
        raise ApiError(404, "the server could not find the requested resource", "NotFound", {})

    def _special(self, call: Call) -> Response:
        resource = _resource(call)
        if call.subresource == "log":
            if call.query.get("follow") in ("true", "1"):
                raise status.not_implemented("following a log")
            return self._log(call)
        if call.subresource == "eviction":
            return answer(evict(self._objects, call.namespace, call.name, call.write.dry_run), 201)
        live = self._objects.get(resource, call.namespace, call.name)
        scale = scale_of(resource, live)
        if call.method == "GET":
            return answer(scale)
        node = node_named("autoscaling", "v1", "Scale")
        if call.method == "PATCH" and call.media_type == _APPLY:
            _check_field_manager(call)
            body = read_patch(call.body, call.media_type)
            return answer(apply_scale(self._objects, resource, live, body, call.write))
        if call.method == "PATCH":
            body = patched(scale, call.media_type, read_patch(call.body, call.media_type), resource)
            body = schema.decoded_patch(node, body, "Ignore")[0]
        else:
            body = decode_body(call, node, "Scale")
        return answer(rescale(self._objects, resource, live, body, call.write))

    def _log(self, call: Call) -> Response:
        flooded = self._logs.flooded(call.namespace, call.name, call.query)
        if flooded is not None:
            return StreamingResponse(flooded, media_type="text/plain")
        text = self._logs.read(call.namespace, call.name, call.query)
        return Response(text, headers={"content-type": "text/plain"})

    def _selection(self, call: Call) -> Match | None:
        labels = label_match(call.query.get("labelSelector", ""))
        fields = field_match(call.query.get("fieldSelector", ""), _resource(call))
        if labels and fields:
            return lambda obj: labels(obj) and fields(obj)
        return labels or fields

    def _watch(self, call: Call) -> Response:
        match = self._selection(call)
        if call.name:
            name = call.name
            match = lambda obj: obj["metadata"]["name"] == name  # noqa: E731
        version = status.integer(call.query.get("resourceVersion") or "0")
        include = call.query.get("includeObject", "Metadata")
        view = View(_resource(call), call.namespace or None, match, call.form, include)
        timeout_s = status.integer(call.query["timeoutSeconds"]) if call.query.get("timeoutSeconds") else math.inf
        stream = watch(
            self._objects.store, view, version, timeout_s,
            bookmarks=call.query.get("allowWatchBookmarks") in ("true", "1"),
        )  # fmt: skip
        return _warned(StreamingResponse(stream, media_type="application/json"), _deprecation(call))

    def _list(self, call: Call) -> Response:
        resource = _resource(call)
        match = self._selection(call)
        found = self._objects.store.list(resource, call.namespace or None)
        if resource in METRICS_KINDS:
            found = self._metrics.objects(resource, call.namespace or None)
        if match:
            found = [obj for obj in found if match(obj)]
        version = str(self._objects.store.version)
        limit = max(status.integer(call.query.get("limit") or "0"), 0)
        token = call.query.get("continue", "")
        flood = self.floods.get((resource.group, resource.plural))
        if flood and call.namespace in ("", flood.namespace):
            head, items_name = _head(call, {"resourceVersion": version})
            asked = ListQuery(match, limit, token, head, items_name, lambda obj: _item(call, obj))
            return StreamingResponse(listed(flood, found, asked), media_type="application/json")
        oldest = self._objects.store.oldest(resource)
        found, meta = page(found, {"resourceVersion": version}, limit, token, selected=match is not None, oldest=oldest)
        if call.form == "table":
            body = table(resource, found, meta, call.query.get("includeObject", "Metadata"))
        else:
            head, items_name = _head(call, meta)
            body = {**head, items_name: [_item(call, obj) for obj in found]}
        return answer(body, warnings=_deprecation(call))

    def _object(self, call: Call, obj: Json, code: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        warnings += _deprecation(call)
        obj = _resource(call).shown(obj)
        if call.form == "table":
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            include = call.query.get("includeObject", "Metadata")
            return answer(table(_resource(call), [obj], meta, include), code, warnings=warnings)
        return answer(partial(obj) if call.form == "partial" else obj, code, warnings=warnings)

    def _write(self, call: Call) -> Response:
        resource, write = _resource(call), call.write
        if call.method == "PATCH":
            return self._patch(call)
        read = read_object(call.body, call.media_type, resource.kind)
        body, warnings = schema.check_fields(resource, read.value, write.validation, read.duplicates)
        write.warnings.extend(warnings)
        if call.method == "PUT":
            made = self._objects.update(resource, call.namespace, call.name, body, call.subresource, write)
            return self._object(call, made, 200, tuple(write.warnings))
        if call.name or (resource.namespaced and not call.namespace):
            raise status.method_not_allowed()
        made = self._objects.create(resource, call.namespace, body, write)
        return self._object(call, made, 201, tuple(write.warnings))

    def _patch(self, call: Call) -> Response:
        resource, write, media_type = _resource(call), call.write, call.media_type
        _check_field_manager(call)
        if not media_type.endswith(("patch+json", "patch+yaml")):
            raise status.unsupported_media_type()
        body = read_patch(call.body, media_type)
        if media_type == _APPLY:
            schema.check_applied(resource, body)
        obj, created = self._objects.patch(
            resource, call.namespace, call.name, media_type, body, call.subresource, write
        )
        return self._object(call, obj, 201 if created else 200, tuple(write.warnings))

    def _delete(self, call: Call) -> Response:
        resource = _resource(call)
        options = delete_options(call)
        if call.name:
            self._objects.admit_deletion(resource, self._found(call), dry_run=options.dry_run)
            obj, gone = self._objects.delete(resource, call.namespace, call.name, options)
            return answer(status.success(resource, obj) if gone and resource is not PODS else obj)
        if resource.namespaced and not call.namespace:
            raise status.method_not_allowed()
        match = self._selection(call)
        ended = []
        for obj in self._objects.store.list(resource, call.namespace or None):
            if match is None or match(obj):
                self._objects.admit_deletion(resource, obj, dry_run=options.dry_run)
                ended.append(self._objects.delete(resource, call.namespace, obj["metadata"]["name"], options)[0])
        meta = {"resourceVersion": str(self._objects.store.version)}
        return answer(
            {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": ended}
        )


def _check_field_manager(call: Call) -> None:
    """Refuse an apply that does not say who applies.

    Raises:
        ApiError: 422.
    """
    if call.media_type == _APPLY and "fieldManager" not in call.query:
        says = "Required value: is required for apply patch"
        causes = [status.Cause("FieldValueRequired", says, "fieldManager")]
        raise status.invalid("PatchOptions", "meta.k8s.io", "", causes)


def _resource(call: Call) -> Resource:
    assert call.resource is not None  # noqa: S101 - the router gives a Call only with its resource
    return call.resource


def _head(call: Call, meta: Json) -> tuple[Json, str]:
    """A list without its items, and what they are called."""
    resource = _resource(call)
    if call.form == "table":
        empty = table(resource, [], meta, "None")
        return {name: part for name, part in empty.items() if name != "rows"}, "rows"
    if call.form == "partial":
        return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}, "items"
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta}, "items"


def _item(call: Call, obj: Json) -> Json:
    """An object as it appears in a list."""
    resource = _resource(call)
    if call.form == "table":
        row: Json = table(resource, [obj], {}, call.query.get("includeObject", "Metadata"))["rows"][0]
        return row
    if call.form == "partial":
        return partial(obj)
    if resource.custom:
        return resource.shown(obj)
    return {name: part for name, part in obj.items() if name not in ("kind", "apiVersion")}


def _deprecation(call: Call) -> tuple[str, ...]:
    said = _resource(call).deprecation
    return (said,) if said else ()


def _warned(response: Response, warnings: tuple[str, ...]) -> Response:
    for warning in warnings:
        response.headers.append("warning", f"299 - {json.dumps(warning)}")
    return response
