"""`klepaas plans` and `klepaas confirm`: shows what calls would change, and lets a person at a terminal confirm it.

A terminal proves the operating system's user and no more. `confirm` therefore asks at the controlling terminal, for a
name that stands in the change, and not in the shell of an agent that says what it is.
"""

import argparse
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from klepaas.actions import FAILED, OK, print_json, print_line
from klepaas.commands.agent_shells import find_agent
from klepaas.commands.confirmation_audit import (
    AGENT_SHELL,
    NAME_NOT_TYPED,
    NO_TERMINAL,
    NOT_OPEN,
    confirm_on_record,
    record_refusal,
)
from klepaas.commands.parser import Parser
from klepaas.errors import Conflict, Forbidden, NotFound
from klepaas.host import Host
from klepaas.output.foreign_text import clean
from klepaas.output.quoting import quote
from klepaas.plans.model import Plan, PlanState
from klepaas.plans.plan_store import PlanStore
from klepaas.plugins import Plugins
from klepaas.portability.terminals import ControllingTerminal, NoTerminal, open_terminal
from klepaas.portability.users import current_user
from klepaas.settings import Settings

__all__ = ["confirm", "fill_one", "fill_show", "list_all", "show"]

T = TypeVar("T")
_BOLD, _RED, _GREEN, _YELLOW, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def fill_one(parser: Parser) -> None:
    """The arguments of a command about one plan."""
    parser.add_argument("plan_id", metavar="ID", help="the plan, as the answer names it: plan-...")


def fill_show(parser: Parser) -> None:
    """The arguments of `plans show`."""
    fill_one(parser)
    parser.add_argument("--json", action="store_true", help="for a program")


def list_all(arguments: argparse.Namespace, settings: Settings, _: Plugins) -> int:
    """Print the plans that have not expired."""
    plans = _with_store(settings, lambda store: store.find())
    if arguments.json:
        print_json({"plans": [_as_json(plan, whole=False) for plan in plans]})
        return OK
    for plan in plans:
        print_line(f"{plan.id}  {_state(plan)}  {plan.tool} ({plan.effect})  {plan.rendering.title}")
    if not plans:
        print_line(f"There are no plans in {_place(settings)}. One counts for 10 minutes.")
    return OK


def show(arguments: argparse.Namespace, settings: Settings, _: Plugins) -> int:
    """Print a plan whole."""
    plan = _find(arguments.plan_id, settings)
    if arguments.json:
        print_json(_as_json(plan, whole=True))
        return OK if plan.trouble is None else FAILED
    sys.stdout.write(_text(plan, colour=_wants_colour()))
    return OK if plan.trouble is None else FAILED


