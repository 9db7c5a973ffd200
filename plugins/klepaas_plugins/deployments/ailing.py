"""Why workloads are not healthy, in a few words each, for lists.

That something is ill shows in the workload alone; the reason stands in its pods. These are read only for the ill, and
for a bounded number of them, so that a list stays cheap.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from klepaas.output.verdict import Verdict
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.objects import condition, counted, message_line, one_line
from klepaas_plugins.deployments.rollout import Phase, decide, phase, with_waits
from klepaas_plugins.deployments.together import if_allowed, together
from klepaas_plugins.deployments.watching import Target, look
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["ILL", "Diagnosis", "diagnose", "seen_verdict"]

ILL = (Phase.FAILED, Phase.DEGRADED, Phase.ROLLING_OUT)
_ORDER = (Phase.FAILED, Phase.DEGRADED, Phase.ROLLING_OUT, Phase.READY, Phase.STOPPED)
_MOST = 12


@dataclass(frozen=True)
class Diagnosis:
    """How a workload is.

    Attributes:
        workload: The workload.
        phase: Its state, with what its pods tell where they were read.
        why: The cause in a few words, or empty.
    """

    workload: Workload
    phase: Phase
    why: str = ""

    @property
    def state(self) -> str:
        """The state as an answer says it."""
        return self.phase.words(Verdict(observed=(f"status of {self.workload.title}",)))

    @property
    def words(self) -> str:
        """State and cause."""
        return f"{self.state}: {self.why}" if self.why else self.state


async def diagnose(cluster: Cluster, found: Iterable[Workload], grace_s: float) -> list[Diagnosis]:
    """How these workloads are, the unhealthy first.

    Args:
        cluster: Where they are.
        found: The workloads.
        grace_s: Seconds without a node after which a pod counts as unschedulable.
    """
    first = sorted((Diagnosis(item, item.phase) for item in found), key=_rank)
    ill = [one for one in first if one.phase in ILL]
    seen = await together(*(partial(_examine, cluster, one, grace_s) for one in ill[:_MOST]))
    return sorted([*seen, *(_by_itself(one) for one in ill[_MOST:]), *first[len(ill) :]], key=_rank)


def seen_verdict(found: Sequence[Diagnosis], *, seen: tuple[str, ...] = (), unseen: tuple[str, ...] = ()) -> Verdict:
    """What a list of applications has looked at.

    Args:
        found: The workloads.
        seen: What else was looked at.
        unseen: What could not be looked at.
    """
    if not found:
        return Verdict(observed=(), not_checked=unseen)
    own = (f"status of {counted(len(found), 'workload')}",)
    return Verdict(observed=(*own, *seen), not_checked=(*unseen, "requests from outside the cluster"))


def _rank(one: Diagnosis) -> tuple[int, str, str, str]:
    item = one.workload
    return _ORDER.index(one.phase), item.namespace, item.application, item.name


async def _examine(cluster: Cluster, one: Diagnosis, grace_s: float) -> Diagnosis:
    """The workload with its pods; without them where they may not be read."""

    async def read() -> Diagnosis | None:
        target = Target.of(one.workload.kind, one.workload.item)
        snapshot = with_waits(await look(cluster, target, grace_s, one.workload.item), datetime.now(UTC))
        cause = decide(snapshot).cause
        if cause is None:
            return Diagnosis(one.workload, phase(snapshot))
        code = f" (exit code {cause.exit_code})" if cause.exit_code is not None else ""
        message = f", {one_line(cause.message, 80)}" if cause.message and cause.exit_code is None else ""
        return Diagnosis(one.workload, phase(snapshot), f"{cause.reason}{code}{message}")

    return await if_allowed(read, None) or _by_itself(one)


def _by_itself(one: Diagnosis) -> Diagnosis:
    """What the workload's own conditions tell."""
    failure, late = condition(one.workload.item, "ReplicaFailure"), condition(one.workload.item, "Progressing")
    if failure.get("status") == "True":
        return Diagnosis(one.workload, one.phase, message_line(failure.get("message"), 120))
    return Diagnosis(one.workload, one.phase, str(late.get("reason", "")) if late.get("status") == "False" else "")
