"""What is kept of an application itself: how it was scaled, by whom and when; and where it answers.

An address that a person set is not overwritten by one that was found. Reading where nothing was ever stored gives
nothing and imports no database library.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klepaas.host import Host
from klepaas.store.database import Store

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Address", "ApplicationKey", "Applications", "Scaling"]


@dataclass(frozen=True)
class ApplicationKey:
    """Which application.

    Attributes:
        cluster: The cluster's identity.
        namespace: The namespace.
        application: The name.
    """

    cluster: str
    namespace: str
    application: str

    @property
    def _columns(self) -> tuple[str, str, str]:
        return self.cluster, self.namespace, self.application


@dataclass(frozen=True)
class Scaling:
    """How an application was last scaled through klepaas.

    Attributes:
        replicas: How many pods were asked for.
        scaled_at: When, in seconds since 1970.
        scaled_by: By whom, for people.
    """

    replicas: int
    scaled_at: float
    scaled_by: str


@dataclass(frozen=True)
class Address:
    """Where an application answers.

    Attributes:
        url: The address.
        is_user_modified: Whether a person set it.
        updated_at: When, in seconds since 1970.
        updated_by: By whom. None: it was found.
    """

    url: str
    is_user_modified: bool
    updated_at: float
    updated_by: str | None = None


class Applications:
    """What one server's store keeps of applications.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def of(cls, host: Host) -> "Applications":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host)))

    async def scaling(self, key: ApplicationKey) -> Scaling | None:
        """How it was last scaled. None: never, as far as this store knows.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        return await self._store.read(lambda session: _scaling(session, key)) if self._store.exists else None

    async def scaled(self, key: ApplicationKey, scaling: Scaling) -> None:
        """It was scaled.

        Raises:
            StoreUnavailable: That is not written.
        """
        await self._store.write(lambda session: _put_scaling(session, key, scaling))

    async def address(self, key: ApplicationKey) -> Address | None:
        """Where it answers. None: not known to this store.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        return await self._store.read(lambda session: _address(session, key)) if self._store.exists else None

    async def found_at(self, key: ApplicationKey, url: str) -> Address:
        """It was found to answer at an address; one that a person set stays.

        Returns:
            The address that holds now.

        Raises:
            StoreUnavailable: That is not written.
        """
        new = Address(url, False, time.time())
        return await self._store.write(lambda session: _put_address(session, key, new))

    async def set_address(self, key: ApplicationKey, url: str | None, updated_by: str) -> Address | None:
        """A person sets where it answers, or takes that back.

        Args:
            key: The application.
            url: The address. None: what is found holds again.
            updated_by: The person.

        Returns:
            The address that holds now. None: there is none.

        Raises:
            StoreUnavailable: That is not written.
        """
        if url is None:
            await self._store.write(lambda session: _remove_address(session, key))
            return None
        new = Address(url, True, time.time(), updated_by)
        return await self._store.write(lambda session: _put_address(session, key, new))


def _scaling(session: "Session", key: ApplicationKey) -> Scaling | None:
    from klepaas.store.tables import ApplicationSettingsRow

    row = session.get(ApplicationSettingsRow, key._columns)
    if row is None or row.replicas is None:
        return None
    return Scaling(row.replicas, row.scaled_at or 0.0, row.scaled_by or "")


def _put_scaling(session: "Session", key: ApplicationKey, scaling: Scaling) -> None:
    from klepaas.store.tables import ApplicationSettingsRow

    session.merge(
        ApplicationSettingsRow(
            cluster=key.cluster,
            namespace=key.namespace,
            application=key.application,
            replicas=scaling.replicas,
            scaled_at=scaling.scaled_at,
            scaled_by=scaling.scaled_by,
        )
    )


def _address(session: "Session", key: ApplicationKey) -> Address | None:
    from klepaas.store.tables import ApplicationUrlRow

    row = session.get(ApplicationUrlRow, key._columns)
    return None if row is None else Address(row.url, row.is_user_modified, row.updated_at, row.updated_by)


def _put_address(session: "Session", key: ApplicationKey, new: Address) -> Address:
    from klepaas.store.tables import ApplicationUrlRow

    there = _address(session, key)
    if there is not None and there.is_user_modified and not new.is_user_modified:
        return there
    names = {"cluster": key.cluster, "namespace": key.namespace, "application": key.application}
    session.merge(ApplicationUrlRow(**names, **vars(new)))
    return new


def _remove_address(session: "Session", key: ApplicationKey) -> None:
    from klepaas.store.tables import ApplicationUrlRow

    row = session.get(ApplicationUrlRow, key._columns)
    if row is not None:
        session.delete(row)
