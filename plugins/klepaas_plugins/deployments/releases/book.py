"""The releases of one application: what was, what is, what differs, and the way back.

One object for a call or an operation. What it writes: records of releases (ConfigMaps, see `storing`), and on restoring
the application's own objects. It decides nothing about health: who watches the rollout marks the release.
"""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas.offload import offload, size_of
from klepaas_plugins.deployments.last_change import author_of
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, annotation, at, labels
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.resolve import find_workloads
from klepaas_plugins.deployments.releases import choosing
from klepaas_plugins.deployments.releases.capturing import capture, completed
from klepaas_plugins.deployments.releases.choosing import Choice
from klepaas_plugins.deployments.releases.differing import Difference
from klepaas_plugins.deployments.releases.encoding import Damaged, TooLarge
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState, Snapshot
from klepaas_plugins.deployments.releases.records import CONFIG_MAP, SECRET
from klepaas_plugins.deployments.releases.secret_values import SecretValues
from klepaas_plugins.deployments.releases.settings import ReleaseSettings, Storage
from klepaas_plugins.deployments.releases.storing import Shelf, Store
from klepaas_plugins.deployments.rollout import Phase, counts, phase
from klepaas_plugins.deployments.rollout import Snapshot as Seen
from klepaas_plugins.deployments.together import together

if TYPE_CHECKING:
    from klepaas_plugins.deployments.releases.planning import Plan
    from klepaas_plugins.deployments.releases.restoring import Restored, Step

__all__ = ["Drift", "Releases"]

# The kinds that a glance looks at beside those of the release.
_GLANCED = ("ConfigMap", "Service", "Ingress")
_COMMIT = "org.opencontainers.image.revision"


@dataclass(frozen=True)
class Drift:
    """How what runs compares with the releases.

    Attributes:
        release: The release that runs, or the newest one where none does. None: there is none.
        is_current: Whether that release runs, as far as its content goes.
        difference: From that release to what runs. None: its record could not be read, or there is no release.
        trouble: Why it could not be compared. None: it could.
    """

    release: Release | None
    is_current: bool
    difference: Difference | None
    trouble: str | None = None


