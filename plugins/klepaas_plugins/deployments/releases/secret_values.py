"""The secret values of one application's releases: sealed for a record, and at hand again where that can be.

Values that were captured before a change are remembered as long as the process lives, so that an automatic rollback
brings them back too; no record holds them.
"""

from collections.abc import Callable
from typing import TypeVar

from klepaas.offload import offload, size_of
from klepaas_plugins.deployments.releases.differing import Difference, difference
from klepaas_plugins.deployments.releases.filling import Filled, fill, make_comparable
from klepaas_plugins.deployments.releases.hidden import conceal, hidden_digest, seal
from klepaas_plugins.deployments.releases.model import Release, Snapshot
from klepaas_plugins.deployments.releases.records import SECRET
from klepaas_plugins.deployments.releases.settings import ReleaseSettings

__all__ = ["SecretValues"]

_OTHER_KEY = "Secret values whose digests another klepaas has recorded with another key are not compared"
T = TypeVar("T")


class SecretValues:
    """What is known of secret values.

    Args:
        settings: How releases are kept, and the keys of the digests.
    """

    def __init__(self, settings: ReleaseSettings) -> None:
        self._settings = settings
        self._captured: tuple[Snapshot, ...] = ()

    def remember(self, snapshot: Snapshot) -> None:
        """Have the values of a snapshot at hand from now on.

        Args:
            snapshot: What was just captured.
        """
        self._captured = (*self._captured, snapshot)

    async def seal(self, snapshot: Snapshot) -> tuple[Snapshot, str]:
        """A snapshot without its secret values, and one digest of all of these.

        Args:
            snapshot: What was captured.
        """
        keys = self._settings.keys

        def work() -> tuple[Snapshot, str]:
            key = keys.current()
            sealed = seal(snapshot, key)
            return sealed, hidden_digest(sealed, key)

        return await _work_on(work, snapshot)

    async def contents(self, live: Snapshot) -> frozenset[str]:
        """The digests of what runs, with and without its secret values, as a release says either.

        Args:
            live: What runs, just captured.
        """
        # A look needs no key, and makes none: the state folder may be one that cannot be written.
        return await _work_on(lambda: frozenset({live.content, conceal(live).content}), live)

    async def is_same(self, release: Release, snapshot: Snapshot) -> bool:
        """Whether a release is exactly this, its secret values included.

        Args:
            release: The release, as its record says it.
            snapshot: What was captured.
        """
        if release.kind == SECRET:
            return release.exact == snapshot.exact
        sealed, hidden = await self.seal(snapshot)
        return (release.exact, release.hidden) == (sealed.exact, hidden)

    async def fill(self, target: Snapshot, live: Snapshot, expected: Snapshot | None) -> tuple[Filled, Snapshot | None]:
        """A release, and what should be there now, with the secret values that are at hand.

        Args:
            target: What the release holds.
            live: What is there now, just captured.
            expected: What should be there. None: nothing is expected.

        Raises:
            Conflict: Something is gone that cannot be made anew without the values.
        """
        keys, captured = self._settings.keys, self._captured

        def work() -> tuple[Filled, Snapshot | None]:
            every = keys.every()
            should = None if expected is None else make_comparable(expected, live, every, captured)[0]
            return fill(target, live, every, captured), should

        return await _work_on(work, target, live)

    async def difference(self, before: Snapshot, after: Snapshot) -> Difference:
        """What differs; values that a release does not hold are compared by their digests.

        Args:
            before: The earlier moment.
            after: The later one.
        """
        keys, captured = self._settings.keys, self._captured

        def work() -> Difference:
            one, other, is_unknown = make_comparable(before, after, keys.every(), captured)
            found = difference(one, other)
            return found.with_note(_OTHER_KEY) if is_unknown else found

        return await _work_on(work, before, after)


async def _work_on(work: Callable[[], T], *snapshots: Snapshot) -> T:
    """Work in a thread where there is much of it; a key may be read from a file, which is small."""
    return await offload(work, size_chars=size_of([one.objects for one in snapshots]))
