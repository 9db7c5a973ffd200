"""Tells whoever wants to know how a change went; only what has come to an end after something was changed is told.

A change that was refused before anything was stored is nobody's news but the caller's.
"""

from klepaas.notifications import Notification, Notifications
from klepaas.operations import Outcome, State
from klepaas.output.verdict import Claim, says

__all__ = ["DEPLOYED", "FAILED", "ROLLED_BACK", "tell"]

DEPLOYED, ROLLED_BACK, FAILED = "deployment_succeeded", "deployment_rolled_back", "deployment_failed"
_NEWS = {"deploy": DEPLOYED, "rollback": ROLLED_BACK}


def tell(notifications: Notifications, kind: str, outcome: Outcome) -> None:
    """Tell how an operation ended.

    Args:
        notifications: Who is told.
        kind: The operation's kind.
        outcome: How it ended.
    """
    facts, error = dict(outcome.facts), outcome.error or {}
    # Whoever reads rate limits and refused credentials may sit in another channel.
    facts |= {"code": error["code"]} if "code" in error else {}
    title = str(error.get("what") or outcome.text.partition("\n")[0])
    if outcome.state is State.SUCCEEDED and kind in _NEWS and says(facts.get("state"), Claim.HEALTHY):
        notifications.send(Notification(_NEWS[kind], title, outcome.text, facts))
    elif outcome.state in (State.FAILED, State.ROLLED_BACK) and "state" in facts:
        notifications.send(Notification(FAILED, title, outcome.text, facts))
