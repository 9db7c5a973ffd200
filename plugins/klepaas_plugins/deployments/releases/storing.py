"""The releases of one application as objects of its cluster: written once, marked, listed, read, and cleared away.

They are ConfigMaps, which whoever edits the namespace may write and whoever views it may read; Secrets where a setting
asks for these. They carry no owner, so that history outlives the workload. The data are immutable; labels and
annotations say what became of a release. Records of others, and damaged ones, are passed over with a note.

Earlier versions recorded releases in Secrets alone. Both are read as one history until the newest record says that none
is left in a Secret; from then on no Secret is asked for.

Sources: Kubernetes, "ConfigMaps", section "Immutable ConfigMaps"; "API Concepts", "Resource versions".
"""

from dataclasses import dataclass, replace
from functools import partial

import anyio.to_thread

from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas_plugins.deployments.objects import at, items, name_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.releases.choosing import Content, running
from klepaas_plugins.deployments.releases.encoding import Damaged, Encoded, decode, encode, joined
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState, Snapshot
from klepaas_plugins.deployments.releases.records import (
    APPLICATION,
    CONFIG_MAP,
    SECRET,
    TYPE,
    Head,
    Part,
    key_of,
    mixed_patch,
    name_for,
    new_record,
    operation_label,
    parsed,
    state_patch,
)
from klepaas_plugins.deployments.releases.settings import ReleaseSettings, Storage
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import AlreadyExists, Resource

__all__ = ["Shelf", "Store"]

_ATTEMPTS = 6
_MOST_CLEARED = 100
_IN_A_THREAD_BYTES = 128 * 1024
_UNREAD = "Secrets may not be listed, so releases that an earlier klepaas may have recorded there are not shown"


