"""`klepaas providers list | trust | forget`: what a person says about external servers, in files that servers watch.

Nothing is connected: the last list that a running klepaas has seen is what there is to look at. Whatever a server wrote
is shown with every character that is not ASCII spelled out.
"""

import sys
from pathlib import Path

from klepaas.actions import print_json, print_line
from klepaas.app import create_app
from klepaas.errors import NotFound
from klepaas.external.definitions import Definition
from klepaas.external.externals import FOLDER, Externals
from klepaas.external.guarded import Guarded
from klepaas.external.trust import Standing, TrustStore
from klepaas.output.foreign_text import clean
from klepaas.output.line_diff import changed_lines
from klepaas.output.quoting import quote
from klepaas.output.safe import limit_length, shorten
from klepaas.output.verdict import nothing_changed
from klepaas.plugins import Plugins
from klepaas.settings import Settings
from klepaas_providers.providers.standing import age, tool_warnings

__all__ = ["forget", "show", "trust"]

OK, FAILED = 0, 1


def show(*, as_json: bool) -> int:
    """Print the servers and how their tools stand.

    Args:
        as_json: Whether a program reads it.
    """
    externals, _ = _externals()
    rows = [_row(server) for server in externals.servers]
    if as_json:
        print_json({"providers": rows})
        return OK
    if not rows:
        print_line("no external MCP server is configured")
    for server, row in zip(externals.servers, rows, strict=True):
        seen = f"listed {age(server.list_age_s)} ago" if server.listing else "never listed yet"
        print_line(f"{row['name']}  {row['kind']}  {len(server.offers)} tools, {seen}")
        if server.provider.problem:
            print_line(f"    cannot be used: {server.provider.problem}")
        for offer in server.offers.values():
            mark = "" if offer.open else f"  {offer.standing.value.upper()}: closed"
            print_line(f"    {offer.name}  {offer.rule.effect.value}{'  listed' if offer.listed else ''}{mark}")
        for warning in tool_warnings(server):
            print_line(f"    warning: {warning}")
    return OK


def trust(name: str, tool: str | None, *, yes: bool) -> int:
    """Show what is not trusted of a server, ask, and trust it.

    Args:
        name: The server.
        tool: The server's own name of one tool. None: all that are not trusted.
        yes: Whether the person has said so already.
    """
    server, store = _server(name)
    waiting = [
        definition
        for definition in (server.listing.definitions.values() if server.listing else ())
        if server.trust.standing(definition) is not Standing.TRUSTED and tool in (None, definition.name)
    ]
    if not waiting:
        print_line(
            f"nothing of {name} waits to be trusted" if tool is None else f"{quote(tool)} of {name} does not wait"
        )
        return OK
    for definition in waiting:
        print_line("\n".join(_difference(server, definition)))
    if not yes and not _agreed(f"Trust {len(waiting)} tools of {name} as they are now?"):
        print_line(nothing_changed("the answer was no"))
        return FAILED
    store.add(waiting, by_person=True)
    print_line(f"trusted: {', '.join(limit_length(definition.name, 64) for definition in waiting)}")
    return OK


def forget(name: str, tool: str | None) -> int:
    """Trust a server, or one of its tools, no more.

    Args:
        name: The server.
        tool: The server's own name of one tool. None: all.
    """
    _, store = _server(name)
    gone = store.forget(None if tool is None else [tool])
    print_line(f"forgot {len(gone)} tools of {name}" if gone else f"nothing of {name} was trusted")
    return OK


def _externals() -> tuple[Externals, Path]:
    settings = Settings()
    app = create_app(settings, Plugins(settings))
    return app.externals, settings.state_dir / FOLDER


def _server(name: str) -> tuple[Guarded, TrustStore]:
    externals, folder = _externals()
    server = externals.server(name)
    if server is None:
        known = ", ".join(one.provider.name for one in externals.servers)
        raise NotFound(f"There is no provider {quote(name)}", next_step=f"There are: {known}" if known else None)
    return server, TrustStore(folder, server.provider.key)


def _difference(server: Guarded, definition: Definition) -> list[str]:
    """What changed in a tool since it was trusted, line by line; all of it where it is new."""
    before = server.trust.definitions.get(definition.name)
    lines = changed_lines(before.pretty if before else "", definition.pretty, context_lines=2)
    return [f"== {quote(definition.name)} of {server.provider.name}", *(shorten(line, 2000) for line in lines)]


def _row(server: Guarded) -> dict[str, object]:
    return {
        "name": server.provider.name,
        "kind": server.provider.kind,
        "prefix": server.provider.prefix,
        "problem": server.provider.problem,
        "list_age_s": server.list_age_s,
        "warnings": tool_warnings(server),
        "tools": [
            {
                "name": offer.name,
                "upstream": offer.definition.name,
                "effect": offer.rule.effect.value,
                "listed": offer.listed,
                "standing": offer.standing.value,
                "digest": offer.definition.digest,
            }
            for offer in server.offers.values()
        ],
    }


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        print_line("there is no terminal to ask at; --yes trusts without asking")
        return False
    sys.stdout.write(clean(f"{question} [y/N] "))
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
