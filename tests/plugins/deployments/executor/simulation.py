"""A cluster, and a process that carries a change out by `decide` alone, both small enough to know the whole truth.

Every value of an object is one word: "old" before, "new" as wanted, anything else is somebody else's. A write is held
to the version that was looked at, as every write of klepaas is. The process keeps its intent in a journal that outlives
it, and writes as `recording` asks: the attempt first, then the request, then the answer.
"""

import itertools
from dataclasses import dataclass, field, replace

from klepaas.changes import FieldChange
from klepaas_plugins.deployments.executor.decide import decide
from klepaas_plugins.deployments.executor.decisions import Apply, Decision, End, Ended, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.encoding import dump_intent, load_intent
from klepaas_plugins.deployments.executor.intent import (
    RESTORES_MAX,
    WRITES_MAX,
    Answer,
    Intent,
    ObjectIntent,
    ObjectKey,
    Payload,
    PayloadForm,
    Phase,
    RestoreTarget,
    Takeover,
)
from klepaas_plugins.deployments.executor.observed import (
    BLOCKING,
    ErrorSeen,
    Moment,
    NamespaceState,
    ObjectSeen,
    Observed,
    Presence,
    PrincipalState,
    RolloutSeen,
    Trouble,
)
from klepaas_plugins.deployments.executor.recording import (
    begin_restore,
    record_answer,
    record_attempt,
    record_attention,
    record_crash,
    record_failure,
    record_look,
    record_refusal,
)

OURS = "klepaas"
SETTINGS = ObjectKey(api_version="v1", kind="ConfigMap", name="settings", namespace="shop")
WEB = ObjectKey(api_version="apps/v1", kind="Deployment", name="web", namespace="shop")
SERVICE = ObjectKey(api_version="v1", kind="Service", name="web", namespace="shop")
KEYS = (SETTINGS, WEB, SERVICE)
HOLD_S, PULL_S, PROGRESS_DEADLINE_S, GRACE_S = 10.0, 2.0, 600.0, 5.0
# What becomes of the next request: as the server says, or cut on its way.
OUTCOMES = ("ok", "ok", "ok", "denied", "lost, made", "lost, not made", "killed before", "killed after", "raced")
_numbers = itertools.count()


class Killed(Exception):
    """The process ended here."""


@dataclass
class Thing:
    """One object of the cluster, as it truly is."""

    value: str
    manager: str = OURS
    uid: str = field(default_factory=lambda: f"uid-{next(_numbers)}")
    version: int = 0
    changed_s: float = 0.0
    is_ending: bool = False
    is_found: bool = True

    def set(self, value: str, manager: str, now_s: float) -> None:
        self.value, self.manager, self.changed_s, self.version = value, manager, now_s, self.version + 1


@dataclass
class World:
    """The cluster and the clocks."""

    things: dict[ObjectKey, Thing | None]
    health: dict[str, str] = field(default_factory=lambda: {"old": "good", "new": "good"})
    healthy_since_s: float = 0.0
    errors: dict[ObjectKey, Trouble] = field(default_factory=dict)
    is_paused: bool = False
    namespace: NamespaceState = NamespaceState.ACTIVE
    principal: PrincipalState = PrincipalState.SAME
    newer_operation: str | None = None
    is_fenced: bool = False
    has_progress_deadline: bool = True
    cluster_s: float = 1_800_000_000.0
    wall_ahead_s: float = 0.0
    monotonic_s: float = 1000.0
    deleted: set[ObjectKey] = field(default_factory=set)

    @property
    def now(self) -> Moment:
        return Moment(wall_s=self.cluster_s + self.wall_ahead_s, monotonic_s=self.monotonic_s, cluster_s=self.cluster_s)

    def pass_time(self, seconds: float) -> None:
        self.cluster_s += seconds
        self.monotonic_s += seconds

    def set_health(self, value: str, health: str) -> None:
        if self.health.get(value) != health:
            self.health[value] = health
            self.healthy_since_s = self.cluster_s

    @property
    def held_s(self) -> float | None:
        """For how long the workload has truly been complete. None: it is not."""
        web = self.things[WEB]
        if web is None or web.is_ending or self.health.get(web.value, "good") != "good":
            return None
        began_s = max(web.changed_s + PULL_S, self.healthy_since_s)
        return None if self.is_paused or self.cluster_s < began_s else self.cluster_s - began_s

    def is_as_wanted(self, intent: Intent) -> bool:
        """Whether every object is truly as an intent wants it."""
        return all(_is(self.things[one.key], one) for one in intent.objects)

    def is_proven(self, intent: Intent) -> bool:
        return self.is_as_wanted(intent) and self.held_s is not None and self.held_s >= HOLD_S


def _is(thing: Thing | None, wanted: ObjectIntent) -> bool:
    if wanted.is_removal:
        return thing is None or thing.is_ending or thing.uid != wanted.uid
    is_meant = thing is not None and wanted.known_uid in (None, thing.uid)
    return thing is not None and is_meant and not thing.is_ending and thing.value == value_of(wanted)


