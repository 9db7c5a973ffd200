"""The history of deployments: every change of an application that began, with how it went, kept after its operation.

One row an operation. Texts are redacted when they are written. Reading it where nothing was ever stored gives nothing
and imports no database library.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from klepaas.host import Host
from klepaas.output.safe import shorten
from klepaas.store.database import Store

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["Deployment", "History", "Stage", "Statistics"]

_TEXT_MAX_CHARS = 4000

Key = TypeVar("Key", str, int)


@dataclass(frozen=True)
class Stage:
    """A part of a deployment: the build, the rollout.

    Attributes:
        name: Which.
        state: How it went: "succeeded", "failed", "skipped".
        started_at: When it began, in seconds since 1970. None: it did not.
        duration_s: How long it took, in seconds. None: not known.
        provider_id: What the provider calls it. None: nothing.
    """

    name: str
    state: str
    started_at: float | None = None
    duration_s: float | None = None
    provider_id: str | None = None


@dataclass(frozen=True)
class Deployment:
    """One change of an application. What is None is not known, or there is none. Times are seconds since 1970.

    Attributes:
        operation_id: The operation; one row each.
        operation_type: "deploy", "rollback", "scale" or "restart".
        state: How it is, as operations are: "running", "succeeded", "failed", "rolled_back", "cancelled", "unknown".
        cluster: The cluster's identity: its server and authority, whatever a context is called.
        namespace: The namespace.
        application: The application.
        deployed_by: Who asked, for people.
        started_at: When it began.
        ended_at: When it ended.
        context: What the cluster was called.
        workload: The workload, "deployment web".
        repository: Where the source is.
        branch: Its branch.
        commit_sha: The commit.
        commit_message: Its message.
        commit_author: Its author.
        commit_url: Where to read it.
        image: The image reference as it was deployed.
        image_name: It without tag and digest.
        image_tag: Its tag.
        image_digest: Its digest.
        replicas: How many pods were wanted.
        previous_replicas: How many were wanted before.
        release: The number of the release that it made.
        rollback_from_release: The release that it went back from.
        rollback_to_release: The release that it went back to.
        is_rollback: Whether it went back, by a person's wish or by itself.
        automatic: Whether nobody asked for that.
        url: Where the application answers.
        provider_ids: What providers call the build, the pipeline and so on.
        stages: Its parts with their times.
        error_stage: The stage that failed.
        error_message: Why, in one sentence.
        trigger: What set it off, where that was no call of a tool: a webhook's few facts.
    """

    operation_id: str
    operation_type: str
    state: str
    cluster: str
    namespace: str
    application: str
    deployed_by: str
    started_at: float
    ended_at: float | None = None
    context: str | None = None
    workload: str | None = None
    repository: str | None = None
    branch: str | None = None
    commit_sha: str | None = None
    commit_message: str | None = None
    commit_author: str | None = None
    commit_url: str | None = None
    image: str | None = None
    image_name: str | None = None
    image_tag: str | None = None
    image_digest: str | None = None
    replicas: int | None = None
    previous_replicas: int | None = None
    release: int | None = None
    rollback_from_release: int | None = None
    rollback_to_release: int | None = None
    is_rollback: bool = False
    automatic: bool = False
    url: str | None = None
    provider_ids: Mapping[str, str] = field(default_factory=dict)
    stages: Sequence[Stage] = ()
    error_stage: str | None = None
    error_message: str | None = None
    trigger: Mapping[str, Any] | None = None

    @property
    def duration_s(self) -> float | None:
        """How long it took, in seconds. None: it has not ended."""
        return None if self.ended_at is None else max(0.0, self.ended_at - self.started_at)


@dataclass(frozen=True)
class Statistics:
    """How deployments went.

    Attributes:
        total: How many there were, those under way included.
        by_state: How many ended how.
        by_type: How many of each type.
        success_rate: The part of those that ended which succeeded, from 0 to 1. None: none has ended.
        median_s: Half of those that succeeded took no longer, in seconds. None: none has succeeded.
        last_success_at: When one last succeeded, in seconds since 1970. None: never.
        last_failure_at: When one last failed or was rolled back. None: never.
    """

    total: int
    by_state: Mapping[str, int]
    by_type: Mapping[str, int]
    success_rate: float | None
    median_s: float | None
    last_success_at: float | None
    last_failure_at: float | None


class History:
    """The history of one server's store.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def of(cls, host: Host) -> "History":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host)))

    async def put(self, deployment: Deployment) -> None:
        """Write a deployment, or what has become of it since it was written.

        Args:
            deployment: The deployment; one with the same operation is replaced.

        Raises:
            StoreUnavailable: It is not written.
        """
        await self._store.write(lambda session: _put(session, deployment))

    async def find(
        self,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        application: str | None = None,
        operation_type: str | None = None,
        state: str | None = None,
        before: float | None = None,
        limit: int = 20,
    ) -> list[Deployment]:
        """Deployments, the newest first.

        Args:
            cluster: Only in this cluster.
            namespace: Only in this namespace.
            application: Only of this application.
            operation_type: Only of this type.
            state: Only in this state.
            before: Only those that began before then, in seconds since 1970.
            limit: At most so many.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        if not self._store.exists:
            return []
        wanted = {"cluster": cluster, "namespace": namespace, "application": application}
        wanted |= {"operation_type": operation_type, "state": state}
        return await self._store.read(lambda session: _find(session, wanted, before, limit))

    async def statistics(
        self,
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        application: str | None = None,
        since: float | None = None,
    ) -> Statistics:
        """How deployments went, all of them, counted by the database.

        Args:
            cluster: Only in this cluster.
            namespace: Only in this namespace.
            application: Only of this application.
            since: Only those that began then or later, in seconds since 1970.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        if not self._store.exists:
            return Statistics(0, {}, {}, None, None, None, None)
        wanted = {"cluster": cluster, "namespace": namespace, "application": application}
        return await self._store.read(lambda session: _statistics(session, wanted, since))