def confirm(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Show a plan whole, ask the person at the terminal, and note in store and audit that they confirmed it."""
    agent = find_agent(os.environ)
    if agent is not None:
        note = f"this shell belongs to {agent.agent} ({agent.variable} is set)"
        _refuse(arguments.plan_id, AGENT_SHELL, note, settings, plugins)
        raise Forbidden(
            f"Nothing was confirmed: {note}, and a person confirms a change",
            next_step="Open a terminal of your own and run the command there",
        )
    try:
        with open_terminal() as terminal:
            return _confirm_at(terminal, _find(arguments.plan_id, settings), settings, plugins)
    except NoTerminal as exc:
        _refuse(arguments.plan_id, NO_TERMINAL, str(exc), settings, plugins)
        raise Forbidden(
            f"Nothing was confirmed: klepaas asks a person at a terminal, and {exc}",
            next_step="Run the command in a terminal, without a pipe or a redirection",
        ) from exc


def _confirm_at(terminal: ControllingTerminal, plan: Plan, settings: Settings, plugins: Plugins) -> int:
    try:
        _check_open(plan)
    except Conflict as exc:
        _refuse(plan.id, NOT_OPEN, exc.what, settings, plugins)
        raise
    terminal.say(_text(plan, colour=_wants_colour()))
    name = plan.rendering.name
    typed = terminal.ask(f"Type {name} to confirm this change (변경을 승인하려면 {name}을(를) 입력하세요): ")
    if typed != name:
        _refuse(plan.id, NAME_NOT_TYPED, f"what {_user()} typed is not the name that was asked for", settings, plugins)
        terminal.say("Nothing was confirmed; the plan is as before.\n")
        return FAILED
    by = _user()
    confirmed = _with_host(settings, lambda host: confirm_on_record(plan, by, host, plugins))
    if confirmed is None:
        raise Conflict(f"{plan.id} is not open any more, so it was not confirmed", next_step=_ask_again(plan))
    terminal.say(
        f"Confirmed by {by}. It is not made yet: have {plan.tool} called again with the same arguments within "
        f"{_minutes(confirmed.expires_in_s)}. It is then made once, if nothing that it rests on has changed.\n"
    )
    return OK


def _check_open(plan: Plan) -> None:
    if plan.trouble is not None:
        raise Conflict(f"{plan.id} cannot be confirmed: {plan.trouble}", next_step=_ask_again(plan))
    if plan.state is not PlanState.OPEN:
        raise Conflict(f"{plan.id} cannot be confirmed: it is {plan.state.value}", next_step=_ask_again(plan))
    if plan.expires_in_s <= 0:
        raise Conflict(f"{plan.id} has expired: a plan counts for 10 minutes", next_step=_ask_again(plan))


def _ask_again(plan: Plan) -> str:
    return f"Have {plan.tool} called again for a new plan" if plan.trouble is None else "Have the tool called again"


def _find(plan_id: str, settings: Settings) -> Plan:
    plan = _with_store(settings, lambda store: store.get(plan_id))
    if plan is None:
        raise NotFound(
            f"There is no plan {quote(plan_id, 40)} in {_place(settings)}",
            next_step="A plan is forgotten after 10 minutes; where the client starts klepaas with KLEPAAS_STATE_DIR, "
            "KLEPAAS_DATABASE_URL or KLEPAAS_CONFIG, set the same here",
        )
    return plan


def _refuse(plan_id: str, reason: str, note: str, settings: Settings, plugins: Plugins) -> None:
    """Note in the audit that nothing was confirmed, and why."""
    _with_host(settings, lambda host: record_refusal(plan_id, reason, note, host, plugins))


def _with_store(settings: Settings, ask: Callable[[PlanStore], Awaitable[T]]) -> T:
    return _with_host(settings, lambda host: ask(PlanStore.of(host)))


def _with_host(settings: Settings, ask: Callable[[Host], Awaitable[T]]) -> T:
    async def run() -> T:
        host = Host(settings)
        try:
            return await ask(host)
        finally:
            await host.aclose()

    return anyio.run(run)


def _place(settings: Settings) -> str:
    return "the database of KLEPAAS_DATABASE_URL" if settings.database_url else str(settings.state_dir)


def _user() -> str:
    name, uid = current_user()
    return name if uid is None else f"{name} (uid {uid})"


def _as_json(plan: Plan, *, whole: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "id": plan.id,
        "state": plan.state.value,
        "tool": plan.tool,
        "effect": plan.effect,
        "title": plan.rendering.title,
        "requested_by": plan.requester,
        "created_at": _utc(plan.created_at),
        "expires_at": _utc(plan.expires_at),
        "confirmed_by": plan.confirmed_by,
        "confirmed_at": None if plan.confirmed_at is None else _utc(plan.confirmed_at),
        "trouble": plan.trouble,
    }
    if whole:
        facts |= {
            "digest": plan.content_digest,
            "targets": list(plan.rendering.targets),
            "risks": list(plan.rendering.risks),
            "lines": list(plan.rendering.lines),
        }
    return facts


def _state(plan: Plan) -> str:
    if plan.trouble is not None:
        return "unusable"
    return plan.state.value if plan.expires_in_s > 0 else "expired"


def _text(plan: Plan, *, colour: bool) -> str:
    """The plan for people, clean but for our own colours."""
    if plan.trouble is not None:
        return clean(f"{plan.id}: {plan.trouble}.") + "\n"
    left = f", for {_minutes(plan.expires_in_s)}" if plan.expires_in_s > 0 else ""
    head = [
        f"Plan:     {plan.id} ({_state(plan)}{left})",
        f"Tool:     {plan.tool} ({plan.effect})",
        *(f"Target:   {target}" for target in plan.rendering.targets),
        f"Asked by: {plan.requester}",
        *([f"Confirmed at a terminal by {plan.confirmed_by}"] if plan.confirmed_by else []),
        f"Digest:   {plan.content_digest[:16]}",
        f"{plan.rendering.title}:",
    ]
    lines = [clean(line) for line in head] + [_coloured(clean(line), colour) for line in plan.rendering.lines]
    return "\n".join(lines) + "\n"


def _coloured(line: str, colour: bool) -> str:
    shown = f"  {line}"
    if not colour:
        return shown
    text = line.strip()
    if text.startswith("! "):
        return f"{_BOLD}{_RED}{shown}{_RESET}"
    if text.startswith(("delete ", "-")) or text.endswith("(removed)"):
        return f"{_RED}{shown}{_RESET}"
    if text.startswith(("create ", "+")):
        return f"{_GREEN}{shown}{_RESET}"
    return f"{_YELLOW}{shown}{_RESET}" if " -> " in text else shown


def _wants_colour() -> bool:
    """Whether standard output shows colours, and nobody said that they do not want any (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
