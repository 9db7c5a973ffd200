"""A plugin whose tools change a little world, declared in every way that a confirmation must deal with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import anyio

from klepaas import names
from klepaas.changes import (
    Action,
    ChangeSet,
    FieldChange,
    ObjectChange,
    ObjectIdentity,
    RaisedEffect,
    Risk,
    current_change_set,
)
from klepaas.errors import Conflict
from klepaas.hookspecs import hookimpl
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.testing import scale_timeout
from klepaas.tools import Effect, Target, Tool

# What there is, and what was done to it.
world: dict[str, int] = {}
done: list[str] = []
# Turned by a test: what a look at the world says besides, once for each look.
drift: list[str] = []
# The path of the field that `set_field` changes.
key_of_field = ["spec.value"]
# What the risk of a change says besides, look by look.
grants: list[str] = []
# What the plan of `set_field` says it rests on, and what it gives instead of its own.
basis: list[Any] = [None]
planned: list[ChangeSet | None] = [None]


async def delete(
    name: Annotated[str, names.OBJECT],
    context: Annotated[str | None, names.CONTEXT] = None,
    dry_run: bool = False,
) -> Answer:
    """Delete one thing."""
    if name == "missing":
        raise Conflict("There is nothing of that name")
    if dry_run:
        seen = drift.pop(0) if drift else ""
        return Answer(f"Would delete {name}{seen}, password=hunter2hunter2\n\x1b[31mNothing is changed\x1b[0m.")
    done.append(f"deleted {name}")
    return Answer(f"Deleted {name}.")


async def scale(
    name: Annotated[str, names.OBJECT], replicas: int, context: Annotated[str, names.CONTEXT] = "dev"
) -> str:
    """Scale one thing."""
    done.append(f"scaled {name} to {replicas}")
    return "Scaled."


async def plan_scaling(name: Annotated[str, names.OBJECT], replicas: int) -> ChangeSet:
    facts = (("replicas", str(replicas)),)
    return ChangeSet.of_action(f"Scaling {name}", kind="thing", name=name, facts=facts, basis=[world.get(name, 1)])


async def wipe(note: Annotated[str, names.TEXT] = "none", api_key: Annotated[str, names.OBJECT] = "k") -> str:
    """Wipe everything; it has no preview."""
    done.append("wiped")
    return "Wiped."


async def fail(dry_run: bool = False) -> str:
    """Fail to change something."""
    if dry_run:
        return "Would fail."
    done.append("tried")
    raise Conflict("It cannot be changed")


async def hang(dry_run: bool = False) -> str:
    """Never end."""
    if dry_run:
        return "Would hang."
    done.append("began")
    await anyio.sleep(60)
    return "never"


async def plan_thing() -> ChangeSet:
    return ChangeSet.of_action("Changing the thing", kind="thing", name="thing")


async def set_field(
    name: Annotated[str, names.OBJECT], value: Annotated[str, names.TEXT], dry_run: bool = False
) -> str:
    """Set a field of one thing."""
    done.append(f"sent {current_change_set().objects[0].body}")
    if value == "raised":
        error = RaisedEffect("A webhook made more of it")
        error.risks = (Risk(code="stops", text="stops all\nof it"),)
        raise Conflict("1 of 2 objects was changed") from error
    return "Set."


async def plan_field(name: Annotated[str, names.OBJECT], value: Annotated[str, names.TEXT]) -> ChangeSet:
    if planned[0] is not None:
        return planned[0]
    before = f"{world.get(name, 1)}{drift.pop(0) if drift else ''}"
    granted = f", which grants {grants.pop(0)}" if grants else ""
    risks = (Risk(code="stops", text=f"stops {name}{granted}"),) if value == "0" else ()
    field = FieldChange(path=key_of_field[0], before=before, after=None if value == "none" else value)
    identity = ObjectIdentity(kind="Thing", name=name, namespace="shop")
    action = Action.NONE if value == before else Action.UPDATE
    change = ObjectChange(
        identity=identity,
        action=action,
        fields=() if action is Action.NONE else (field,),
        risks=risks,
        body={"name": name, "value": value, "was": before},
        basis=basis[0],
    )
    return ChangeSet(title=f"Setting {name}", objects=(change,))


async def history() -> str:
    """Tell what was done."""
    return ", ".join(done) or "nothing"


async def targets(arguments: Mapping[str, Any]) -> Sequence[Target]:
    context = arguments.get("context") or "prod-1"
    return [Target(context, "shop", "thing", arguments["name"])]


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    yield Tool(delete, Effect.DESTRUCTIVE, "Delete", "world", targets=targets)
    yield Tool(scale, Effect.WRITE, "Scale", "world", targets=targets, plan=plan_scaling)
    yield Tool(wipe, Effect.DESTRUCTIVE, "Wipe", "world")
    yield Tool(fail, Effect.WRITE, "Fail", "world", plan=plan_thing)
    yield Tool(set_field, Effect.WRITE, "Set a field", "world", plan=plan_field)
    yield Tool(history, Effect.READ, "History", "world")
    yield Tool(hang, Effect.WRITE, "Hang", "world", timeout_s=scale_timeout(20), plan=plan_thing)