def _put(session: "Session", deployment: Deployment) -> None:
    from sqlalchemy import select

    from klepaas.store.tables import DeploymentRow

    same = DeploymentRow.operation_id == deployment.operation_id
    row = session.scalars(select(DeploymentRow).where(same)).one_or_none()
    if row is None:
        row = DeploymentRow(operation_id=deployment.operation_id)
        session.add(row)
    for one in fields(Deployment):
        setattr(row, one.name, _kept(getattr(deployment, one.name)))
    row.stages = [dict(vars(stage)) for stage in deployment.stages]
    row.duration_s = deployment.duration_s


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return str(shorten(value, _TEXT_MAX_CHARS, ""))
    return {str(key): _kept(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _find(session: "Session", wanted: Mapping[str, str | None], before: float | None, limit: int) -> list[Deployment]:
    from sqlalchemy import select

    from klepaas.store.tables import DeploymentRow

    filters = _filters(wanted)
    if before is not None:
        filters.append(DeploymentRow.started_at < before)
    order = (DeploymentRow.started_at.desc(), DeploymentRow.id.desc())
    rows = session.scalars(select(DeploymentRow).where(*filters).order_by(*order).limit(limit))
    return [_deployment(row) for row in rows]


def _filters(wanted: Mapping[str, str | None]) -> "list[ColumnElement[bool]]":
    from klepaas.store.tables import DeploymentRow

    return [getattr(DeploymentRow, name) == value for name, value in wanted.items() if value is not None]


def _deployment(row: Any) -> Deployment:
    given = {one.name: getattr(row, one.name) for one in fields(Deployment)}
    known = {one.name for one in fields(Stage)}
    given["stages"] = tuple(
        Stage(**{key: value for key, value in stage.items() if key in known}) for stage in row.stages
    )
    return Deployment(**given)


def _statistics(session: "Session", wanted: Mapping[str, str | None], since: float | None) -> Statistics:
    """The figures, in one pass over an index that holds all of it, and a short one for the median."""
    from sqlalchemy import func, select

    from klepaas.store.tables import DeploymentRow

    filters = _filters(wanted)
    if since is not None:
        filters.append(DeploymentRow.started_at >= since)
    moment = func.max(func.coalesce(DeploymentRow.ended_at, DeploymentRow.started_at))
    groups = (DeploymentRow.state, DeploymentRow.operation_type, _tenths())
    rows = session.execute(select(*groups, func.count(), moment).where(*filters).group_by(*groups)).all()
    by_state, by_type = _sum((row[0], row[3]) for row in rows), _sum((row[1], row[3]) for row in rows)
    ended = sum(by_state.values()) - by_state.get("running", 0) - by_state.get("pending", 0)
    last = {state: max(row[4] for row in rows if row[0] == state) for state in by_state}
    failures = [last[state] for state in ("failed", "rolled_back") if state in last]
    took = _sum((row[2], row[3]) for row in rows if row[0] == "succeeded" and row[2] is not None)
    return Statistics(
        total=sum(by_state.values()),
        by_state=by_state,
        by_type=by_type,
        success_rate=by_state.get("succeeded", 0) / ended if ended else None,
        median_s=_median(session, filters, took),
        last_success_at=last.get("succeeded"),
        last_failure_at=max(failures, default=None),
    )


def _tenths() -> "ColumnElement[int]":
    """A duration in tenths of a second: few groups, so that no million of durations is sorted for the middle one."""
    from sqlalchemy import BigInteger, cast

    from klepaas.store.tables import DeploymentRow

    return cast(DeploymentRow.duration_s * 10, BigInteger)


def _median(session: "Session", filters: "Sequence[ColumnElement[bool]]", took: Mapping[int, int]) -> float | None:
    """How long the middle one of those that succeeded took, in seconds. None: there is none.

    Args:
        session: The session.
        filters: Which deployments count.
        took: How many of those that succeeded took so many tenths of a second.
    """
    from sqlalchemy import select

    from klepaas.store.tables import DeploymentRow

    before, middle = 0, max(0, sum(took.values()) - 1) // 2
    for tenths, count in sorted(took.items()):
        if before + count > middle:
            duration = DeploymentRow.duration_s
            same = (DeploymentRow.state == "succeeded", _tenths() == tenths)
            found = select(duration).where(*filters, *same).order_by(duration).offset(middle - before).limit(1)
            return session.scalar(found)
        before += count
    return None


def _sum(pairs: Iterable[tuple[Key, int]]) -> dict[Key, int]:
    counts: dict[Key, int] = {}
    for word, count in pairs:
        counts[word] = counts.get(word, 0) + count
    return counts
