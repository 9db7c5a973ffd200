"""How an operation under way is described, for status: what it is, what it waits for and what stays meanwhile."""

from klepaas_plugins.deployments.executor.decisions import Decision, Wait
from klepaas_plugins.deployments.executor.intent import Intent, Phase

__all__ = ["describe_state"]


def describe_state(intent: Intent, decision: Decision) -> str:
    """An operation under way, on one line.

    Args:
        intent: What it wants.
        decision: What was decided last.
    """
    if intent.phase is Phase.RESTORE:
        what = f"going back to {intent.restore_target.title if intent.restore_target else 'what was there before'}"
    else:
        what = "first deployment" if intent.is_first and intent.verb == "deploy" else intent.verb
    parts = [f"{what} under way"]
    if isinstance(decision, Wait):
        parts.append(f"waits for {decision.reason.value}: {decision.text}")
        parts += decision.stays
    return "; ".join(parts)