class Releases:
    """The releases of one application.

    Args:
        place: The application.
        settings: How releases are kept.
    """

    def __init__(self, place: Place, settings: ReleaseSettings) -> None:
        self._place = place
        self._settings = settings
        self._store = Store(place, settings)
        # How many releases there are, where that is known and each is one record: none need go while these are few.
        self._count: int | None = None
        self._values = SecretValues(settings)

    async def capture(self) -> Snapshot:
        """Everything that the application owns, as it is now, normalised.

        Raises:
            Forbidden: Its workloads may not be read.
        """
        return await capture(self._place)

    async def record(
        self,
        snapshot: Snapshot,
        *,
        principal: str,
        operation_id: str = "",
        cause: Cause = Cause.DEPLOY,
        state: ReleaseState = ReleaseState.PENDING,
        title: str | None = None,
        restored_from: int | None = None,
    ) -> Release:
        """Record a release. The same operation's of the same cause is recorded once.

        Where it cannot be recorded, for lack of rights or room, the release says so (`Release.unrecorded`) and its
        number is 0; it can still be restored while this process lives.

        Args:
            snapshot: What it holds.
            principal: On whose behalf.
            operation_id: The operation that made it; "": none.
            cause: What made it.
            state: How it is.
            title: What it is, in a few words. None: the workload's change cause.
            restored_from: The number of the release that it returns to. None: what else than a deployment runs the
                same thing as an earlier release returns to that.

        Raises:
            Forbidden: It cannot be recorded, and a setting requires it.
            KlepaasError: The cluster does not answer.
        """
        sealed, hidden = await self._values.seal(snapshot)
        in_secrets = self._settings.storage is Storage.SECRETS
        stored = snapshot if in_secrets else sealed
        release = Release(
            self._place.app_name, 0, state, cause, title=_title(snapshot) if title is None else title,
            image=snapshot.image, content=stored.content, created="", principal=principal, operation_id=operation_id,
            commit=_commit(snapshot), restored_from=restored_from, exact=stored.exact, snapshot=snapshot,
            hidden="" if in_secrets else hidden, kind=SECRET if in_secrets else CONFIG_MAP,
        )  # fmt: skip
        return await self._added(release, stored, frozenset({snapshot.content, sealed.content}))

    async def contents(self, live: Snapshot) -> frozenset[str]:
        """The digests of what runs, with and without its secret values, as a release says either.

        Args:
            live: What runs, just captured.
        """
        return await self._values.contents(live)

    async def _added(self, release: Release, stored: Snapshot, contents: choosing.Content) -> Release:
        """The release as it is stored, or with why it is not."""
        try:
            added = await self._store.add(release, stored, contents)
            self._count = None if self._count is None else self._count + 1
            return added
        except (Forbidden, TooLarge, BadRequest, Conflict) as exc:
            if self._settings.required:
                raise Forbidden(
                    f"The release of {self._place.text} cannot be recorded, and KLEPAAS_RELEASES_REQUIRED asks for it: "
                    f"{exc.what}",
                    next_step=exc.next_step,
                ) from exc
            return replace(release, unrecorded=exc.what)

    async def mark(self, release: Release, state: ReleaseState, reason: str | None = None) -> Release:
        """Say what became of a release, and let the oldest go. Its data stay as they are.

        Args:
            release: The release; one that was not recorded is only said to be so.
            state: How it is.
            reason: Why it failed. None: nothing to say.

        Raises:
            KlepaasError: The cluster does not answer.
        """
        if release.unrecorded is not None:
            return replace(release, state=state, reason=reason)
        try:
            marked = await self._store.mark(release, state, reason)
            if state is not ReleaseState.PENDING and not self._are_few:
                await self._store.clear()
            return marked
        except (Forbidden, NotFound) as exc:
            return replace(release, state=state, reason=reason, unrecorded=exc.what)

    async def recorded(self, operation_id: str, cause: Cause) -> Release | None:
        """The release that an operation has recorded. None: it has not.

        Args:
            operation_id: The operation.
            cause: What made the release.
        """
        return await self._store.of_operation(operation_id, cause)

    async def ensure_baseline(self) -> Release | None:
        """A release of what runs now, before something changes it: the newest one if that is it, else a new one.

        So whatever fails can be undone exactly, also where somebody changed the application outside klepaas. It counts
        as verified when the workloads serve as they are found.

        Returns:
            The release. None: nothing of the application runs.

        Raises:
            Forbidden: It cannot be recorded, and a setting requires it.
        """
        from klepaas_plugins.deployments.applications import KINDS

        snapshot = await self.capture()
        if not snapshot.workloads:
            return None
        self._values.remember(snapshot)
        healthy = _is_healthy(snapshot)
        state = ReleaseState.PASSED if healthy else ReleaseState.PENDING
        shelf = await self._shelf_if_readable()
        # After a failure that was rolled back, the failed release is the newest, and what runs is the one before it.
        good = (item for item in (shelf.releases if shelf else ()) if item.state is not ReleaseState.FAILED)
        newest = next(good, None)
        if newest is not None and await self._values.is_same(newest, snapshot):
            if newest.state is ReleaseState.PENDING and healthy:
                newest = await self.mark(newest, ReleaseState.PASSED)
            return replace(newest, snapshot=snapshot)
        # Whoever notices a change is not who made it, and what it left in the annotation tells of the change before.
        author = author_of(item for key, item in snapshot.live.items() if key[0] in KINDS)
        return await self.record(snapshot, principal=author, cause=Cause.FOUND, state=state, title=snapshot.image)

    async def list(self) -> builtins.list[Release]:
        """The releases, newest first, without what they hold.

        Raises:
            Forbidden: ConfigMaps may not be listed.
        """
        return (await self._store.shelf()).releases

    async def notes(self) -> Sequence[str]:
        """What was passed over among the records."""
        return (await self._store.shelf()).notes

    async def get(self, number: int) -> Release:
        """One release.

        Args:
            number: Its number.

        Raises:
            BadRequest: There is none of that number.
        """
        return choosing.choose(await self.list(), "", number=number).release

    async def load(self, release: Release) -> Snapshot:
        """What a release holds.

        Args:
            release: The release.

        Raises:
            BadRequest: Its record is gone or damaged.
            Forbidden: It may not be read.
        """
        if release.snapshot is not None:
            return release.snapshot
        shelf = await self._store.shelf()
        heads = [head for head in shelf.heads if head.release.number == release.number]
        try:
            if not heads:
                raise Damaged("its record is gone")
            return await self._store.load(heads[0].release, heads[0].parts)
        except Damaged as exc:
            raise BadRequest(
                f"Release {release.number} of {self._place.text} cannot be read: {exc.what}",
                next_step="Choose another one from list_releases",
            ) from exc

    async def last(self) -> Release | None:
        """The release that runs now, else the newest that did not fail. None: there is none.

        Raises:
            Forbidden: They may not be listed, or the application may not be read.
        """
        releases = await self.list()
        good = (item for item in releases if item.state is not ReleaseState.FAILED)
        contents = await self._values.contents(await self.capture())
        return choosing.running(releases, contents) or next(good, None)

    async def last_verified(self, before: int | None = None) -> Release | None:
        """The newest verified release. None: there is none, or they may not be listed.

        Args:
            before: Only older than the release of this number. None: any.
        """
        shelf = await self._shelf_if_readable()
        for item in shelf.releases if shelf else ():
            if item.state is ReleaseState.PASSED and (before is None or item.number < before):
                return item
        return None

    async def choose(self, *, number: int | None = None, steps: int | None = None, commit: str | None = None) -> Choice:
        """The release that a rollback means; see `choosing.choose`.

        Args:
            number: A release's number. None: not so.
            steps: How many releases back from what runs now. None: not so.
            commit: A commit, or how it begins. None: not so.

        Raises:
            BadRequest: There is no such release.
            Conflict: There is nothing to go back to, or what the release needs is gone.
        """
        live, releases = await together(self.capture, self.list)
        contents = await self._values.contents(live)
        choice = choosing.choose(releases, contents, number=number, steps=steps, commit=commit)
        snapshot = await self.load(choice.release)
        await self._refuse_missing_secrets(choice.release, snapshot)
        return Choice(replace(choice.release, snapshot=snapshot), choice.notes)

    async def _refuse_missing_secrets(self, release: Release, snapshot: Snapshot) -> None:
        for secret in snapshot.secrets:
            if secret.optional or secret.uid is None:
                continue
            resource = await self._place.cluster.resource("v1/Secret")
            found = await self._place.cluster.metadata(
                resource, self._place.namespace, field_selector=f"metadata.name={secret.name}"
            )
            if not found.get("items"):
                raise Conflict(
                    f"Release {release.number} needs the Secret {secret.name}, which is gone; its values are never "
                    "recorded, so the pods would not start",
                    next_step="Create the Secret again first, or choose another release",
                )

    async def plan(
        self,
        release: Release,
        *,
        expected: Snapshot | None = None,
        keep_scale: bool = False,
        take_ownership: bool | None = None,
    ) -> "Plan":
        """What restoring a release would do; the server has checked it.

        Args:
            release: The release.
            expected: What should be there if nobody else had changed anything since. None: whatever is there goes.
            keep_scale: Whether a number of pods that was set since by scaling stays.
            take_ownership: Whether fields that controllers own now are taken over. None: nobody was asked, so they are
                left as they are, and named.

        Raises:
            FieldConflict: Controllers own fields of the release now, and they are not to be taken over.
            Conflict: Somebody else has changed an object since `expected`.
            BadRequest: The release cannot be read, or the server refuses a change: a field that cannot be changed back.
        """
        from klepaas_plugins.deployments.releases.planning import plan_restore
        from klepaas_plugins.deployments.releases.restoring import Moments, plan_changes

        target = await self.load(release)
        live = await capture(self._place, target)
        filled, expected = await self._values.fill(target, live, expected)
        target = filled.snapshot
        scaled_to = await self._scaled_to(release) if keep_scale else None
        work = partial(plan_restore, target, live, expected=expected, keep_scale=keep_scale, scaled_to=scaled_to)
        plan = await offload(work, size_chars=size_of([*target.objects, *live.objects]))
        plan = replace(plan, notes=(*plan.notes, *filled.notes, *filled.lost), lost=filled.lost)
        moments = Moments(target=target, live=live, expected=expected)
        return await plan_changes(self._place, plan, moments, take_ownership=take_ownership)

    async def restore(
        self,
        release: Release,
        step: "Step | None" = None,
        *,
        expected: Snapshot | None = None,
        keep_scale: bool = False,
        take_ownership: bool | None = None,
    ) -> "Restored":
        """Put the application back to a release, whole; see `plan` for the arguments.

        Args:
            release: The release.
            step: `Run.step` of an operation: each object is one step. None: directly.
            expected: As in `plan`.
            keep_scale: As in `plan`.
            take_ownership: As in `plan`.

        Raises:
            KlepaasError: It is refused, or somebody else changed something meanwhile; what was restored stays so.
        """
        from klepaas_plugins.deployments.releases.restoring import restore

        plan = await self.plan(release, expected=expected, keep_scale=keep_scale, take_ownership=take_ownership)
        return await restore(self._place, plan, step)

    async def diff(self, before: Release | Snapshot, after: Release | Snapshot | None = None) -> Difference:
        """What differs from a release to another, or to what runs now.

        Args:
            before: The earlier moment.
            after: The later one. None: what runs now.
        """
        one = before if isinstance(before, Snapshot) else await self.load(before)
        if after is None:
            return await self._values.difference(one, await capture(self._place, one))
        return await self._values.difference(one, after if isinstance(after, Snapshot) else await self.load(after))

    async def drift(self) -> Drift:
        """How what runs now compares with the releases.

        Raises:
            Forbidden: They may not be listed.
        """
        live, releases = await together(self.capture, self.list)
        return await self.compared(live, releases)

    async def glance(self) -> tuple[Drift, builtins.list[Release]]:
        """How what runs compares with the releases, at a glance: looked at are only the kinds that count.

        These are the kinds that the newest release that did not fail holds, and what configures and serves every
        application. That objects of other kinds were added since is not seen.

        Returns:
            How it compares, and the releases.

        Raises:
            Forbidden: They may not be listed.
        """
        releases = await self.list()
        likely = next((one for one in releases if one.state is not ReleaseState.FAILED), None)
        if not releases or likely is None:
            return await self.compared(await self.capture(), releases) if releases else Drift(
                None, False, None
            ), releases
        try:
            held = {str(item["kind"]) for item in (await self.load(likely)).objects}
        except (BadRequest, Forbidden):
            held = set()
        live = await capture(self._place, kinds=frozenset({*held, *_GLANCED, *await self._scalers()}))
        return await self.compared(live, releases), releases

    async def _scalers(self) -> builtins.list[str]:
        """The kind of autoscalers, where a workload's number of pods is not what was applied to it."""
        entries = (at(one.item, "metadata", "managedFields") or () for one in await find_workloads(self._place))
        is_scaled = any(entry.get("subresource") == "scale" for some in entries for entry in some)
        return ["HorizontalPodAutoscaler"] if is_scaled else []

    async def compared(self, live: Snapshot, releases: Sequence[Release]) -> Drift:
        """The same for what was read already.

        Args:
            live: What runs now.
            releases: The releases, newest first.
        """
        current = choosing.running(releases, await self._values.contents(live))
        release = current or (releases[0] if releases else None)
        if release is None:
            return Drift(None, False, None)
        try:
            snapshot = await self.load(release)
            found = await self._values.difference(snapshot, await completed(self._place, live, snapshot))
            return Drift(release, current is not None, found)
        except (BadRequest, Forbidden) as exc:
            return Drift(release, current is not None, None, exc.what)

    async def _scaled_to(self, release: Release) -> int | None:
        """The number of pods that the newest scaling since a release asked for. None: there was none."""
        shelf = await self._shelf_if_readable()
        found = (item for item in (shelf.releases if shelf else ()) if item.number > release.number)
        newest = next((item for item in found if item.cause is Cause.SCALE), None)
        number = newest.title.rpartition(" ")[2] if newest is not None else ""
        return int(number) if number.isdigit() else None

    async def _shelf_if_readable(self) -> Shelf | None:
        try:
            shelf = await self._store.shelf()
        except Forbidden:
            return None
        self._count = None if shelf.parts else len(shelf.heads)
        return shelf

    @property
    def _are_few(self) -> bool:
        return self._count is not None and self._count <= self._settings.keep


def _title(snapshot: Snapshot) -> str:
    found = [annotation(item, CHANGE_CAUSE) for item in snapshot.workloads]
    return next((text for text in found if text), snapshot.image)


def _commit(snapshot: Snapshot) -> str | None:
    for item in snapshot.workloads:
        found = annotation(item, _COMMIT) or labels(item).get(_COMMIT)
        if found:
            return found
    return None


def _is_healthy(snapshot: Snapshot) -> bool:
    """Whether every workload serves with the template that it has now, as its own status says.

    Fewer pods than wanted are no reason against it: a node may be away. A rollout that is under way is one.
    """
    from klepaas_plugins.deployments.applications import KINDS

    there = [Seen(key[0], item) for key, item in snapshot.live.items() if key[0] in KINDS]
    return bool(there) and all(_serves(seen) for seen in there)


def _serves(seen: Seen) -> bool:
    if phase(seen) in (Phase.READY, Phase.STOPPED):
        return True
    numbers = counts(seen.kind, seen.workload)
    whole = numbers.observed and numbers.updated == numbers.total and numbers.available > 0
    return whole and phase(seen) is not Phase.FAILED
