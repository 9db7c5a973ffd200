"""What is kept of a change after its end: its row in the history with its stages, how it was scaled, where it answers.

It is told afterwards and decides nothing: that it cannot be written is logged, and the change is as it is.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.operations import Outcome, State
from klepaas.store.applications import ApplicationKey, Applications, Scaling
from klepaas.store.history import Deployment, History, Stage
from klepaas.store.identities import Identities
from klepaas_plugins.deployments.objects import one_line
from klepaas_plugins.deployments.place import Place

if TYPE_CHECKING:
    from klepaas.operations import Operation, Run

__all__ = ["keep"]

log = logging.getLogger(__name__)
_MESSAGE_CHARS = 500


async def keep(host: Host, place: Place, run: "Run", outcome: Outcome, url: str | None = None) -> None:
    """Keep what is to be kept of a change that has ended; the same again where it is told twice.

    Args:
        host: The settings and shared services.
        place: Where the application is.
        run: The operation.
        outcome: How it ended.
        url: The address that people use for the application. None: it stays as it is.
    """
    operation, notes = run.operation, run.notes
    try:
        # Its cluster may have been seen under another name since it began.
        cluster = (await Identities.of(host).group([operation.target.rsplit("/", 2)[0]]))[0]
        key = ApplicationKey(cluster, place.namespace, place.app_name)
        if url is not None and outcome.state is State.SUCCEEDED:
            await Applications.of(host).set_address(key, url, operation.principal.name)
        if not (notes.get("change") or {}).get("stored"):
            return
        replicas = operation.request.get("replicas")
        if operation.kind == "scale" and outcome.state is State.SUCCEEDED and replicas is not None:
            scaling = Scaling(int(replicas), time.time(), operation.principal.name)
            await Applications.of(host).scaled(key, scaling)
        await History.of(host).put(_row(place, key, operation, notes, outcome, url))
    except KlepaasError as exc:
        log.warning("the history of %s lacks %s: %s", place.text, operation.id, exc.line)


def _row(
    place: Place,
    key: ApplicationKey,
    operation: "Operation",
    notes: Mapping[str, Any],
    outcome: Outcome,
    url: str | None,
) -> Deployment:
    facts, failure = outcome.facts, notes.get("failure")
    image, now = str(facts.get("image") or ""), time.time()
    name, tag, digest = _parts(image)
    went_back = outcome.state is State.ROLLED_BACK or (outcome.state is State.CANCELLED and "release" in facts)
    restored = facts.get("release") if went_back else facts.get("restored_release")
    workloads = notes.get("workloads") or [["", ""]]
    stages = _stages(notes, outcome, now)
    return Deployment(
        operation.id,
        operation.kind,
        str(outcome.state),
        key.cluster,
        key.namespace,
        key.application,
        operation.principal.name,
        operation.created_at,
        now,
        context=place.cluster.context,
        workload=" ".join(workloads[0]).strip().lower() or None,
        image=image or None,
        image_name=name or None,
        image_tag=tag or None,
        image_digest=digest or None,
        replicas=facts.get("replicas"),
        previous_replicas=facts.get("previous_replicas"),
        release=notes.get("release") or None,
        rollback_from_release=(notes.get("release") or None) if went_back else notes.get("baseline"),
        rollback_to_release=restored,
        is_rollback=went_back or operation.kind == "rollback",
        automatic=went_back,
        url=url,
        stages=stages,
        error_stage=next((stage.name for stage in stages if stage.state == "failed"), None),
        error_message=one_line(str(failure["what"]), _MESSAGE_CHARS) if failure else None,
    )  # fmt: skip


def _parts(image: str) -> tuple[str, str, str]:
    """An image's name, tag and digest."""
    reference, _, digest = image.partition("@")
    head, _, tag = reference.rpartition(":")
    return (head, tag, digest) if head and "/" not in tag else (reference, "", digest)


def _stages(notes: Mapping[str, Any], outcome: Outcome, now: float) -> list[Stage]:
    """Applying, verifying and going back, as far as it came."""
    began, applied, decided = (notes.get(name) for name in ("began_at", "applied_at", "decided_at"))
    failed = "failure" in notes
    half = failed and applied is None
    found = [_stage("apply", "failed" if half else "succeeded", began, applied or decided or now)]
    if applied is not None:
        found.append(_stage("verify", "failed" if failed else "succeeded", applied, decided or now))
    if decided is not None and outcome.state in (State.ROLLED_BACK, State.CANCELLED):
        found.append(_stage("roll back", "succeeded", decided, now))
    elif outcome.facts.get("rollback_failed"):
        found.append(_stage("roll back", "failed", decided, now))
    return found


def _stage(name: str, state: str, began: float | None, ended: float) -> Stage:
    return Stage(name, state, began, None if began is None else max(0.0, ended - began))
