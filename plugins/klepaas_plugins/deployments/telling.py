"""Tells whoever wants to know how a deployment or a rollback went; only what has come to an end is told.

A change that was refused before anything was stored is nobody's news but the caller's.
"""

from collections.abc import Awaitable

from klepaas.errors import KlepaasError
from klepaas.notifications import Notification, Notifications
from klepaas.output import Answer
from klepaas_plugins.deployments.rollout import Phase

__all__ = ["DEPLOYED", "FAILED", "ROLLED_BACK", "told"]

DEPLOYED, ROLLED_BACK, FAILED = "deployment_succeeded", "deployment_rolled_back", "deployment_failed"


async def told(notifications: Notifications, kind: str, work: Awaitable[Answer]) -> Answer:
    """Do the work, tell how it went, and answer as it does.

    Args:
        notifications: Who is told.
        kind: What it is when it went well.
        work: Deploys or rolls back.

    Raises:
        KlepaasError: The work's own.
    """
    try:
        answer = await work
    except KlepaasError as exc:
        facts = exc.structured()
        if facts.get("state") == "failed":
            notifications.send(Notification(FAILED, exc.what, exc.text, facts))
        raise
    facts = dict(answer.facts or {})
    if facts.get("state") == Phase.HEALTHY:
        notifications.send(Notification(kind, answer.text.partition("\n")[0], answer.text, facts))
    return answer
