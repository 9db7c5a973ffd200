"""Which changes need a confirmation: rules from the settings, matched first to last against tool and target.

    [{"context": "prod*", "effect": "write", "decision": "confirm"}, {"namespace": "dev", "decision": "auto"}]

Where no rule matches, a write is made at once and a destructive change is confirmed. What is not known of a target
matches every rule that asks for a confirmation and none that waives one. A call that changes several targets is judged
by the strictest. A rule that asks for a confirmation in `prod*` also holds where the same cluster is called otherwise
(`klepaas.context_aliases`). How a confirmation is asked for is `klepaas.gate.confirmation`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from klepaas.tools import Effect, Target

__all__ = ["DEFAULT_IN_WORDS", "Decision", "Policy", "Rule", "Ruling"]

_ANY = "*"
# What `Policy()` decides, for people; a test compares the two.
DEFAULT_IN_WORDS = (
    "Unless the policy (KLEPAAS_POLICY) says otherwise, a write, for example a deployment, is made at once, and what "
    "destroys, for example a deletion, only after a person has confirmed it."
)
Glob = Annotated[str, Field(min_length=1, max_length=253)]


class Decision(StrEnum):
    """What has to happen before a change is made."""

    AUTO = "auto"
    CONFIRM = "confirm"


class Rule(BaseModel):
    """One rule; a field that is left out matches everything.

    Attributes:
        context: A pattern of contexts, with `*`, `?` and `[...]`.
        namespace: A pattern of namespaces.
        effect: Which effect a tool must have declared.
        tool: A pattern of tools' names.
        decision: What has to happen before a change that matches.
        confirm_without_human: Whether a client that cannot ask a person may itself confirm the plan it was shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: Glob = _ANY
    namespace: Glob = _ANY
    effect: Literal["write", "destructive", "*"] = "*"
    tool: Glob = _ANY
    decision: Decision
    confirm_without_human: bool = False

    @field_validator("decision", mode="before")
    @classmethod
    def _refuse_what_comes_later(cls, value: Any) -> Any:
        if value == "approve":
            raise ValueError("'approve' (a second person) comes later; use 'auto' or 'confirm'")
        return value

    @model_validator(mode="after")
    def _refuse_a_contradiction(self) -> "Rule":
        if self.confirm_without_human and self.decision is not Decision.CONFIRM:
            raise ValueError("confirm_without_human belongs to the decision 'confirm'")
        return self

    def matches(self, tool_name: str, effect: Effect | None, target: Target) -> bool:
        """Whether this rule is about a change.

        Args:
            tool_name: The tool.
            effect: What it declared. None counts as destructive.
            target: What it would change.
        """
        if self.effect not in (_ANY, (effect or Effect.DESTRUCTIVE).value) or not fnmatchcase(tool_name, self.tool):
            return False
        return self._covers(self.context, target.context) and self._covers(self.namespace, target.namespace)

    def _covers(self, pattern: str, value: str | None) -> bool:
        if value is None:
            return pattern == _ANY or self.decision is Decision.CONFIRM
        return fnmatchcase(value, pattern)


@dataclass(frozen=True)
class Ruling:
    """What the policy says of one call.

    Attributes:
        decision: What has to happen first.
        without_human: Whether a client that cannot ask may confirm by itself.
    """

    decision: Decision
    without_human: bool = False


class Policy:
    """The rules of one server.

    Args:
        rules: First to last.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)

    @property
    def has_plans(self) -> bool:
        """Whether a plan's id can count anywhere."""
        return any(rule.confirm_without_human for rule in self._rules)

    def decide(self, tool_name: str, effect: Effect | None, targets: Sequence[Target]) -> Ruling:
        """What has to happen before a change.

        Args:
            tool_name: The tool.
            effect: What it declared.
            targets: Everything that it would change; empty: not known.
        """
        rulings = [ruling for target in targets or (Target(),) for ruling in self._rulings(tool_name, effect, target)]
        strict = [ruling for ruling in rulings if ruling.decision is Decision.CONFIRM]
        if not strict:
            return Ruling(Decision.AUTO)
        return Ruling(Decision.CONFIRM, all(ruling.without_human for ruling in strict))

    def guards(self, context: str) -> bool:
        """Whether a rule asks for a confirmation in this context by its name.

        Args:
            context: The context.
        """
        strict = (rule for rule in self._rules if rule.decision is Decision.CONFIRM and rule.context != _ANY)
        return any(fnmatchcase(context, rule.context) for rule in strict)

    def _rulings(self, tool_name: str, effect: Effect | None, target: Target) -> Iterator[Ruling]:
        """What is said of a target, and what rules say of it by the other names of its cluster."""
        yield self._ruled(tool_name, effect, target) or Ruling(
            Decision.AUTO if effect is Effect.WRITE else Decision.CONFIRM
        )
        for name in target.also:
            ruling = self._ruled(tool_name, effect, replace(target, context=name))
            if ruling is not None:
                yield ruling

    def _ruled(self, tool_name: str, effect: Effect | None, target: Target) -> Ruling | None:
        for rule in self._rules:
            if rule.matches(tool_name, effect, target):
                return Ruling(rule.decision, rule.confirm_without_human)
        return None
