"""Every change, at every stage, with every fault, for every duration: the enumeration as data."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["DURATIONS_S", "FAULTS", "VERBS", "Case", "Fault", "Meaning", "Stage", "Verb", "enumerate_cases", "sample"]

DURATIONS_S = {"1s": 1.0, "30s": 30.0, "20min": 1200.0, "10h": 36000.0}


class Stage(StrEnum):
    """Where in a change the fault begins."""

    PLAN = "before-the-plan"
    FIRST_WRITE = "before-the-first-write"
    BETWEEN = "between-two-writes"
    LAST_WRITE = "after-the-last-write"
    ROLLOUT = "while-rolling-out"
    HOLD = "in-the-hold"
    GOING_BACK = "while-going-back"
    RECORD = "before-the-record"


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A change, and what it leaves when nothing is in its way.

    Attributes:
        name: Its name.
        tool: The tool.
        writes: How many objects of the application it writes.
        stages: Where a fault may begin.
        changes: What it changes, as `playing.look` names it.
        operates: Whether it is an operation.
    """

    name: str
    tool: str
    writes: int = 1
    stages: tuple[Stage, ...] = ()
    changes: tuple[str, ...] = ()
    operates: bool = True


_ALONE = (Stage.PLAN, Stage.FIRST_WRITE, Stage.LAST_WRITE, Stage.ROLLOUT, Stage.HOLD, Stage.RECORD)
_TWO = (*_ALONE, Stage.BETWEEN)
VERBS = (
    Verb(name="deploy", tool="deploy_application", writes=2, stages=_TWO, changes=("image", "port")),
    Verb(name="deploy-broken", tool="deploy_application",
         stages=(Stage.FIRST_WRITE, Stage.LAST_WRITE, Stage.GOING_BACK)),
    Verb(name="scale", tool="scale_application", stages=_ALONE, changes=("replicas",)),
    Verb(name="restart", tool="restart_application", stages=_ALONE, changes=("restarted",)),
    Verb(name="rollback", tool="rollback_deployment", writes=2, stages=_TWO, changes=("image", "port")),
    Verb(name="k8s_apply", tool="k8s_apply", writes=2, stages=(Stage.PLAN, Stage.FIRST_WRITE, Stage.BETWEEN),
         changes=("image", "color"), operates=False),
)  # fmt: skip


class Meaning(StrEnum):
    """What a fault means for a change."""

    PASSES = "it passes, and the change goes on"
    REFUSES = "it refuses what is asked for, and always will"
    REFUSES_LATE = "it passes, unless it lasts longer than the deadline"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong.

    Attributes:
        name: Its name.
        meaning: What it means for a change.
        code: The HTTP status. 0: it has none.
        reason: The reason of the answer.
        message: The text of the answer.
        kind: How it is played; see `world`.
    """

    name: str
    meaning: Meaning = Meaning.PASSES
    kind: str = "answer"
    code: int = 0
    reason: str = ""
    message: str = ""

    @property
    def lasts(self) -> bool:
        """Whether how long it lasts makes a difference."""
        return self.meaning is not Meaning.REFUSES


_QUOTA = "is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"
_RIGHTS = 'deployments.apps "web" is forbidden: User "dev" cannot patch resource "deployments" in API group "apps"'
_DENIALS = (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
FAULTS = (
    Fault(name="cut", kind="cut"),
    Fault(name="refused", kind="refused"),
    Fault(name="401", code=401, reason="Unauthorized", message="Unauthorized"),
    Fault(name="403-rights", code=403, reason="Forbidden", message=_RIGHTS),
    Fault(name="429", code=429, reason="TooManyRequests", message="Too many requests, please try again later."),
    Fault(name="500", code=500, reason="InternalError", message="Internal error occurred: etcdserver: leader changed"),
    Fault(name="503", code=503, reason="ServiceUnavailable", message="the server is currently unable to handle it"),
    Fault(name="slow", kind="slow"),
    Fault(name="403-quota", kind="writes", code=403, reason="Forbidden", meaning=Meaning.REFUSES,
          message=f'deployments.apps "web" {_QUOTA}'),
    *(Fault(name=f"webhook-{code}", kind="webhook", code=code, meaning=Meaning.REFUSES) for code in _DENIALS),
    Fault(name="webhook-unreachable", kind="webhook", meaning=Meaning.REFUSES_LATE),
    Fault(name="killed", kind="killed"),
    Fault(name="asleep", kind="asleep"),
    Fault(name="clock-back", kind="clock"),
    Fault(name="clock-forward", kind="clock"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One change that meets one fault.

    Attributes:
        verb: The change.
        stage: Where the fault begins.
        fault: The fault.
        duration: How long it lasts, as a name.
    """

    verb: Verb
    stage: Stage
    fault: Fault
    duration: str

    @property
    def id(self) -> str:
        """Its name."""
        return f"{self.verb.name}/{self.stage}/{self.fault.name}/{self.duration}"

    @property
    def duration_s(self) -> float:
        """How long the fault lasts, in seconds."""
        return DURATIONS_S[self.duration]


def enumerate_cases() -> Iterator[Case]:
    """All, in a fixed order; what cannot be is left out."""
    for verb in VERBS:
        for stage in verb.stages:
            for fault in FAULTS:
                if not _can_be(verb, stage, fault):
                    continue
                for duration in DURATIONS_S if fault.lasts else ("30s",):
                    yield Case(verb=verb, stage=stage, fault=fault, duration=duration)


def _can_be(verb: Verb, stage: Stage, fault: Fault) -> bool:
    """Whether a fault can begin there: nothing is killed that has not begun, and what refuses writes needs one."""
    if fault.kind in ("killed", "asleep", "clock"):
        return verb.operates and stage is not Stage.PLAN
    if fault.kind in ("webhook", "writes"):
        return stage in (Stage.PLAN, Stage.FIRST_WRITE, Stage.BETWEEN, Stage.GOING_BACK)
    return True


def sample(count: int) -> list[Case]:
    """The same cases in every run: as many pairs of what a case is made of as so few can show.

    Args:
        count: How many.
    """
    rest, shown, chosen = list(enumerate_cases()), set[tuple[str, str]](), list[Case]()
    while rest and len(chosen) < count:
        best = max(rest, key=lambda case: len(_pairs(case) - shown))
        rest.remove(best)
        shown |= _pairs(best)
        chosen.append(best)
    return chosen


def _pairs(case: Case) -> set[tuple[str, str]]:
    verb, stage, fault = case.verb.name, case.stage.value, case.fault.name
    return {(verb, stage), (verb, fault), (stage, fault), (verb, case.duration), (fault, case.duration)}