@dataclass(frozen=True)
class Shelf:
    """The records of an application.

    Attributes:
        heads: The releases, newest first.
        parts: Their further objects, and such as belong to no release.
        notes: What was passed over.
        is_alone: Whether it is known that no release is in a Secret.
    """

    heads: tuple[Head, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    is_alone: bool = False

    @property
    def releases(self) -> list[Release]:
        """The releases, newest first."""
        return [head.release for head in self.heads]

    @property
    def next_number(self) -> int:
        """The number of the next release."""
        return max((0, *(h.release.number for h in self.heads), *(part.number for part in self.parts))) + 1


class Store:
    """Where the releases of one application are kept.

    Args:
        place: The application.
        settings: How many are kept, and how large they may be.
    """

    def __init__(self, place: Place, settings: ReleaseSettings) -> None:
        self._place = place
        self._settings = settings

    async def shelf(self) -> Shelf:
        """All records, from their metadata alone.

        Raises:
            Forbidden: The credentials may not list the kind of objects that releases are recorded in.
        """
        found = await self._list(CONFIG_MAP)
        newest = max(found.heads, key=lambda head: head.release.number, default=None)
        in_secrets = self._settings.storage is Storage.SECRETS
        if newest is not None and newest.is_alone and not in_secrets:
            return replace(found, is_alone=True)
        if not in_secrets and not self._settings.read_secrets:
            return found
        try:
            earlier = await self._list(SECRET)
        except Forbidden:
            if in_secrets:
                raise
            return replace(found, notes=(*found.notes, _UNREAD))
        return _joined(found, earlier)

    async def _list(self, kind: str) -> Shelf:
        """The records of one kind."""
        heads: list[Head] = []
        parts: list[Part] = []
        notes: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._place.cluster.metadata(
                await self._resource(kind),
                self._place.namespace,
                label_selector=f"{APPLICATION}={key_of(self._place.app_name)}",
                field_selector=f"type={TYPE}" if kind == SECRET else None,
                limit=500,
                cursor=cursor,
            )
            for item in items(page):
                found = parsed(item, self._place.app_name, kind)
                if isinstance(found, Head):
                    heads.append(found)
                elif isinstance(found, Part):
                    parts.append(found)
                else:
                    notes.append(f"{kind} {name_of(item)} is labelled as a release and is none that klepaas wrote")
            cursor = at(page, "metadata", "continue") or None
            if cursor is None:
                break
        heads.sort(key=lambda head: head.release.number, reverse=True)
        return Shelf(tuple(heads), tuple(parts), tuple(notes))

    async def add(self, release: Release, stored: Snapshot, contents: Content) -> Release:
        """Record a release; the same operation's is recorded once.

        Args:
            release: What is recorded, with what was captured; its number is chosen here.
            stored: What the record holds.
            contents: The digests of what it would run, with and without its secret values.

        Raises:
            TooLarge: It does not fit.
            Forbidden: The credentials, or a quota, do not allow it.
            Conflict: Others record releases of this application all the time.
        """
        encoded = await self._encoded(stored)
        for _ in range(_ATTEMPTS):
            shelf = await self.shelf()
            known = _of_operation(shelf, release.operation_id, release.cause)
            if known is not None:
                return replace(known, snapshot=known.snapshot or release.snapshot)
            try:
                return await self._write(_numbered(release, shelf, contents), shelf, encoded)
            except AlreadyExists:
                continue
        raise Conflict(
            f"The releases of {self._place.text} are being written by others all the time", next_step="Retry"
        )

    async def _write(self, release: Release, shelf: Shelf, encoded: Encoded) -> Release:
        """Create the objects; the head comes last, so that what can be listed is whole."""
        resource = await self._resource(release.kind)
        if release.kind == SECRET:
            await self._take_back(shelf)
        for part in range(len(encoded.parts), 0, -1):
            body = new_record(release, encoded, part, is_alone=shelf.is_alone)
            made = await self._place.cluster.create(resource, body, self._place.namespace)
        return replace(release, created=str(at(made, "metadata", "creationTimestamp") or ""))

    async def _take_back(self, shelf: Shelf) -> None:
        """Let no ConfigMap say that there is no release in a Secret."""
        resource = await self._resource(CONFIG_MAP)
        for head in shelf.heads:
            if head.is_alone:
                await self._place.cluster.merge_patch(resource, head.name, self._place.namespace, mixed_patch())

    async def of_operation(self, operation_id: str, cause: Cause) -> Release | None:
        """The release that an operation has recorded. None: it has not.

        Args:
            operation_id: The operation.
            cause: What made the release.
        """
        return _of_operation(await self.shelf(), operation_id, cause)

    async def _encoded(self, snapshot: Snapshot) -> Encoded:
        work = partial(encode, snapshot, max_parts=self._settings.max_parts)
        return await anyio.to_thread.run_sync(work)

    async def mark(self, release: Release, state: ReleaseState, reason: str | None) -> Release:
        """Say what became of a release.

        Args:
            release: The release.
            state: How it is.
            reason: Why it failed. None: nothing to say.

        Raises:
            NotFound: Its record is gone.
            Forbidden: The credentials do not allow it.
        """
        name = name_for(release.app_name, release.number)
        patch = state_patch(state, reason)
        resource = await self._resource(release.kind)
        await self._place.cluster.merge_patch(resource, name, self._place.namespace, patch)
        return replace(release, state=state, reason=reason)

    async def load(self, release: Release, parts: int) -> Snapshot:
        """What a release holds.

        Args:
            release: The release.
            parts: How many objects hold it.

        Raises:
            Damaged: Its record is gone, damaged, or not ours.
            Forbidden: The credentials may not read it.
        """
        if parts > self._settings.max_parts * 4:
            raise Damaged("its record claims to have too many parts")
        names = [name_for(release.app_name, release.number, part) for part in range(1, parts + 1)]
        resource = await self._resource(release.kind)
        try:
            found = await together(
                *(partial(self._place.cluster.get, resource, name, self._place.namespace) for name in names)
            )
        except NotFound as exc:
            raise Damaged("a part of its record is gone") from exc
        if release.kind == SECRET and any(item.get("type") != TYPE for item in found):
            raise Damaged("its record is a Secret of another type")
        packed, digest = joined([{**item, "kind": release.kind} for item in found])
        work = partial(decode, packed, digest, app_name=release.app_name, namespace=self._place.namespace)
        return work() if len(packed) < _IN_A_THREAD_BYTES else await anyio.to_thread.run_sync(work)

    async def clear(self) -> list[str]:
        """Delete the releases beyond the number that is kept, never the last verified one.

        Returns:
            What could not be deleted, in sentences.
        """
        shelf = await self.shelf()
        verified = [head.release.number for head in shelf.heads if head.release.state is ReleaseState.PASSED][:1]
        kept = {head.release.number for head in shelf.heads[: self._settings.keep]} | set(verified)
        newest = shelf.heads[0].release.number if shelf.heads else 0
        old: list[Head | Part] = [head for head in shelf.heads if head.release.number not in kept]
        # A part above the newest head may belong to a release that is being written now.
        old += [part for part in shelf.parts if part.number not in kept and part.number < newest]
        for record in old[:_MOST_CLEARED]:
            resource = await self._resource(record.release.kind if isinstance(record, Head) else record.kind)
            try:
                await self._place.cluster.delete(resource, record.name, self._place.namespace, uid=record.uid)
            except NotFound:
                continue
            except (Forbidden, Conflict, BadRequest) as exc:
                return [f"Old releases could not be deleted: {exc.what}"]
        return []

    async def _resource(self, kind: str) -> Resource:
        return await self._place.cluster.resource(f"v1/{kind}")


def _joined(found: Shelf, earlier: Shelf) -> Shelf:
    """The records of both kinds as one history; of two with one number that in the ConfigMap counts."""
    numbers = {head.release.number for head in found.heads}
    twice = [head for head in earlier.heads if head.release.number in numbers]
    notes = [f"Secret {head.name} has the number of another release, and is passed over" for head in twice]
    heads = [*found.heads, *(head for head in earlier.heads if head not in twice)]
    heads.sort(key=lambda head: head.release.number, reverse=True)
    is_alone = not earlier.heads and not earlier.parts
    return Shelf(
        tuple(heads), (*found.parts, *earlier.parts), (*found.notes, *earlier.notes, *notes), is_alone=is_alone
    )


def _numbered(release: Release, shelf: Shelf, contents: Content) -> Release:
    """The release with its number, and with the one that it is the same as again, where nothing new was deployed."""
    origin = release.restored_from
    if origin is None and release.cause is not Cause.DEPLOY:
        same = running(shelf.releases, contents)
        origin = same.number if same is not None and same.state is not ReleaseState.FAILED else None
    return replace(release, number=shelf.next_number, restored_from=origin)


def _of_operation(shelf: Shelf, operation_id: str, cause: Cause) -> Release | None:
    """The release that an operation has made already."""
    wanted = operation_label(operation_id) if operation_id else ""
    found = (item for item in shelf.releases if wanted and item.operation_id == wanted and item.cause == cause)
    return next(found, None)
