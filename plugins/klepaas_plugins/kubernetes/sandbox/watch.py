"""Watches: what happens to the objects of one view, as it happens.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import anyio

from .model import Json
from .resources import Resource
from .selectors import Match
from .status import ApiError
from .store import Change, Store
from .tables import partial, table

_BOOKMARK_S = 60.0


@dataclass(frozen=True)
class View:
    """What a watch is about, and how it shows it.

    Args:
        namespace: None for every namespace.
        form: table, partial or whole.
        include: what table rows carry of their objects.
    """

    resource: Resource
    namespace: str | None
    match: Match | None
    form: str
    include: str

    def holds(self, obj: Json | None) -> bool:
        """Whether an object is in the view."""
        if obj is None or (self.namespace is not None and obj["metadata"].get("namespace", "") != self.namespace):
            return False
        return self.match is None or self.match(obj)

    def line(self, kind: str, obj: Json) -> bytes:
        """One event of the stream."""
        shown = self.resource.shown(obj)
        if self.form == "table":
            meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            shown = table(self.resource, [obj], meta, self.include)
        elif self.form == "partial":
            shown = partial(obj)
        return _line(kind, shown)

    def changes(self, change: Change) -> Iterator[bytes]:
        """What a change means to the view: an object may enter it, leave it or change inside it."""
        before, after = self.holds(change.old), self.holds(change.object)
        if change.type == "DELETED":
            if before:
                yield self.line("DELETED", change.object)
        elif before and not after:
            yield self.line("DELETED", change.object)
        elif after:
            yield self.line("MODIFIED" if before else "ADDED", change.object)


def _line(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


async def watch(store: Store, view: View, version: int, timeout_s: float, *, bookmarks: bool) -> AsyncIterator[bytes]:
    """The lines of a watch, until its time is up or its history is lost.

    It begins after the resourceVersion `version`; with what there is when that is 0.
    """
    deadline_s = time.monotonic() + timeout_s
    seen = store.version
    if version:
        seen = version
    else:
        for obj in filter(view.holds, store.list(view.resource, view.namespace)):
            yield view.line("ADDED", obj)
    while True:
        try:
            changes = store.since(view.resource, seen)
        except ApiError as error:
            yield _line("ERROR", error.body)
            return
        for change in changes:
            seen = change.version
            for line in view.changes(change):
                yield line
        if changes:
            continue
        seen = max(seen, store.version)
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return
        with anyio.move_on_after(min(left_s, _BOOKMARK_S)) as scope:
            await store.changed()
        if scope.cancelled_caught and bookmarks and left_s > _BOOKMARK_S:
            head = {"kind": view.resource.kind, "apiVersion": view.resource.api_version}
            yield _line("BOOKMARK", {**head, "metadata": {"resourceVersion": str(seen)}})
