"""One cluster, as one context reaches it: discovery, reads, changes, logs and watches.

It works on plain dictionaries and decodes no typed models. It masks nothing: what is shown to people goes through
`klepaas_plugins.kubernetes.masking` first.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from klepaas import names
from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.client import paths, tables, watching
from klepaas_plugins.kubernetes.client.discovery import Discovery
from klepaas_plugins.kubernetes.client.models import LogRange, Resource, Table, WatchEvent
from klepaas_plugins.kubernetes.client.queries import change_query, refuse_marks, selection
from klepaas_plugins.kubernetes.client.requests import JSON, Request
from klepaas_plugins.kubernetes.errors import Act

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.execution import Execution
    from klepaas_plugins.kubernetes.client.transport import Transport

__all__ = ["FIELD_MANAGER", "Cluster"]

FIELD_MANAGER = "klepaas"
LOG_MAX_BYTES = 8 * 1024 * 1024
# Of JSON; what Python makes of it takes up to ten times that. More objects come in pages.
LIST_MAX_BYTES = 8 * 1024 * 1024
TABLE_MAX_BYTES = 4 * 1024 * 1024
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"


class Cluster:
    """A cluster through one context, over one HTTP client.

    Args:
        context: The context's name.
        default_namespace: The namespace meant when none is named.
        transport: How requests are sent.
    """

    def __init__(self, context: str, default_namespace: str, transport: "Transport") -> None:
        self.context = context
        self.default_namespace = default_namespace
        self._transport = transport
        self._discovery = Discovery(transport, context)

    async def resource(self, kind: str) -> Resource:
        """What a person means by a kind.

        Args:
            kind: Kind, plural, singular or short name; with a group (`deployments.apps`) or a version
                (`apps/v1/Deployment`) where that matters. The core group wins where several serve the name.

        Raises:
            BadRequest: That is no kind's name.
            NotFound: The cluster serves no such kind; near misses are named.
        """
        return await self._discovery.resource(kind)

    async def get(self, resource: Resource, name: str, namespace: str | None) -> dict[str, Any]:
        """One object.

        Args:
            resource: Its kind.
            name: Its name.
            namespace: Its namespace. None: only for a kind without namespaces.

        Raises:
            NotFound: There is none of that name.
        """
        act = self._act("read", resource, name, namespace)
        return await self._json(Request(act, paths.instance(resource, name, namespace)))

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Objects of a kind, as the API's own list.

        Args:
            resource: The kind.
            namespace: Their namespace. None: all namespaces.
            label_selector: Only objects with these labels. None: all.
            field_selector: Only objects with these fields. None: all.
            limit: Most objects in one answer. None: all of them.
            cursor: `metadata.continue` of the answer before. None: from the beginning.

        Raises:
            Expired: The cursor is too old.
            BadRequest: A selector or the cursor is wrong, or the answer is too large.
        """
        query = selection(label_selector, field_selector, limit, cursor)
        return await self._json(self._collection(resource, namespace, query), LIST_MAX_BYTES)

    async def table(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        name: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        whole_objects: bool = False,
    ) -> Table:
        """Objects of a kind, as the table that the server lays out for people.

        Args:
            resource: The kind.
            namespace: Their namespace. None: all namespaces; then each row tells its own.
            name: One object's name. None: all of them.
            label_selector: Only objects with these labels. None: all.
            field_selector: Only objects with these fields. None: all.
            limit: Most rows in one answer. None: all of them.
            cursor: `Table.cursor` of the answer before. None: from the beginning.
            whole_objects: Whether each row brings its object.

        Raises:
            NotFound: There is no object of that name.
            Expired: The cursor is too old.
            BadRequest: A selector or the cursor is wrong, or the answer is too large.
        """
        # Only the object's metadata tells its namespace, and it is many times the row: asked for where it is needed.
        everywhere = resource.namespaced and namespace is None
        included = "Object" if whole_objects else "Metadata" if everywhere and name is None else "None"
        query = {
            "includeObject": included,
            **selection(label_selector, field_selector, limit, cursor),
        }
        if name is None:
            request = self._collection(resource, namespace, query, accept=tables.ACCEPT)
        else:
            act = self._act("read", resource, name, namespace)
            path = paths.instance(resource, name, namespace)
            request = Request(act, path, {"includeObject": included}, accept=tables.ACCEPT)
        return tables.parse(await self._json(request, LIST_MAX_BYTES if whole_objects else TABLE_MAX_BYTES))

    async def create(
        self, resource: Resource, body: Mapping[str, Any], namespace: str | None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object.

        Args:
            resource: Its kind.
            body: The object.
            namespace: Its namespace. None: only for a kind without namespaces.
            dry_run: Only have the server check it.

        Raises:
            AlreadyExists: There is one of that name.
            BadRequest: The server refuses the object.
        """
        refuse_marks(body)
        if resource.namespaced and namespace is None:
            raise BadRequest(f"A {resource.title} lives in a namespace", next_step="Name the namespace")
        name = str((body.get("metadata") or {}).get("name") or "") or None
        act = self._act("create", resource, name, namespace, changes=not dry_run)
        query = change_query(FIELD_MANAGER, dry_run)
        path = paths.collection(resource, namespace)
        return await self._json(Request(act, path, query, "POST", dict(body)))

    async def apply(
        self, body: Mapping[str, Any], *, force: bool = False, dry_run: bool = False, field_manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        """Create an object or bring it to the wanted state, by server-side apply.

        Args:
            body: The wanted fields; kind, name and namespace (default: the context's) are read from it.
            force: Take over fields that other managers own.
            dry_run: Only have the server compute the result.
            field_manager: Whose fields these are.

        Raises:
            FieldConflict: Other managers own some of the fields; it names them.
            BadRequest: The server refuses the object, or it holds a redaction mark.
            NotFound: The cluster does not serve the kind, or the namespace does not exist.
        """
        refuse_marks(body)
        resource = await self.resource(f"{body.get('apiVersion')}/{body.get('kind')}")
        metadata = body.get("metadata") or {}
        namespace = str(metadata.get("namespace") or self.default_namespace) if resource.namespaced else None
        name = str(metadata.get("name") or "")
        act = self._act("apply", resource, name, namespace, changes=not dry_run)
        query = change_query(field_manager, dry_run)
        if force:
            query["force"] = "true"
        path = paths.instance(resource, name, namespace)
        return await self._json(Request(act, path, query, "PATCH", dict(body), _APPLY))

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        *,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Change fields of an object by a JSON merge patch.

        Args:
            resource: Its kind.
            name: Its name.
            namespace: Its namespace. None: only for a kind without namespaces.
            patch: The fields to change; None removes one.
            dry_run: Only have the server compute the result.

        Raises:
            NotFound: There is none of that name.
            BadRequest: The server refuses the change.
            Conflict: The object was changed meanwhile.
        """
        refuse_marks(patch)
        act = self._act("change", resource, name, namespace, changes=not dry_run)
        path = paths.instance(resource, name, namespace)
        request = Request(act, path, change_query(FIELD_MANAGER, dry_run), "PATCH", dict(patch), _MERGE)
        return await self._json(request)

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        operations: Sequence[Mapping[str, Any]],
        *,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Change an object by a JSON patch.

        Args:
            resource: Its kind.
            name: Its name.
            namespace: Its namespace. None: only for a kind without namespaces.
            operations: The operations of RFC 6902. One that replaces `/metadata/resourceVersion` by the version that
                was seen holds the patch to that version.
            dry_run: Only have the server compute the result.

        Raises:
            NotFound: There is none of that name.
            BadRequest: The server refuses the change.
            Conflict: The object was changed meanwhile.
        """
        body = [dict(one) for one in operations]
        refuse_marks({"operations": body})
        act = self._act("change", resource, name, namespace, changes=not dry_run)
        path = paths.instance(resource, name, namespace)
        query = change_query(FIELD_MANAGER, dry_run)
        return await self._json(Request(act, path, query, "PATCH", body, _JSON_PATCH))

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        *,
        uid: str,
        resource_version: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Delete one object, and only that one.

        Args:
            resource: Its kind.
            name: Its name.
            namespace: Its namespace. None: only for a kind without namespaces.
            uid: Which object of that name is meant; one made since is left alone.
            resource_version: Only in this version. None: in any.
            propagation: What becomes of the objects that it owns.
            dry_run: Only have the server check it.

        Returns:
            The object as it ends, or a Status.

        Raises:
            NotFound: There is none of that name.
            Conflict: It is another object by now, or was changed.

        Source:
            Kubernetes API, meta/v1 DeleteOptions.
        """
        act = self._act("delete", resource, name, namespace, changes=not dry_run)
        held = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        body: dict[str, Any] = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": held,
            "propagationPolicy": propagation,
        }
        if dry_run:
            body["dryRun"] = ["All"]
        return await self._json(Request(act, paths.instance(resource, name, namespace), method="DELETE", body=body))

    async def metadata(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """The metadata of the objects of a kind, without the rest of them.

        Args:
            resource: The kind.
            namespace: Their namespace. None: all namespaces.
            label_selector: Only objects with these labels. None: all.
            field_selector: Only objects with these fields. None: all.
            limit: Most objects in one answer. None: all of them.
            cursor: `metadata.continue` of the answer before. None: from the beginning.

        Source:
            Kubernetes API concepts, "Receiving resources as PartialObjectMetadata".
        """
        query = selection(label_selector, field_selector, limit, cursor)
        return await self._json(self._collection(resource, namespace, query, accept=_METADATA), LIST_MAX_BYTES)

    async def resources(self) -> Sequence[Resource]:
        """Every kind that the cluster serves, each in its preferred version."""
        return await self._discovery.resources()

    async def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
        since_s: int | None = None,
        limit_bytes: int | None = None,
        timestamps: bool = False,
    ) -> str:
        """Log lines of a container, oldest first.

        Args:
            pod: The pod.
            namespace: Its namespace.
            container: Which container. None: the only one.
            tail_lines: Only the last lines. None: all.
            previous: Those of the run before the last restart.
            since_s: Only those of the last seconds. None: all.
            limit_bytes: Longest answer, counted from its first line. None: 8 MiB.
            timestamps: Whether each line begins with its time.

        Raises:
            NotFound: There is no such pod.
            BadRequest: There is no such container, no previous run, or it has not started.
        """
        limit = min(limit_bytes or LOG_MAX_BYTES, LOG_MAX_BYTES)
        wanted = LogRange(container, tail_lines, previous, since_s, None, limit, timestamps)
        body = await self._transport.read(self._log(pod, namespace, wanted), max_bytes=LOG_MAX_BYTES + 1024)
        return body.decode("utf-8", "replace")

    def log_stream(
        self, pod: str, namespace: str, wanted: LogRange
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The log of a container piece by piece; whoever reads it sets the limits.

        Args:
            pod: The pod.
            namespace: Its namespace.
            wanted: Which part of the log. What the cluster does not heed of it is the reader's affair.

        Raises:
            NotFound: There is no such pod.
            BadRequest: There is no such container, no previous run, or it has not started.
        """
        return self._transport.stream(self._log(pod, namespace, wanted), limit_s=None)

    def _log(self, pod: str, namespace: str, wanted: LogRange) -> Request:
        if wanted.container is not None:
            names.CONTAINER.check(wanted.container, "container")
        act = self._act("read the log of", _POD, pod, namespace)
        # The kubelet answers text; with a JSON-only Accept header an error would still be a Status.
        return Request(act, paths.instance(_POD, pod, namespace, "log"), wanted.query(), accept="text/plain, */*")

    async def run_in(
        self, pod: str, namespace: str, container: str | None, command: Sequence[str], *, max_bytes: int, limit_s: float
    ) -> "Execution":
        """Run a program in a container of a pod; no shell reads its arguments.

        Args:
            pod: The pod.
            namespace: Its namespace.
            container: Which container. None: the only one.
            command: The program and its arguments.
            max_bytes: Most bytes of what it prints.
            limit_s: Longest time, in seconds.

        Raises:
            NotFound: There is no such pod.
            Forbidden: The credentials do not allow it.
        """
        from klepaas_plugins.kubernetes.client import execution

        act = self._act("run a command in", _POD, pod, namespace, changes=True)
        path = paths.instance(_POD, pod, namespace, "exec")
        async with self._transport.connection() as connection:
            return await execution.run(connection, act, path, container, command, (max_bytes, limit_s))

    async def openapi(self, resource: Resource) -> dict[str, Any]:
        """The OpenAPI v3 document of a kind's group and version.

        Args:
            resource: The kind.

        Raises:
            NotFound: The server publishes none.

        Source:
            Kubernetes API concepts, "OpenAPI V3".
        """
        act = Act("read the schema of", resource.plural, self.context)
        return await self._json(Request(act, paths.openapi(resource)))

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str,
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """Changes of objects, as they happen; it goes on over time limits and dropped connections.

        Args:
            resource: The kind.
            namespace: Their namespace. None: all namespaces.
            label_selector: Only objects with these labels. None: all.
            field_selector: Only objects with these fields. None: all.
            resource_version: Only changes after this version, `metadata.resourceVersion` of a list.

        Raises:
            Expired: The server no longer keeps that version: list again.
            Unavailable: The server cannot be reached again.
        """
        request = self._collection(resource, namespace, selection(label_selector, field_selector), verb="watch")
        return self._watch(request, resource_version)

    @asynccontextmanager
    async def _watch(self, request: Request, resource_version: str) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        async with aclosing(watching.events(self._transport, request, resource_version)) as stream:
            yield stream

    async def ready(self) -> str:
        """The server's version, once it says that it is ready.

        Raises:
            KlepaasError: It does not.
        """
        act = Act("ask after", "the API server", self.context)
        await self._transport.read(Request(act, "/readyz", accept="*/*"), max_bytes=64 * 1024)
        version = await self._json(Request(act, "/version"))
        return str(version.get("gitVersion") or "unknown")

    async def aclose(self) -> None:
        """Close its connections."""
        await self._transport.aclose()

    async def _json(self, request: Request, *max_bytes: int) -> dict[str, Any]:
        return await self._transport.json(request, *max_bytes)

    def _collection(
        self,
        resource: Resource,
        namespace: str | None,
        query: Mapping[str, str | int],
        *,
        verb: str = "list",
        accept: str = JSON,
    ) -> Request:
        act = self._act(verb, resource, None, namespace)
        return Request(act, paths.collection(resource, namespace), query, accept=accept)

    def _act(
        self, verb: str, resource: Resource, name: str | None, namespace: str | None, *, changes: bool = False
    ) -> Act:
        subject = resource.plural if name is None else f"{resource.title} {name}"
        return Act(verb, f"{subject}{paths.place(resource, namespace)}", self.context, name, changes)


_POD = Resource("", "v1", "Pod", "pods", "pod", ("po",), True, frozenset({"get", "list", "watch"}))
