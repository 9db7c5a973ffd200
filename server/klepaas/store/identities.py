"""Names under which one and the same thing (a cluster) was seen: joined when they are seen together, never replaced.

A cluster has several names: one by each address and authority that leads to it, one by the uid of its namespace
kube-system, one by the uid of each namespace. Not everybody may read each of them. Those that one observer sees
together mean one cluster, for everybody who shares the store; the oldest stands for all. What is kept of applications
moves to that name. Operations keep the name that they were begun with, and are found by every name of its group.

Reading where nothing was ever stored gives the names as they are and imports no database library.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from klepaas.host import Host
from klepaas.store.database import Store

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Identities", "group_of", "join"]

_ATTEMPTS = 5
# Any number that no other program uses for its advisory locks; see klepaas.store.upgrading.
_LOCK_KEY = 0x6B6C65706164


class Identities:
    """The names that one server's store knows.

    Args:
        store: The store. None: nothing is remembered.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store

    @classmethod
    def of(cls, host: Host) -> "Identities":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host)))

    @property
    def exist(self) -> bool:
        """Whether anything can have been remembered yet."""
        return self._store is not None and self._store.exists

    async def group(self, names: Sequence[str]) -> tuple[str, ...]:
        """Every known name of what these names mean, the one that stands for all of them first.

        Args:
            names: Names of one thing, the best first.

        Raises:
            StoreUnavailable: The store cannot be read.
        """
        if self._store is None or not self._store.exists:
            return tuple(names)
        return await self._store.read(lambda session: _group(session, names))

    async def join(self, names: Sequence[str]) -> str:
        """Put on record that these names were seen together.

        Args:
            names: Names of one thing, the best first.

        Returns:
            The name that stands for all of them.

        Raises:
            StoreUnavailable: The store cannot be written.
        """
        if self._store is None:
            return names[0]
        if self._store.exists:
            known = await self._store.read(lambda session: _joined(session, names))
            if known is not None:
                return known
        from sqlalchemy.exc import IntegrityError

        for number in range(_ATTEMPTS):
            try:
                return await self._store.write(lambda session: join(session, names))
            except IntegrityError:
                # Another process has just seen the same.
                if number + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")


def group_of(session: "Session", name: str, *, lock: bool = False) -> list[str]:
    """Every name of the thing of this name, itself among them.

    Args:
        session: A transaction.
        name: One name.
        lock: Whether others that lock the same group wait until this transaction has ended.
    """
    from sqlalchemy import select

    from klepaas.store.tables import IdentityRow

    if lock:
        _hold_groups(session, "pg_advisory_xact_lock_shared")
    row = session.get(IdentityRow, name)
    if row is None:
        return [name]
    wanted = select(IdentityRow).where(IdentityRow.canonical == row.canonical).order_by(IdentityRow.name)
    return [found.name for found in session.scalars(wanted.with_for_update() if lock else wanted)]


def join(session: "Session", names: Sequence[str]) -> str:
    """Join names; see `Identities.join`.

    Args:
        session: A transaction that writes.
        names: Names of one thing, the best first.
    """
    from sqlalchemy import select, update

    from klepaas.store.database import now_of
    from klepaas.store.tables import IdentityRow

    _hold_groups(session, "pg_advisory_xact_lock")
    known = {row.name: row.canonical for row in session.scalars(_rows(names).with_for_update())}
    heads = session.scalars(select(IdentityRow).where(IdentityRow.name.in_(set(known.values())))).all()
    kept = min(heads, key=lambda row: (row.seen_at, row.name)).name if heads else names[0]
    others = set(known.values()) - {kept}
    if others:
        moved = update(IdentityRow).where(IdentityRow.canonical.in_(others)).values(canonical=kept)
        session.execute(moved.execution_options(synchronize_session=False))
    now = now_of(session)
    new = [name for name in dict.fromkeys(names) if name not in known]
    session.add_all(IdentityRow(name=name, canonical=kept, seen_at=now) for name in new)
    session.flush()
    _move(session, {*others, *new} - {kept}, kept)
    return kept


def _hold_groups(session: "Session", lock: str) -> None:
    """Let nobody join names while an operation begins by one of them, nor the other way round, until this ends.

    Between looking up a group and locking its rows, another transaction could give the rows to another group, and two
    that lock rows of two groups could wait for each other. SQLite has one writer at a time.
    """
    from sqlalchemy import text

    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT {lock}(:key)"), {"key": _LOCK_KEY})


def _rows(names: Sequence[str]) -> Any:
    from sqlalchemy import select

    from klepaas.store.tables import IdentityRow

    return select(IdentityRow).where(IdentityRow.name.in_(names)).order_by(IdentityRow.name)


def _joined(session: "Session", names: Sequence[str]) -> str | None:
    """The name that stands for all of them. None: not all of them are joined yet."""
    rows = session.scalars(_rows(names)).all()
    canonicals = {row.canonical for row in rows}
    return canonicals.pop() if len(rows) == len(set(names)) and len(canonicals) == 1 else None


def _group(session: "Session", names: Sequence[str]) -> tuple[str, ...]:
    from sqlalchemy import select

    from klepaas.store.tables import IdentityRow

    known = session.scalars(_rows(names)).all()
    if not known:
        return tuple(names)
    first = min(known, key=lambda row: list(names).index(row.name)).canonical
    canonicals = {row.canonical for row in known}
    found = session.scalars(select(IdentityRow.name).where(IdentityRow.canonical.in_(canonicals))).all()
    return tuple(dict.fromkeys([first, *names, *sorted(found)]))


def _move(session: "Session", old: set[str], kept: str) -> None:
    """Let what is kept of applications under other names stand under the one that stands for all."""
    from sqlalchemy import select, update

    from klepaas.store.tables import ApplicationSettingsRow, ApplicationUrlRow, DeploymentRow

    if not old:
        return
    history = update(DeploymentRow).where(DeploymentRow.cluster.in_(old)).values(cluster=kept)
    session.execute(history.execution_options(synchronize_session=False))
    tables: tuple[Any, ...] = (ApplicationSettingsRow, ApplicationUrlRow)
    for table in tables:
        for row in session.scalars(select(table).where(table.cluster.in_(old))).all():
            there = session.get(table, (kept, row.namespace, row.application))
            if there is None or _written_at(there) < _written_at(row):
                values = {column.name: getattr(row, column.name) for column in table.__table__.columns}
                session.merge(table(**{**values, "cluster": kept}))
            session.delete(row)
    session.flush()


def _written_at(row: Any) -> float:
    """When it was written, in seconds since 1970."""
    return float(getattr(row, "updated_at", None) or getattr(row, "scaled_at", None) or 0.0)
