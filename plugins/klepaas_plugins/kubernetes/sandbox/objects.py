"""The verbs on objects: create, update, patch, delete, and the subresources that are views of an object.

What the API server does between HTTP and storage. It knows neither HTTP nor controllers; both call it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from . import status
from .admission import Admission, check_namespace
from .apply import apply_patch
from .defaults import apply_defaults, first_status
from .established import conflict_of, is_established
from .identity import check_kind, check_same_name, check_uid
from .limits import check_limits, check_quota, limited
from .managed import update_owners
from .model import Json, Timing, generated_name, new_uid, timestamp
from .openapi.schemas import Node, node_of
from .patch import json_patch, merge_patch, strategic_patch
from .pod_security import check_pod_security
from .policies import Change as Admitted
from .policies import admit
from .rbac import Rights
from .resources import DEFINITIONS, NAMESPACES, PODS, REVISIONS, Registry, Resource
from .schema import check_converted, check_patched
from .store import Store
from .validation import validate
from .webhooks import Webhooks

_KEPT_META = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
)
_OMITTED_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences")
CONTROLLER = "kube-controller-manager"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Write:
    """How a write is made: by whom, and whether it is kept.

    Args:
        validation: how unknown fields are met: Ignore, Warn or Strict.
        user: who writes; empty for the sandbox itself, which may grant anything.
        warnings: what the client is told beside the answer; filled while the write is made.
    """

    manager: str = "sandbox"
    dry_run: bool = False
    force: bool = False
    validation: str = "Ignore"
    user: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DeleteOptions:
    """The part of DeleteOptions the sandbox honours."""

    propagation: str = "Background"
    grace_s: int | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


class Objects:
    """Objects as the API server keeps them."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.store = Store()
        self.registry = Registry()
        self.webhooks = Webhooks()
        self.rights = Rights(self.store)
        self._admission = Admission()

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """One object.

        Raises:
            ApiError: 404.
        """
        found = self.store.get(resource, namespace, name)
        if found is None:
            raise status.not_found(resource, name)
        return found

    def create(self, resource: Resource, namespace: str, obj: Json, write: Write) -> Json:
        """Store a new object.

        Raises:
            ApiError: 400, 403, 404, 409 or 422.
        """
        obj = apply_defaults(resource, self._addressed(resource, namespace, obj))
        return self._create(resource, obj, write, owned=False)

    def _create(self, resource: Resource, obj: Json, write: Write, *, owned: bool) -> Json:
        meta = obj["metadata"]
        namespace, name = meta.get("namespace", ""), meta.get("name", "")
        check_namespace(self.store, resource, namespace, name)
        if self.store.get(resource, namespace, name):
            raise status.already_exists(resource, name)
        sent = limited(self.store, resource, obj)
        obj = self.webhooks.mutate(Admitted(resource, sent, None, write.dry_run), write.warnings)
        meta = obj["metadata"]
        self._check(resource, obj, None)
        self.admitted(Admitted(resource, obj, None, write.dry_run), write)
        check_limits(self.store, resource, obj)
        check_quota(self.store, resource, obj)
        now_s = time.time()
        given = {
            key: value for key, value in meta.items() if key not in ("resourceVersion", "managedFields", *_KEPT_META)
        }
        if "generateName" in meta:
            given["generateName"] = meta["generateName"]
        made = {"uid": new_uid(), "creationTimestamp": timestamp(now_s)}
        if resource.counts_generation:
            made["generation"] = 1  # type: ignore[assignment]
        new: Json = {**obj, "metadata": {**_without_empty(given), **made}}
        if owned and "managedFields" in meta:  # nothing is owned of an object that is its name alone
            new["metadata"]["managedFields"] = meta["managedFields"]
        if "status" in resource.subresources:
            new.pop("status", None)
        if resource is NAMESPACES:
            labels = {**(given.get("labels") or {}), "kubernetes.io/metadata.name": name}
            new["metadata"]["labels"] = labels
        if not owned:
            new = _own_sent(new, new if obj is sent else sent, write.manager, node_of(resource), now_s)
        new = self._admission.complete(resource, new)
        begun = first_status(resource, new)
        if begun is not None:
            new["status"] = begun
        if write.dry_run:
            return new
        return self._put(resource, new)

    def update(self, resource: Resource, namespace: str, name: str, obj: Json, subresource: str, write: Write) -> Json:
        """Replace an object, or its status.

        Raises:
            ApiError: 400, 404, 409 or 422.
        """
        live = self.get(resource, namespace, name)
        meta = obj.get("metadata") or {}
        check_same_name({"metadata": {"name": name, **meta}}, name)
        version = meta.get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise status.modified(resource, name)
        obj = {**obj, "metadata": {**meta, "name": name}}
        new = apply_defaults(resource, self._addressed(resource, namespace, obj))
        return self._replace(resource, live, new, subresource, write)

    def _replace(
        self, resource: Resource, live: Json, new: Json, subresource: str, write: Write, *, owned: bool = False
    ) -> Json:
        new = self._settled(resource, live, new, subresource)
        now_s = time.time()
        if not owned:
            new = update_owners(
                _with_given_owners(live, new), new, write.manager, subresource, node_of(resource), now_s
            )
        if not subresource:
            if write.manager != CONTROLLER:
                new = self.webhooks.mutate(Admitted(resource, new, live, write.dry_run), write.warnings)
            self._check(resource, new, live)
            if write.manager != CONTROLLER:
                self.admitted(Admitted(resource, new, live, write.dry_run), write)
        if _same(live, new):
            return live
        if resource.counts_generation and not subresource and _intent(live) != _intent(new):
            new["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        if write.dry_run:
            return new
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers") and resource is not PODS:
            return self.remove(resource, new)
        return self._put(resource, new)

    def _settled(self, resource: Resource, live: Json, new: Json, subresource: str) -> Json:
        """A change reduced to what its endpoint may change."""
        kept = {key: live["metadata"][key] for key in _KEPT_META if key in live["metadata"]}
        meta = {**new["metadata"], **kept, "resourceVersion": live["metadata"]["resourceVersion"]}
        if subresource == "status":
            changed = {"metadata": meta, "status": new.get("status", {})}
            return {**live, **changed}
        settled = {**new, "metadata": _without_empty(meta)}
        if "status" in resource.subresources:
            settled.pop("status", None)
            if "status" in live:
                settled["status"] = live["status"]
        if resource.plural == "services":
            held = {
                key: value
                for key, value in live["spec"].items()
                if key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
            }
            settled["spec"] = {**held, **settled["spec"]}
        return settled

    def patch(
        self, resource: Resource, namespace: str, name: str, kind: str, body: Any, subresource: str, write: Write
    ) -> tuple[Json, bool]:
        """Change an object by a JSON, merge or strategic merge patch, or apply a configuration.

        `kind` is the patch's media type.

        Returns:
            The object, and whether it was created.

        Raises:
            ApiError: 400, 404, 409, 415 or 422.
        """
        if kind == "application/apply-patch+yaml":
            return self._apply(resource, namespace, name, body, subresource, write)
        live = self.get(resource, namespace, name)
        new = patched(live, kind, body, resource)
        strategic = body if kind.startswith("application/strategic") else None
        new, warnings = check_patched(resource, new, write.validation, strategic)
        write.warnings.extend(warnings)
        check_same_name(new, name)
        version, uid = new["metadata"].get("resourceVersion"), new["metadata"].get("uid")
        if version and version != live["metadata"]["resourceVersion"]:
            raise status.modified(resource, name)
        if uid:
            check_uid(resource, name, live, uid)
        return self._replace(resource, live, apply_defaults(resource, new), subresource, write), False

    def _apply(
        self, resource: Resource, namespace: str, name: str, body: Json, subresource: str, write: Write
    ) -> tuple[Json, bool]:
        check_same_name(body, name)
        config = self._addressed(resource, namespace, body)
        if "managedFields" in config["metadata"]:
            raise status.bad_request("metadata.managedFields must be nil")
        live = self.store.get(resource, namespace, name)
        version, uid = (config["metadata"].pop(key, None) for key in ("resourceVersion", "uid"))
        if live and version not in (None, "", "0") and version != live["metadata"]["resourceVersion"]:
            raise status.modified(resource, name)
        if uid:
            check_uid(resource, name, live, uid)
        merged = apply_patch(
            live, config, write.manager, force=write.force, node=node_of(resource), now_s=time.time(),
            subresource=subresource,
        )  # fmt: skip
        if live is None:
            if subresource:
                raise status.not_found(resource, name)
            check_converted(resource, merged)
            merged = apply_defaults(resource, _rewritten(resource, merged))
            return self._create(resource, merged, write, owned=True), True
        if merged is live:  # admission is asked all the same
            return self._replace(resource, live, live, subresource, write, owned=True), False
        check_converted(resource, merged)
        merged = _rewritten(resource, merged)
        return self._replace(resource, live, apply_defaults(resource, merged), subresource, write, owned=True), False

    def admitted(self, change: Admitted, write: Write) -> None:
        """Ask what only admits: pod security, policies, the webhooks that change nothing, the bounds of grants.

        Raises:
            ApiError: what they refuse with.
        """
        check_pod_security(self.store, change, write.warnings)
        admit(self.store, change, write.warnings)
        self.webhooks.validate(change, warnings=write.warnings)
        self.rights.check_grant(write.user, change.resource, change.object, change.old)

    def admit_deletion(self, resource: Resource, obj: Json, *, dry_run: bool) -> None:
        """Ask the webhooks about a client's deletion.

        Raises:
            ApiError: what they refuse with.
        """
        self.webhooks.validate(Admitted(resource, obj, None, dry_run), "DELETE")

    def replace_scaled(self, resource: Resource, live: Json, new: Json, write: Write) -> Json:
        """Write what the scale subresource made of an object, whose owners are settled.

        Raises:
            ApiError: 422.
        """
        return live if _same(live, new) else self._replace(resource, live, new, "", write, owned=True)

    def set_status(self, resource: Resource, obj: Json, value: Json, manager: str = CONTROLLER) -> Json:
        """Write a status as a controller does; nothing when it is the same."""
        if obj.get("status") == value:
            return obj
        new = {**obj, "status": value}
        return self.store.put(resource, update_owners(obj, new, manager, "status", node_of(resource), time.time()))

    def write_as_controller(self, resource: Resource, live: Json, new: Json) -> Json:
        """Write status and metadata together, as controllers do through the status subresource."""
        owned = update_owners(live, new, CONTROLLER, "status", node_of(resource), time.time())
        return live if _same(live, owned) else self.store.put(resource, owned)

    def control(self, resource: Resource, obj: Json, **parts: Json) -> Json:
        """Write parts of an object (spec, metadata) as a controller does."""
        new = {**obj, **parts}
        return self._replace(resource, obj, new, "", Write(CONTROLLER))

    def delete(self, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> tuple[Json, bool]:
        """Delete an object, or mark it for deletion.

        Returns:
            The object as it was last, and whether it is gone.

        Raises:
            ApiError: 404 or 409.
        """
        live = self.get(resource, namespace, name)
        meta = live["metadata"]
        if options.uid and options.uid != meta["uid"]:
            raise status.precondition_failed(resource, name, "UID", options.uid, meta["uid"])
        if options.version and options.version != meta["resourceVersion"]:
            raise status.precondition_failed(
                resource, name, "ResourceVersion", options.version, meta["resourceVersion"]
            )
        ending = self._ending(resource, live, options)
        if ending is None:
            return live if options.dry_run else self._removed(resource, live, options), True
        if options.dry_run or meta.get("deletionTimestamp"):
            return ending if options.dry_run else live, False
        return self._put(resource, ending), False

    def _removed(self, resource: Resource, live: Json, options: DeleteOptions) -> Json:
        if options.propagation == "Orphan":
            for kind, dependent in self.store.dependents(live["metadata"]["uid"]):
                owners = [o for o in dependent["metadata"]["ownerReferences"] if o["uid"] != live["metadata"]["uid"]]
                self.control(kind, dependent, metadata={**dependent["metadata"], "ownerReferences": owners})
        return self.remove(resource, live)

    def _ending(self, resource: Resource, live: Json, options: DeleteOptions) -> Json | None:
        """The object marked for deletion; None when nothing holds it."""
        meta = dict(live["metadata"])
        finalizers = list(meta.get("finalizers") or [])
        if options.propagation == "Foreground" and "foregroundDeletion" not in finalizers:
            finalizers.append("foregroundDeletion")
        grace_s = self._grace_s(resource, live, options)
        if not finalizers and not grace_s and resource is not NAMESPACES:
            return None
        meta["deletionTimestamp"] = timestamp(time.time() + grace_s)
        if resource is not NAMESPACES:
            meta["deletionGracePeriodSeconds"] = grace_s
        if finalizers:
            meta["finalizers"] = finalizers
        if "generation" in meta:
            meta["generation"] += 1
        if resource is NAMESPACES:
            return {**live, "metadata": meta, "status": {**live["status"], "phase": "Terminating"}}
        return {**live, "metadata": meta}

    def _grace_s(self, resource: Resource, live: Json, options: DeleteOptions) -> int:
        if resource is not PODS or not live["spec"].get("nodeName"):
            return 0
        if live["status"].get("phase") in ("Succeeded", "Failed"):
            return 0
        asked: int = (
            live["spec"].get("terminationGracePeriodSeconds", 30) if options.grace_s is None else options.grace_s
        )
        return asked

    def remove(self, resource: Resource, obj: Json) -> Json:
        """Take an object out of the store, with what else that ends."""
        if resource is DEFINITIONS:
            for kind in self.registry.forget(obj):
                for custom in self.store.list(kind):
                    self.store.remove(kind, custom)
        return self.store.remove(resource, obj)

    def _put(self, resource: Resource, obj: Json) -> Json:
        is_served = not self.timing.establish_s or is_established(obj)
        if resource is DEFINITIONS and is_served and conflict_of(self.store, obj) is None:
            self.registry.define(obj)
        return self.store.put(resource, obj)

    def establish(self, definition: Json, status_of: Json) -> None:
        """Serve the kinds of a definition, whose names are accepted, and write its status."""
        self.registry.define(definition)
        self.set_status(DEFINITIONS, definition, status_of, "kube-apiserver")

    def _addressed(self, resource: Resource, namespace: str, obj: Json) -> Json:
        """The object with the names its URL gives it.

        Raises:
            ApiError: 400 when it names another kind or namespace itself.
        """
        check_kind(resource, obj)
        meta = dict(obj.get("metadata") or {})
        if resource.namespaced:
            if meta.get("namespace", namespace) != namespace:
                raise status.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            meta["namespace"] = namespace
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = generated_name(meta["generateName"])
        return {**obj, "kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}

    def _check(self, resource: Resource, obj: Json, old: Json | None) -> None:
        causes = validate(resource, obj, old)
        if causes:
            raise status.invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)


def _with_given_owners(live: Json, new: Json) -> Json:
    """The object as it was, with the owners that the request itself gives; an empty entry means that there are none.

    Source: kubernetes-sigs/structured-merge-diff and apiserver, FieldManager.Update, decodeLiveOrNew.
    """
    given = new["metadata"].pop("managedFields", None)
    if not given or given == live["metadata"].get("managedFields"):
        return live
    kept = [] if given == [{}] else given
    return {**live, "metadata": {**live["metadata"], "managedFields": kept}}


def _own_sent(new: Json, sent: Json, manager: str, node: Node, now_s: float) -> Json:
    """A new object with what was sent given to its writer; what webhooks have changed in it is nobody's."""
    claimed = new if sent is new else {**new, **sent, "metadata": {**new["metadata"], **sent["metadata"]}}
    owned = update_owners(None, claimed, manager, "", node, now_s)["metadata"].get("managedFields")
    return {**new, "metadata": {**new["metadata"], "managedFields": owned}} if owned else new


def patched(live: Json, kind: str, body: Any, resource: Resource) -> Json:
    """An object after a patch of a media type.

    Raises:
        ApiError: 415 for a media type that is no patch of this resource.
    """
    if kind == "application/merge-patch+json":
        merged: Json = merge_patch(live, body)
        return merged
    if kind == "application/json-patch+json":
        return json_patch(live, body)
    if kind == STRATEGIC_PATCH and not resource.custom:
        return _rewritten(resource, strategic_patch(live, body))
    raise status.unsupported_media_type()


def _rewritten(resource: Resource, obj: Json) -> Json:
    """An object as it is encoded anew: a ControllerRevision's data, which is raw, with its names in order."""
    if resource is not REVISIONS or "data" not in obj:
        return obj
    return {**obj, "data": json.loads(json.dumps(obj["data"], sort_keys=True))}


def _without_empty(meta: Json) -> Json:
    """Metadata as Go's omitempty writes it."""
    return {key: value for key, value in meta.items() if value or key not in _OMITTED_EMPTY}


def _intent(obj: Json) -> Json:
    return {name: part for name, part in obj.items() if name not in ("metadata", "status")}


def _same(old: Json, new: Json) -> bool:
    """Whether a write changes nothing but the times in managedFields."""

    def bare(obj: Json) -> Json:
        return {key: value for key, value in obj["metadata"].items() if key != "managedFields"}

    def owners(obj: Json) -> list[Json]:
        entries = obj["metadata"].get("managedFields") or []
        return [{key: value for key, value in entry.items() if key != "time"} for entry in entries]

    rest = {name: part for name, part in old.items() if name != "metadata"}
    return (
        rest == {n: p for n, p in new.items() if n != "metadata"}
        and bare(old) == bare(new)
        and owners(old) == owners(new)
    )
