"""What `klepaas confirm` leaves in the audit: who confirmed which plan at a terminal, and what was refused there."""

from dataclasses import replace

from klepaas.audit import Audit, Change
from klepaas.audit_sinks import collect_sinks
from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.plans.handles import is_handle
from klepaas.plans.model import Plan
from klepaas.plans.plan_store import PlanStore
from klepaas.plugins import Plugins
from klepaas.principals import process_principal
from klepaas.tools import Target

__all__ = ["AGENT_SHELL", "COMMAND", "NAME_NOT_TYPED", "NOT_OPEN", "NO_TERMINAL", "confirm_on_record", "record_refusal"]

# How records name the command, where those of a call name its tool.
COMMAND = "klepaas confirm"
# Why nothing was confirmed, in one word.
AGENT_SHELL, NO_TERMINAL, NAME_NOT_TYPED, NOT_OPEN = "agent_shell", "no_terminal", "name_not_typed", "not_open"


async def confirm_on_record(plan: Plan, by: str, host: Host, plugins: Plugins) -> Plan | None:
    """Note in the audit that a person confirms a plan, then in the store, then in the audit how that went.

    Args:
        plan: The plan that was shown to them.
        by: The operating system's user.
        host: The settings and shared services.
        plugins: Their sinks are told too.

    Returns:
        The plan as it is now. None: it is not open any more.

    Raises:
        Unavailable: The audit does not take it, so it is not confirmed; or the store cannot be written.
    """
    audit, change = Audit(collect_sinks(plugins, host)), _change(plan.id, plan)
    note = f"confirmed at a terminal by {by}, plan {plan.id}, digest {plan.content_digest[:16]}"
    await audit.announce(change, "terminal", note)
    try:
        confirmed = await PlanStore.of(host).confirm(plan, by)
    except KlepaasError as exc:
        await audit.conclude(change, "error", exc.code)
        raise
    if confirmed is None:
        await audit.conclude(change, "error", "conflict", "the plan was not open any more")
    else:
        await audit.conclude(change, "ok")
    return confirmed


async def record_refusal(plan_id: str, reason: str, note: str, host: Host, plugins: Plugins) -> None:
    """Note in the audit that a plan was to be confirmed and was not; that it cannot be noted is logged.

    Args:
        plan_id: The plan, as it was given. What is no handle is no plan, and leaves nothing.
        reason: Why, in one word.
        note: What the word does not say, one sentence.
        host: The settings and shared services.
        plugins: Their sinks are told too.
    """
    if not is_handle(plan_id):
        return
    try:
        plan = await PlanStore.of(host).get(plan_id)
    except KlepaasError:
        plan = None
    await Audit(collect_sinks(plugins, host)).refused(_change(plan_id, plan), reason, note)


def _change(plan_id: str, plan: Plan | None) -> Change:
    """The confirmation as a record names it. A plan that is not there, or cannot be read, has its id alone."""
    known = plan if plan is not None and plan.trouble is None else None
    arguments = {"plan_id": plan_id}
    if known is not None:
        arguments |= {"tool": known.tool, "title": known.rendering.title, "digest": known.content_digest}
    return Change(
        principal=replace(process_principal(), transport="terminal"),
        tool=COMMAND,
        effect=known.effect if known is not None else "destructive",
        targets=(Target(None, None, "plan", plan_id),),
        arguments=arguments,
        arguments_digest=known.content_digest if known is not None else "",
    )
