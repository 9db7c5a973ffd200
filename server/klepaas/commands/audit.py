"""`klepaas audit`: shows what was changed, exports the records, and says whether the files are whole.

It reads the files of this user's state folder; what plugins' audit sinks keep elsewhere is not seen.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from klepaas.actions import FAILED, OK, print_json, print_line
from klepaas.audit_reading import Change, Line, Weight, changes_of, damages_of, lines_of
from klepaas.errors import BadRequest
from klepaas.observability import one_line, say
from klepaas.plugins import Plugins
from klepaas.settings import Settings

__all__ = ["export", "fill_export", "fill_show", "show", "verify"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DEFAULT_LIMIT = 50
_OUTCOMES = ("ok", "error", "cancelled", "refused", "unfinished")


def fill_show(parser: argparse.ArgumentParser) -> None:
    """The arguments of `audit show`."""
    _add_times(parser)
    parser.add_argument("--tool", help="only changes by this tool")
    parser.add_argument("--principal", metavar="NAME", help="only changes on behalf of this user")
    parser.add_argument("--target", metavar="TEXT", help="only changes of what has this in its name, as prod/shop/web")
    parser.add_argument(
        "--outcome", metavar="OUTCOME", choices=_OUTCOMES, help="only ok, error, cancelled, refused or unfinished ones"
    )
    parser.add_argument("--limit", type=int, default=_DEFAULT_LIMIT, help="show the last so many (default: 50; 0: all)")
    parser.add_argument("--json", action="store_true", help="for a program, with the arguments of each")


def fill_export(parser: argparse.ArgumentParser) -> None:
    """The arguments of `audit export`."""
    _add_times(parser)


def _add_times(parser: argparse.ArgumentParser) -> None:
    when = "a date (2026-11-21), a time (2026-11-21T13:00, UTC unless it says otherwise), or 30m, 2h, 7d ago"
    parser.add_argument("--since", metavar="WHEN", help=f"only what was later: {when}")
    parser.add_argument("--until", metavar="WHEN", help="only what was earlier")


def show(arguments: argparse.Namespace, settings: Settings, _: Plugins) -> int:
    """Print the changes, newest last."""
    changes = [change for change in changes_of(_read(arguments, settings)) if _fits(change, arguments)]
    shown = changes[-arguments.limit :] if arguments.limit > 0 else changes
    if arguments.json:
        print_json({"changes": [change.as_json() for change in shown], "found": len(changes)})
        return OK
    for change in shown:
        print_line(_in_words(change))
    if len(shown) < len(changes):
        print_line(f"{len(changes) - len(shown)} earlier ones are not shown: --limit 0 shows all")
    if not changes:
        print_line(f"No change is on record in {settings.state_dir}{' that fits' if _filtered(arguments) else ''}.")
    return OK


def export(arguments: argparse.Namespace, settings: Settings, _: Plugins) -> int:
    """Print the records as JSON lines, oldest first; what is damaged is told on stderr and makes the command fail."""
    damaged = 0
    for line in _lines(arguments, settings):
        if line.record is None:
            damaged += 1
        else:
            print_json(line.record, indent=None)
    if damaged:
        say(f"klepaas: {damaged} damaged lines are left out; `klepaas audit verify` names them", "error")
    return FAILED if damaged else OK


def verify(arguments: argparse.Namespace, settings: Settings, _: Plugins) -> int:
    """Say whether the files are whole; the exit code says it too."""
    damages = damages_of(settings.state_dir)
    errors = [damage for damage in damages if damage.weight is Weight.ERROR]
    records = sum(1 for line in lines_of(settings.state_dir) if line.record is not None)
    if arguments.json:
        found = [{"weight": item.weight.value, "text": one_line(item.text), "repair": item.repair} for item in damages]
        print_json({"whole": not errors, "records": records, "findings": found})
        return FAILED if errors else OK
    for damage in damages:
        print_line(f"{damage.weight.value:<8} {one_line(damage.text)}{f'; {damage.repair}' if damage.repair else ''}")
    state = "damaged" if errors else "whole"
    print_line(
        f"{records} records in {settings.state_dir}: {state}. That nobody has edited them cannot be told from them."
    )
    return FAILED if errors else OK


def _read(arguments: argparse.Namespace, settings: Settings) -> Iterator[Line]:
    """The records of the time that is asked for; that some are damaged is said."""
    damaged = 0
    for line in _lines(arguments, settings):
        damaged += line.record is None
        yield line
    if damaged:
        say(f"klepaas: {damaged} lines of the audit are damaged; `klepaas audit verify` names them", "warning")


def _lines(arguments: argparse.Namespace, settings: Settings) -> Iterable[Line]:
    since, until = _when(arguments.since), _when(arguments.until)
    for line in lines_of(settings.state_dir):
        in_time = line.record is None or ((not since or line.time >= since) and (not until or line.time < until))
        if in_time:
            yield line


def _when(text: str | None) -> datetime | None:
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        hint = "Write 2026-11-21, 2026-11-21T13:00, 30m, 2h or 7d"
        raise BadRequest(f"{one_line(text, 40)!r} is no time", next_step=hint) from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _filtered(arguments: argparse.Namespace) -> bool:
    names = ("since", "until", "tool", "principal", "target", "outcome")
    return any(getattr(arguments, name) for name in names)


def _fits(change: Change, arguments: argparse.Namespace) -> bool:
    first = change.first
    if arguments.outcome and change.outcome.partition(":")[0] != arguments.outcome:
        return False
    if arguments.tool and first["tool"] != arguments.tool:
        return False
    if arguments.principal and first["principal"].get("name") != arguments.principal:
        return False
    return not arguments.target or any(arguments.target in _target(target) for target in first.get("targets", ()))


def _in_words(change: Change) -> str:
    first = change.first
    targets = ", ".join(_target(target) for target in first.get("targets", ())) or "-"
    why = change.note or change.code
    ending = change.outcome + (f" ({why})" if why else "")
    let = f", {_confirmation(change)}" if change.confirmed not in (None, "auto") else ""
    who = first["principal"].get("name", "-")
    return "  ".join(one_line(str(part)) for part in (_utc(first["time"]), who, first["tool"], targets, ending + let))


def _confirmation(change: Change) -> str:
    return change.confirmation or f"confirmed by {str(change.confirmed).replace('_', ' ')}"


def _utc(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _target(target: Mapping[str, Any]) -> str:
    return "/".join(str(target[part]) for part in ("context", "namespace", "kind", "name") if target.get(part))
