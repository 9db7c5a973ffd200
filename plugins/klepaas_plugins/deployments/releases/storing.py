"""The releases of one application as Secrets of its cluster: written once, marked, listed, read, and cleared away.

They carry no owner, so that history outlives the workload. The data are immutable; labels and annotations say what
became of a release. Records of others, and damaged ones, are passed over with a note.

Sources: Kubernetes, "Secrets", section "Immutable Secrets"; "API Concepts", "Resource versions".
"""

from dataclasses import dataclass, replace
from functools import partial

import anyio.to_thread

from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas_plugins.deployments.objects import at, items, name_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.releases.choosing import running
from klepaas_plugins.deployments.releases.encoding import Damaged, Encoded, decode, encode, joined
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState, Snapshot
from klepaas_plugins.deployments.releases.records import (
    APPLICATION,
    TYPE,
    Head,
    Part,
    key_of,
    name_for,
    new_record,
    operation_label,
    parsed,
    state_patch,
)
from klepaas_plugins.deployments.releases.settings import ReleaseSettings
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import AlreadyExists, Resource

__all__ = ["Shelf", "Store"]

_ATTEMPTS = 6
_MOST_CLEARED = 100
_IN_A_THREAD_BYTES = 128 * 1024


@dataclass(frozen=True)
class Shelf:
    """The records of an application.

    Attributes:
        heads: The releases, newest first.
        parts: Their further Secrets, and such as belong to no release.
        notes: What was passed over.
    """

    heads: tuple[Head, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]

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
            Forbidden: The credentials may not list Secrets.
        """
        heads: list[Head] = []
        parts: list[Part] = []
        notes: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._place.cluster.metadata(
                await self._secrets(),
                self._place.namespace,
                label_selector=f"{APPLICATION}={key_of(self._place.app_name)}",
                field_selector=f"type={TYPE}",
                limit=500,
                cursor=cursor,
            )
            for item in items(page):
                found = parsed(item, self._place.app_name)
                if isinstance(found, Head):
                    heads.append(found)
                elif isinstance(found, Part):
                    parts.append(found)
                else:
                    notes.append(f"Secret {name_of(item)} is labelled as a release and is none that klepaas wrote")
            cursor = at(page, "metadata", "continue") or None
            if cursor is None:
                break
        heads.sort(key=lambda head: head.release.number, reverse=True)
        return Shelf(tuple(heads), tuple(parts), tuple(notes))

    async def add(self, release: Release, snapshot: Snapshot) -> Release:
        """Record a release; the same operation's is recorded once.

        Args:
            release: What is recorded; its number is chosen here.
            snapshot: What it holds.

        Raises:
            TooLarge: It does not fit.
            Forbidden: The credentials, or a quota, do not allow it.
            Conflict: Others record releases of this application all the time.
        """
        encoded = await self._encoded(snapshot)
        for _ in range(_ATTEMPTS):
            shelf = await self.shelf()
            known = _of_operation(shelf, release.operation_id, release.cause)
            if known is not None:
                return replace(known, snapshot=known.snapshot or snapshot)
            try:
                return await self._write(_numbered(release, shelf), snapshot, encoded)
            except AlreadyExists:
                continue
        raise Conflict(
            f"The releases of {self._place.text} are being written by others all the time", next_step="Retry"
        )

    async def _write(self, release: Release, snapshot: Snapshot, encoded: Encoded) -> Release:
        """Create the Secrets; the head comes last, so that what can be listed is whole."""
        exact, resource = snapshot.exact, await self._secrets()
        for part in range(len(encoded.parts), 0, -1):
            body = new_record(release, exact, encoded, part)
            made = await self._place.cluster.create(resource, body, self._place.namespace)
        created = str(at(made, "metadata", "creationTimestamp") or "")
        return replace(release, created=created, exact=exact, snapshot=snapshot)

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
        await self._place.cluster.merge_patch(await self._secrets(), name, self._place.namespace, patch)
        return replace(release, state=state, reason=reason)

    async def load(self, release: Release, parts: int) -> Snapshot:
        """What a release holds.

        Args:
            release: The release.
            parts: How many Secrets hold it.

        Raises:
            Damaged: Its record is gone, damaged, or not ours.
            Forbidden: The credentials may not read Secrets.
        """
        if parts > self._settings.max_parts * 4:
            raise Damaged("its record claims to have too many parts")
        names = [name_for(release.app_name, release.number, part) for part in range(1, parts + 1)]
        resource = await self._secrets()
        try:
            found = await together(
                *(partial(self._place.cluster.get, resource, name, self._place.namespace) for name in names)
            )
        except NotFound as exc:
            raise Damaged("a part of its record is gone") from exc
        if any(item.get("type") != TYPE for item in found):
            raise Damaged("its record is a Secret of another type")
        packed, digest = joined(found)
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
        resource = await self._secrets()
        for record in old[:_MOST_CLEARED]:
            try:
                await self._place.cluster.delete(resource, record.name, self._place.namespace, uid=record.uid)
            except NotFound:
                continue
            except (Forbidden, Conflict, BadRequest) as exc:
                return [f"Old releases could not be deleted: {exc.what}"]
        return []

    async def _secrets(self) -> Resource:
        return await self._place.cluster.resource("v1/Secret")


def _numbered(release: Release, shelf: Shelf) -> Release:
    """The release with its number, and with the one that it is the same as again, where nothing new was deployed."""
    origin = release.restored_from
    if origin is None and release.cause is not Cause.DEPLOY:
        same = running(shelf.releases, release.content)
        origin = same.number if same is not None and same.state is not ReleaseState.FAILED else None
    return replace(release, number=shelf.next_number, restored_from=origin)


def _of_operation(shelf: Shelf, operation_id: str, cause: Cause) -> Release | None:
    """The release that an operation has made already."""
    wanted = operation_label(operation_id) if operation_id else ""
    found = (item for item in shelf.releases if wanted and item.operation_id == wanted and item.cause == cause)
    return next(found, None)
