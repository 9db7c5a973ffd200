"""The tools: what a model reads of them, and what it may send. What they do is the client's affair."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from klepaas import names
from klepaas.changes import Action, ChangeSet, FieldChange, ObjectChange, ObjectIdentity, current_change_set
from klepaas.output import Answer
from klepaas.tools import Effect, Target, Tool
from pydantic import Field

from klepaas_onduty.client import Roster

__all__ = ["tools_of"]

TOOLSET = "onduty"
DryRun = Annotated[bool, Field(description="Only show what would change")]


def tools_of(roster: Roster) -> Iterable[Tool]:
    """The tools.

    Args:
        roster: What they ask.
    """
    yield _who(roster)
    yield _hand_over(roster)


def _who(roster: Roster) -> Tool:
    async def onduty_who(team: Annotated[str, names.WORKLOAD]) -> Answer:
        """Tell who is on duty in a team. Use it before somebody is called.

        Args:
            team: The team's name.
        """
        person = await roster.who(team)
        return Answer(f"{person} is on duty in {team}")

    # The texts come from outside, so klepaas takes everything out of them that acts or hides.
    return Tool(onduty_who, Effect.READ, title="Who is on duty", toolset=TOOLSET, foreign_text=True)


def _hand_over(roster: Roster) -> Tool:
    async def onduty_hand_over(
        team: Annotated[str, names.WORKLOAD],
        person: Annotated[str, names.OBJECT],
        dry_run: DryRun = False,
    ) -> Answer:
        """Put somebody else on duty in a team. Use it only when that person has agreed.

        Args:
            team: The team's name.
            person: Who takes over.
            dry_run: Look at what would change, and change nothing.
        """
        planned = current_change_set().objects[0].fields
        if not planned:
            return Answer(f"{person} is on duty in {team} already")
        after = await roster.hand_over(team, person)
        return Answer(f"{after} is on duty in {team}; it was {planned[0].before}")

    async def plan_handover(team: Annotated[str, names.WORKLOAD], person: Annotated[str, names.OBJECT]) -> ChangeSet:
        before = await roster.who(team)
        field = FieldChange(path="person", before=before, after=person)
        duty = ObjectChange(
            identity=ObjectIdentity(kind="duty", name=team),
            action=Action.NONE if before == person else Action.UPDATE,
            fields=() if before == person else (field,),
            # Where somebody else took over meanwhile, what a person has confirmed does not count any more.
            basis=before,
        )
        return ChangeSet(title=f"Handing over duty in {team}", objects=(duty,))

    async def who_is_relieved(arguments: Mapping[str, Any]) -> Sequence[Target]:
        return [Target(kind="duty", name=arguments["team"])]

    return Tool(
        onduty_hand_over,
        Effect.WRITE,
        title="Hand duty over",
        toolset=TOOLSET,
        foreign_text=True,
        idempotent=True,
        targets=who_is_relieved,
        # klepaas asks with it, answers dry runs from it, and records it. Without one every call would count as
        # destructive, and a person would be shown its arguments.
        plan=plan_handover,
    )
