"""How a tool is declared: a function, its effect, and a check for each of its text parameters.

A declaration that lacks something is refused when it is made, with the reason, so that no tool can forget its guard.
What a declaration promises is enforced in one place, the gate (`klepaas.gate`), never here. Which types a parameter may
have, and where text may stand in them, is `klepaas.parameters`.
"""

import inspect
import math
import re
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas.changes import ChangeSet
from klepaas.effects import Effect
from klepaas.errors import BadRequest
from klepaas.output.quoting import quote
from klepaas.parameters import DeclarationError, Places, places_of

__all__ = ["DRY_RUN", "DeclarationError", "Effect", "Target", "Tool"]

# What every client accepts: the protocol also allows dots and 128 characters, some clients do not.
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
# A parameter of this name means the same in every tool: look at what would change, and change nothing.
DRY_RUN = "dry_run"


# A call that only reads has no worse case.
_AT_LEAST: Mapping[Effect | None, tuple[Effect, ...]] = {
    Effect.READ: (Effect.READ,),
    Effect.WRITE: (Effect.WRITE, Effect.DESTRUCTIVE),
    Effect.DESTRUCTIVE: (Effect.DESTRUCTIVE,),
}


@dataclass(frozen=True)
class Target:
    """One thing that a call changes; what is None is not known, or there is none.

    A rule that asks for a confirmation also holds for what is not known, so a tool says as much as it can: the names
    that defaults stand for, not the defaults.

    Attributes:
        context: The cluster's context, or the upstream's name.
        namespace: The namespace in it.
        kind: What it is.
        name: Its name.
        also: Other contexts that lead to the same cluster, whose rules hold for it too.
    """

    context: str | None = None
    namespace: str | None = None
    kind: str | None = None
    name: str | None = None
    also: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The target as a sentence names it."""
        thing = " ".join(part for part in (self.kind, self.name) if part) or "a target that is not known"
        places = (("namespace", self.namespace), ("context", self.context))
        place = [f"{noun} {value}" for noun, value in places if value]
        also = f" (the same cluster as {', '.join(self.also)})" if self.also else ""
        return f"{thing} in {' of '.join(place)}{also}" if place else thing


@dataclass(frozen=True)
class Tool:
    """A tool that a plugin offers.

    Its name is the function's name; the function's docstring before `Args:` is what the model reads.

    Attributes:
        function: An async function of typed parameters, each text parameter with a `klepaas.names.Check` in its
            annotation (for a mapping, one in the annotation of its keys and one in that of its values); returns the
            answer's text, or a `klepaas.output.Answer`.
        effect: What a call may do. None is accepted here and refused at every call.
        worst: What a call can do at its worst, where its content decides: objects that a manifest or an earlier release
            names, a number of pods that may be 0. Clients are told this one in the tool's hints, since some run a write
            without asking anybody; the gate goes by `effect`. None: the same as `effect`.
        title: A short name for people.
        toolset: The group under which people choose tools.
        foreign_text: Whether the answer holds text that somebody outside wrote (logs, annotations, messages).
        idempotent: Whether the same call twice is the same as once.
        open_world: Whether the call leaves the platform (a chat, a code host).
        timeout_s: Longest time a call may take, in seconds.
        targets: Tells what a call with these arguments would change, for the policy, the person who confirms and the
            audit; an async function of the arguments, which fit the schema. None: not known.
        preview: Shows a person what a call would change: an async function of some of the tool's own parameters, which
            returns a text or an `Answer` and changes nothing. It must be the same as long as the same would change,
            its `basis` too, which is not shown: no times, no counters. None: the answer of a dry run where the tool has
            a parameter `dry_run`, otherwise the tool's name, targets and arguments.
        plan: Tells what a call would change: an async function of some of the tool's own parameters, which returns a
            `klepaas.changes.ChangeSet` and changes nothing. The gate then derives the effect, the question, the
            answer of a dry run and the record from it, and the tool sends what `current_change_set` gives. None: the
            gate knows nothing of the content, so a third party's tool that changes something counts as
            destructive, and a person is shown its arguments whole.
        search_hint: English words that a client which loads tools by search finds it by, besides its name and
            description; in no model's prompt.
        always_load: Whether such a client loads it at once, without a search; for the few tools of every day.
        words: The words in which people wish for it, in any language, where its description does not hold them: they
            stand in the server's instructions, so each is paid for in every conversation.

    Raises:
        DeclarationError: It lacks something, or promises what cannot be kept.
    """

    function: Callable[..., Awaitable[Any]]
    effect: Effect | None
    title: str
    toolset: str
    foreign_text: bool = False
    idempotent: bool = False
    open_world: bool = False
    timeout_s: float = 60.0
    targets: Callable[[Mapping[str, Any]], Awaitable[Sequence[Target]]] | None = None
    preview: Callable[..., Awaitable[Any]] | None = None
    plan: Callable[..., Awaitable[ChangeSet]] | None = None
    words: tuple[str, ...] = ()
    search_hint: str = ""
    always_load: bool = False
    worst: Effect | None = None
    parameters: Mapping[str, Places] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = getattr(self.function, "__name__", "")
        if not _NAME.fullmatch(name):
            raise DeclarationError(f"{name!r} is no name for a tool: up to 64 letters, digits, '_' and '-'")
        if not inspect.iscoroutinefunction(self.function):
            raise DeclarationError(f"{name}() is not an async function")
        if self.effect is not None and not isinstance(self.effect, Effect):
            raise DeclarationError(f"the effect of {name} is {self.effect!r}, not one of klepaas.tools.Effect")
        if self.worst is not None and self.worst not in _AT_LEAST.get(self.effect, ()):
            raise DeclarationError(f"the worst of {name} is {self.worst!r}, which is less than its effect")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise DeclarationError(f"timeout_s of {name} is {self.timeout_s!r}, not a number of seconds above 0")
        object.__setattr__(self, "parameters", places_of(self.function))
        self._check_the_dry_run()
        self._check_the_preview()

    def _check_the_dry_run(self) -> None:
        if DRY_RUN in self.parameters and typing.get_type_hints(self.function)[DRY_RUN] is not bool:
            raise DeclarationError(f"parameter {DRY_RUN!r} of {self.name}() is not a bool")

    def _check_the_preview(self) -> None:
        for part, function in (("targets", self.targets), ("preview", self.preview), ("plan", self.plan)):
            if function is not None and not inspect.iscoroutinefunction(function):
                raise DeclarationError(f"the {part} of {self.name} is not an async function")
        if self.preview is not None and self.plan is not None:
            raise DeclarationError(f"{self.name} has a plan and a preview, which would describe the same change twice")
        described = self.preview or self.plan
        unknown = [name for name in places_of(described) if name not in self.parameters] if described else []
        if unknown:
            part = "plan" if self.plan else "preview"
            raise DeclarationError(f"the {part} of {self.name} takes {unknown[0]!r}, which the tool does not")

    @property
    def name(self) -> str:
        """The name clients call."""
        return self.function.__name__

    @property
    def at_worst(self) -> Effect:
        """What a call can do at its worst; what declares nothing is destructive."""
        return self.worst or self.effect or Effect.DESTRUCTIVE

    def changes(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments may change something: any but a dry run, unless the tool only reads."""
        return self.effect is not Effect.READ and not self.is_dry_run(arguments)

    def is_dry_run(self, arguments: Mapping[str, Any]) -> bool:
        """Whether these arguments ask for a dry run. Only a plain true counts, not what a schema would make one of."""
        return DRY_RUN in self.parameters and arguments.get(DRY_RUN) is True

    def verify(self, arguments: Mapping[str, Any]) -> None:
        """Check every text in a call's arguments; their types are the schema's affair.

        Raises:
            BadRequest: A text breaks its rule, or there is no parameter of such a name.
        """
        for name, value in arguments.items():
            places = self.parameters.get(name)
            if places is None:
                raise BadRequest(f"{self.name} has no parameter {quote(name, 40)}", next_step=self._known_parameters())
            places.verify(value, name)

    def _known_parameters(self) -> str:
        return f"Its parameters are {', '.join(self.parameters)}" if self.parameters else "It takes none"