def value_of(wanted: ObjectIntent) -> str:
    """What an object is wanted to be."""
    return "" if wanted.body is None else str(wanted.body.content["value"])


def wish(key: ObjectKey, value: str | None, uid: str | None, takeovers: tuple[Takeover, ...] = ()) -> ObjectIntent:
    body = None if value is None else Payload(PayloadForm.PLAIN, {"value": value})
    return ObjectIntent(key=key, body=body, uid=uid, takeovers=takeovers)


@dataclass
class Process:
    """Carries one change out; the journal outlives it."""

    world: World
    journal: dict[str, object]
    before: Observed | None = None
    outcome: str = "ok"
    times: int = 1
    ended: Decision | None = None
    decisions: list[Decision] = field(default_factory=list)

    @classmethod
    def begin(cls, world: World, *, has_target: bool, web_is_a_persons: bool) -> "Process":
        """A change that takes "old" to "new", and makes a Service."""
        takeovers = (Takeover("value", "kubectl-edit"),) if web_is_a_persons else ()
        if web_is_a_persons:
            thing = world.things[WEB]
            assert thing is not None
            thing.manager = "kubectl-edit"
        found = {key: None if thing is None else thing.uid for key, thing in world.things.items()}
        objects = tuple(wish(key, "new", found[key], takeovers if key == WEB else ()) for key in KEYS)
        intent = Intent(
            operation_id="op-1",
            verb="deploy",
            namespace="shop",
            objects=objects,
            restore_target=RestoreTarget(release=1) if has_target else None,
            hold_s=HOLD_S,
        )
        return cls(world, dump_intent(intent))

    @property
    def intent(self) -> Intent:
        return load_intent(self.journal)

    def keep(self, intent: Intent) -> Intent:
        self.journal = dump_intent(intent)
        return intent

    def crash(self) -> None:
        """The next process begins with the journal alone, and with a clock of its own."""
        self.before = None
        self.world.monotonic_s = 7.0
        self.keep(record_crash(self.intent))

    def look(self) -> Observed:
        intent, world = self.intent, self.world
        objects = tuple(self._look_at(one) for one in intent.objects)
        return Observed(
            at=world.now,
            objects=objects,
            rollouts=self._rollouts(intent),
            namespace=world.namespace,
            principal=world.principal,
            newer_operation=world.newer_operation,
            is_fenced=world.is_fenced,
            discoveries=0 if self.before is None else 1,
        )

    def _look_at(self, one: ObjectIntent) -> ObjectSeen:
        thing, trouble = self.world.things[one.key], self.world.errors.get(one.key)
        error = None
        if trouble is not None:
            error = ErrorSeen(trouble=trouble, text=trouble.value, since_s=self.world.cluster_s)
        if trouble is not None and (trouble in BLOCKING or trouble is Trouble.NOT_SERVED):
            return ObjectSeen(key=one.key, presence=Presence.UNKNOWN, error=error)
        if thing is None:
            return ObjectSeen(key=one.key, presence=Presence.ABSENT, error=error)
        thing.is_found = True
        presence = Presence.ENDING if thing.is_ending else Presence.LIVE
        remaining = None if one.is_removal or thing.is_ending else self._remaining(thing, value_of(one))
        is_ours = thing.manager == OURS
        return ObjectSeen(
            key=one.key, presence=presence, uid=thing.uid, remaining=remaining, is_ours=is_ours, error=error
        )

    @staticmethod
    def _remaining(thing: Thing, value: str) -> tuple[FieldChange, ...]:
        if thing.value == value:
            return ()
        owners = () if thing.manager == OURS else (thing.manager,)
        return (FieldChange(path="value", before=thing.value, after=value, owners=owners),)

    def _rollouts(self, intent: Intent) -> tuple[RolloutSeen, ...]:
        world, web = self.world, self.world.things[WEB]
        wants_web = any(one.key == WEB and not one.is_removal for one in intent.objects)
        if web is None or not wants_web or world.errors.get(WEB) in BLOCKING:
            return ()
        held_s, age_s = world.held_s, world.cluster_s - web.changed_s
        base = RolloutSeen(key=WEB, hold_s=HOLD_S, progress="so far", paused=world.is_paused)
        if held_s is not None:
            return (replace(base, complete=True, held_s=held_s),)
        if world.is_paused:
            return (base,)
        if world.health.get(web.value, "good") == "bad" and age_s >= GRACE_S:
            return (replace(base, failure="it crashes"),)
        if not world.has_progress_deadline:
            return (replace(base, cause="not ready"),)
        if age_s >= PROGRESS_DEADLINE_S:
            return (replace(base, failure="ProgressDeadlineExceeded"),)
        return (replace(base, cause="not ready", progress_deadline_in_s=PROGRESS_DEADLINE_S - age_s),)

    def step(self) -> Decision:
        """Look, decide, do; the promises are checked where they could be broken."""
        seen = self.look()
        intent = self.keep(record_attention(record_look(self.intent, seen), self.before, seen))
        self.before = seen
        found = decide(intent, seen, self.world.now)
        assert found == decide(load_intent(dump_intent(intent)), seen, self.world.now), "the same for every process"
        self.decisions.append(found)
        try:
            self._do(intent, seen, found)
        except Killed:
            self.crash()
        return found

    def _do(self, intent: Intent, seen: Observed, found: Decision) -> None:
        if isinstance(found, Apply):
            for key in found.objects:
                self._write(key, seen)
        elif isinstance(found, Restore):
            self._restore(intent, found)
        elif isinstance(found, Verify):
            assert self.world.is_proven(intent), "verified what is not so"
            self.ended = found
        elif isinstance(found, Ended):
            self._check_end(intent, found)
            self.ended = found

    def _restore(self, intent: Intent, found: Restore) -> None:
        assert not self.world.is_proven(intent), "restored over a healthy wanted state"
        assert intent.begun
        assert intent.phase is Phase.APPLY
        assert intent.restores < RESTORES_MAX
        is_persons = self.world.is_paused and self.world.is_as_wanted(intent) and not intent.cancel_requested
        assert not is_persons, "restored what a person paused"
        self._check_rights()
        self.keep(record_failure(intent, found.failure))
        self._maybe_die("killed before")
        written = [one for one in intent.objects if one.may_be_written]
        objects = [self._former(one) for one in written]
        self.keep(begin_restore(self.intent, found.failure, objects))

    def _former(self, one: ObjectIntent) -> ObjectIntent:
        thing = self.world.things[one.key]
        uid = None if thing is None else thing.uid
        return wish(one.key, None if one.key == SERVICE else "old", uid)

    def _check_rights(self) -> None:
        world = self.world
        assert not world.is_fenced, "another process holds it"
        assert world.principal is PrincipalState.SAME, "it is another user's"
        assert world.namespace is NamespaceState.ACTIVE, "the namespace ends"

    def _maybe_die(self, where: str) -> None:
        if self.outcome == where:
            self.outcome = "ok"
            raise Killed

    def _take_outcome(self) -> str:
        """What becomes of this request; several may be disturbed alike."""
        outcome, self.times = self.outcome, self.times - 1
        if self.times <= 0:
            self.outcome = "ok"
        return outcome

    def _write(self, key: ObjectKey, seen: Observed) -> None:
        self._check_rights()
        intent = self.keep(record_attempt(self.intent, key))
        one = next(one for one in intent.objects if one.key == key)
        assert one.attempts <= WRITES_MAX, "written too often"
        self._maybe_die("killed before")
        look = next(found for found in seen.objects if found.key == key)
        outcome = self._take_outcome()
        if outcome == "raced":
            self.world.things[key] = Thing("another", "argocd-controller", changed_s=self.world.cluster_s)
        if outcome == "denied" or not self._may_write(one, look):
            self.keep(record_refusal(intent, key))
            if outcome == "denied":
                self.world.errors[key] = Trouble.ADMISSION
            return
        made = None if outcome == "lost, not made" else self._make(one)
        if outcome == "killed after":
            raise Killed
        if outcome == "ok" and made is not None:
            self.keep(record_answer(intent, key, Answer(made.uid)))

    def _may_write(self, one: ObjectIntent, look: ObjectSeen) -> bool:
        """The server holds a write to the object that was looked at."""
        thing = self.world.things[one.key]
        return (None if thing is None else thing.uid) == look.uid and not (thing is not None and thing.is_ending)

    def _make(self, one: ObjectIntent) -> Thing:
        thing = self.world.things[one.key]
        if one.is_removal:
            assert thing is not None
            self.world.things[one.key] = None
            return thing
        if thing is None:
            assert one.key not in self.world.deleted, "made again what somebody deleted"
            thing = Thing(value_of(one), changed_s=self.world.cluster_s, is_found=False)
            self.world.things[one.key] = thing
            return thing
        allowed = {OURS, *(taken.manager for taken in one.takeovers if one.answer is None)}
        assert thing.manager in allowed, "wrote over another writer"
        thing.set(value_of(one), OURS, self.world.cluster_s)
        return thing

    def _check_end(self, intent: Intent, found: Ended) -> None:
        mine = [key for key in KEYS if self._is_mine(key)]
        if found.end is End.ROLLED_BACK:
            assert self.world.is_as_wanted(intent), "rolled back what is not so"
        if mine and intent.begun:
            assert found.stays or found.end is End.ROLLED_BACK, f"{mine} stay, and it does not say so"

    def _is_mine(self, key: ObjectKey) -> bool:
        thing = self.world.things[key]
        return thing is not None and thing.manager == OURS and thing.value == "new"

    def run_to_the_end(self, steps_max: int = 400) -> None:
        """The cluster is reachable and quiet from here on."""
        world = self.world
        world.errors.clear()
        world.principal, world.is_fenced = PrincipalState.SAME, False
        for thing_key, thing in world.things.items():
            if thing is not None and thing.is_ending:
                world.things[thing_key] = None
        self.outcome = "ok"
        for _ in range(steps_max):
            if self.ended is not None:
                return
            found = self.step()
            if isinstance(found, Wait):
                world.pass_time(max(0.5, found.until_s - world.monotonic_s))
        raise AssertionError(f"it does not end: {self.decisions[-3:]}")
