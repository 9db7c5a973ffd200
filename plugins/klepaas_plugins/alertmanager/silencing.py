"""Making and ending silences: what a silence may be, what it would hide, and what it hides then.

Whether a person has to confirm it is the gate's affair; who asked stands in the silence as its creator.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from klepaas.changes import Action, ChangeSet
from klepaas.errors import Conflict
from klepaas.host import Host
from klepaas.observability import one_line, safe_text
from klepaas.output import Answer
from klepaas.output.safe import limit_length
from klepaas.principals import current_principal
from klepaas.tools import Target
from klepaas_plugins.alertmanager.client import AlertmanagerServer
from klepaas_plugins.alertmanager.matchers import Matcher, note_on_namespaces, specific

__all__ = ["DURATION_MAX_MIN", "create", "end", "plan_creation", "plan_end", "targets_of"]

# A week: what is to be hidden for longer is a rule that should be changed.
DURATION_MAX_MIN = 7 * 24 * 60
_MOST_NAMED = 10


async def create(
    host: Host, server: AlertmanagerServer, texts: Sequence[str], duration_min: int, comment: str
) -> Answer:
    """Make a silence that begins now.

    Args:
        host: The server's settings and shared services.
        server: Where.
        texts: Its matchers.
        duration_min: For how long, in minutes.
        comment: Why.

    Raises:
        BadRequest: The matchers name nothing, or the server does not accept them.
    """
    matchers = specific(texts)
    hidden = await _hidden(host, server, matchers)
    now = datetime.now(UTC)
    ends_at = now + timedelta(minutes=duration_min)
    body: dict[str, Any] = {
        "matchers": [one.body for one in matchers],
        "startsAt": now.isoformat(),
        "endsAt": ends_at.isoformat(),
        "createdBy": one_line(f"{current_principal().text}, through klepaas", 200),
        "comment": safe_text(comment),
    }
    silence_id = await server.create(body)
    until = ends_at.strftime("%Y-%m-%d %H:%M UTC")
    text = f"Silenced {_words(matchers)} in {server.name} until {until}: silence {silence_id}. {hidden}"
    return Answer(text)


async def plan_creation(
    host: Host, server: AlertmanagerServer, texts: Sequence[str], duration_min: int, comment: str
) -> ChangeSet:
    """What a silence would hide.

    Raises:
        BadRequest: The matchers name nothing, or the server does not accept them.
    """
    matchers = specific(texts)
    return ChangeSet.of_action(
        f"Silencing alerts in {server.name}",
        kind="silence",
        name=", ".join(one.text for one in matchers),
        action=Action.CREATE,
        context=server.name,
        facts=(
            ("duration", f"{duration_min} minutes"),
            ("comment", comment),
            ("alerts", await _hidden(host, server, matchers)),
        ),
    )


async def end(server: AlertmanagerServer, silence_id: str) -> Answer:
    """End a silence now.

    Raises:
        NotFound: There is none of that ID.
        Conflict: It has ended already.
    """
    silence = await server.silence(silence_id)
    if silence.state == "expired":
        raise Conflict(f"The silence {silence_id} has expired already")
    await server.expire(silence_id)
    text = (
        f"The silence {silence_id} ({_words(silence.matchers)}) in {server.name} has ended; its alerts are told again."
    )
    return Answer(text)


async def plan_end(server: AlertmanagerServer, silence_id: str) -> ChangeSet:
    """What would be told again.

    Raises:
        NotFound: There is none of that ID.
    """
    silence = await server.silence(silence_id)
    return ChangeSet.of_action(
        f"Ending a silence in {server.name}",
        kind="silence",
        name=silence_id,
        context=server.name,
        facts=(("state", "expired"), ("matchers", _words(silence.matchers)), ("made by", silence.created_by)),
    )


def targets_of(server: str, arguments: Mapping[str, Any]) -> Sequence[Target]:
    """What a call changes."""
    name = arguments.get("silence_id") or ", ".join(arguments.get("matchers") or [])
    return (Target(context=server, kind="silence", name=limit_length(str(name), 400)),)


async def _hidden(host: Host, server: AlertmanagerServer, matchers: Sequence[Matcher]) -> str:
    """The alerts of now that a silence hides, in one sentence."""
    rows = await server.alerts(matchers)
    count = rows.hidden
    hidden = f" {count} alerts were not compared: a label that it names has a hidden value there." if count else ""
    if not rows.items:
        note = await note_on_namespaces(host, matchers)
        return f"No alert of now fits it.{hidden}{f' {note}' if note else ''}"
    named = list(dict.fromkeys(one_line(one.name, 100) for one in rows.items))
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return f"It fits {len(rows.items)} of the alerts of now: {', '.join(sorted(named)[:_MOST_NAMED])}{more}.{hidden}"


def _words(matchers: Sequence[Matcher]) -> str:
    return ", ".join(one.text for one in matchers)
