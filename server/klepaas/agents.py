"""Deployment agents: what carries a deployment out, each for the kind of request that it accepts.

The core knows no cluster and no cloud: an agent is a plugin's, and the first one that accepts a request gets it,
built-in ones first. A request says what is wanted, never how. A deployment is an operation (`klepaas.operations`): it
goes on when the caller leaves, and again after a crash.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from klepaas.changes import ChangeSet, Risk
from klepaas.effects import Effect
from klepaas.errors import BadRequest, Unavailable
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.tools import Target

if TYPE_CHECKING:
    from klepaas.operations import Interrupted, Outcome, Run
    from klepaas.operations.origin import ActingUser
    from klepaas.plugins import Contribution, Plugins

__all__ = ["Agents", "DeploymentAgent", "DeploymentRequest", "Report"]

log = logging.getLogger(__name__)

# Takes how much is done, of how much, and a line for people.
Report = Callable[[float, float, str], Awaitable[None]]


@dataclass(frozen=True)
class DeploymentRequest:
    """What somebody wants to run; None keeps what there is, or takes the default.

    Every text has passed its check.

    Attributes:
        app_name: The application.
        image: The image to run. None: it is to be built from a source, which agents of clouds will take.
        context: Where: the context, or the cloud's name for the place.
        namespace: The namespace in it.
        replicas: How many copies.
        port: The port that it listens on.
        env_vars: Variables to set; a value of None removes one.
        resources: Quantities by cpu, memory, cpu_limit, memory_limit.
        health_path: The HTTP path that tells whether it is ready.
        take_ownership: Whether fields may be taken from other managers.
        manifests: The objects to deploy, as text, in place of an image and what belongs to it. None: there are none.
        auto_rollback: Whether it is rolled back when it fails. None: as the settings say.
        url: The address that people use for it. None: it stays as it is.
    """

    app_name: str
    image: str | None = None
    context: str | None = None
    namespace: str | None = None
    replicas: int | None = None
    port: int | None = None
    env_vars: Mapping[str, str | None] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    health_path: str | None = None
    take_ownership: bool = False
    manifests: str | None = None
    auto_rollback: bool | None = None
    url: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The request as an operation keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "DeploymentRequest":
        """The request that an operation kept; what an older klepaas did not know gets its default."""
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in kept.items() if name in known})


class DeploymentAgent(ABC):
    """What a plugin offers with the hook `klepaas_deployment_agents`.

    Attributes:
        name: The agent's name, one among all plugins.
    """

    name: str

    @abstractmethod
    def accepts(self, request: DeploymentRequest) -> bool:
        """Whether this agent can carry the request out. Touches no network."""

    async def targets(self, request: DeploymentRequest) -> Sequence[Target]:
        """What deploying would change, for policy and audit; better with the names that defaults stand for."""
        return (Target(request.context, request.namespace, "application", request.app_name),)

    async def place(self, request: DeploymentRequest) -> str:
        """Where the deployment goes, in words that mean the same in every process.

        One operation at a time works on a place, and only a process that gives the same words, or says that it
        `reaches` it, takes up what another left. Best with what names the place itself (a cluster's identity), not
        with what it is called here.
        """
        parts = [(target.context, target.namespace, target.name) for target in await self.targets(request)]
        return f"{self.name}:" + " ".join("/".join(part or "-" for part in named) for named in parts)

    async def reaches(self, place: str) -> bool:
        """Whether this process can go on with a deployment to a place that another one named; see `place`."""
        return False

    async def acting_user(self, request: DeploymentRequest, place: str) -> "ActingUser | None":
        """Whom the place takes this process for; only a process of the same user goes on with a deployment.

        Args:
            request: What is wanted.
            place: Where it goes, as the process that began it named it.

        Returns:
            The user. None: nobody can tell, and only a process of the same user of the same machine goes on.

        Raises:
            KlepaasError: That is not known now; it is asked again.
        """
        return None

    async def plan(self, request: DeploymentRequest) -> ChangeSet:
        """What deploying would change; it changes nothing.

        An agent that gives none is taken at its own words: those of its `preview`.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        said = (await self.preview(request)).text
        risk = Risk(code="own-words", text=f"what the agent {self.name} changes is known by its own words only",
                    severity=Effect.WRITE)  # fmt: skip
        notes = tuple(line for line in said.splitlines() if line.strip())
        return ChangeSet(title=f"Deploying {request.app_name}", objects=(), notes=notes, risks=(risk,))

    async def preview(self, request: DeploymentRequest) -> Answer:
        """Say what deploying would change, and change nothing; only for an agent that gives no `plan`.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        raise NotImplementedError(f"the deployment agent {self.name} has neither a plan nor a preview")

    @abstractmethod
    async def deploy(self, request: DeploymentRequest, run: "Run") -> "Outcome":
        """Deploy, and see it through until it is healthy, or failed for a cause that is known.

        It is called again from the start after a crash of the server, and where it raised an error that is temporary:
        so it has every effect through `run.step`, and between the effects it only reads.

        Args:
            request: What is wanted.
            run: The operation: its steps, its progress, its notes, its deadline.

        Raises:
            KlepaasError: It was refused or failed; the error says what was changed.
        """

    async def leave_in_order(
        self, request: DeploymentRequest, run: "Run", reason: "Interrupted"
    ) -> "Outcome | None":  # fmt: skip
        """Tidy up after a cancel, the deadline, or too many attempts.

        Args:
            request: What was wanted.
            run: The operation; it may make further steps.
            reason: Why it was stopped.

        Returns:
            How it ended. None: there is nothing to tidy up; what was done stays.
        """
        return None

    async def end_unread(self, run: "Run", why: str) -> "Outcome | None":
        """End a deployment that has begun and whose request cannot be read any more, since its key is lost.

        Args:
            run: The operation: its target, its notes and the names of its steps are readable. It may make steps.
            why: Why the request cannot be read, as part of a sentence.

        Returns:
            How it ended. None: nobody can tell; it ends as unknown.
        """
        return None


class Agents:
    """The agents of one server, in the order in which they are asked."""

    def __init__(self) -> None:
        self._offered: list[Contribution[DeploymentAgent]] = []

    @classmethod
    def of(cls, host: Host) -> "Agents":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def collect(self, plugins: "Plugins", host: Host) -> None:
        """Ask every plugin for its agents; a plugin that claims a name that is taken is left out.

        Args:
            plugins: The plugins to ask.
            host: What they get.
        """
        # Its own class is abstract; what plugins give are instances of others.
        kind: type[DeploymentAgent] = DeploymentAgent  # type: ignore[type-abstract]
        self._offered = []
        for contribution in plugins.contributions("klepaas_deployment_agents", kind, host=host):
            name = contribution.item.name
            taken = next((other.plugin for other in self._offered if other.item.name == name), None)
            if taken is None:
                self._offered.append(contribution)
            else:
                reason = f"its deployment agent {name!r} is already offered by {taken.name} ({taken.source})"
                plugins.fail(contribution.plugin, reason)

    @property
    def all(self) -> list[DeploymentAgent]:
        """The agents of the plugins that take part."""
        return [found.item for found in self._offered if found.plugin.reason is None]

    def named(self, name: str) -> DeploymentAgent | None:
        """The agent of this name. None: there is none, or its plugin failed."""
        return next((agent for agent in self.all if agent.name == name), None)

    def choose(self, request: DeploymentRequest) -> DeploymentAgent:
        """The agent that carries a request out.

        Raises:
            Unavailable: There is no agent at all.
            BadRequest: None accepts it.
        """
        agents = self.all
        for agent in agents:
            if _accepts(agent, request):
                return agent
        if not agents:
            raise Unavailable(
                f"Nothing can carry out the deployment of {request.app_name}: no deployment agent is active",
                next_step="Ask the person who runs klepaas to look at `klepaas plugins list`; `cluster` is built in",
            )
        raise BadRequest(
            f"No deployment agent accepts this request for {request.app_name}; "
            f"there {'is' if len(agents) == 1 else 'are'} {', '.join(agent.name for agent in agents)}",
            next_step="Give an image, or ask the person who runs klepaas for an agent that can do this",
        )


def _accepts(agent: DeploymentAgent, request: DeploymentRequest) -> bool:
    try:
        return agent.accepts(request)
    except Exception as exc:  # guarded boundary: a stranger's agent must not keep the others from deploying
        log.warning(
            "the deployment agent %s failed when it was asked: %s", agent.name, type(exc).__name__, exc_info=exc
        )
        return False
