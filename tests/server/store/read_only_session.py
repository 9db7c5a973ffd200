"""Tool sessions of a klepaas whose state folder cannot be written, in a process of its own: prints the answers."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio

from klepaas.changes import ChangeSet
from klepaas.hookspecs import hookimpl
from klepaas.observability import configure_logging
from klepaas.settings import LogLevel
from klepaas.store import Store
from klepaas.testing import ERAS, Era, app_with, client
from klepaas.tools import Effect, Tool
from klepaas_plugins.operations import plugin


async def thing_change() -> str:
    """Change the thing."""
    return "changed"


async def plan_thing() -> ChangeSet:
    return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    yield Tool(thing_change, Effect.WRITE, title="Change", toolset="test", plan=plan_thing)


async def answers_in(folder: Path, operation_id: str, eras: Iterable[Era] = ERAS) -> list[dict[str, Any]]:
    """What sessions of each era are answered that read operations or change something, and how the store is."""
    found: list[dict[str, Any]] = []
    for era in eras:
        settings = {"mode": "writes", "state_dir": str(folder)}
        async with app_with(plugin, klepaas_tools, settings=settings) as app, client(app, era) as session:
            said = {
                "list": await session.call("get_operation"),
                "one": await session.call("get_operation", operation_id=operation_id),
                "cancel": await session.call("cancel_operation", operation_id=operation_id),
                "change": await session.call("thing_change"),
            }
            findings = [[one.level.value, one.summary, one.repair] for one in await Store.of(app.host).examine()]
        texts = {name: [one.is_error, one.code, one.text] for name, one in said.items()}
        found.append({**texts, "findings": findings})
    return found


async def main(*words: str) -> None:
    operation_id, *folders = words
    configure_logging(LogLevel.INFO)
    whole, *others = map(Path, folders)
    found = {whole.name: await answers_in(whole, operation_id)}
    found |= {folder.name: await answers_in(folder, operation_id, ERAS[-1:]) for folder in others}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
