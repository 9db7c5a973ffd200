"""The tools of the applications toolset: their parameters as a model sees them, and nothing else.

Every text parameter carries its check; what a tool does stands in the modules that it calls.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
from fastmcp import Context
from pydantic import Field

from klepaas import names
from klepaas.agents import Agents, DeploymentRequest, Report
from klepaas.host import Host
from klepaas.notifications import Notifications
from klepaas.output import Answer
from klepaas.tools import Effect, Target, Tool
from klepaas_plugins.deployments import listing
from klepaas_plugins.deployments.changing import Changer
from klepaas_plugins.deployments.overview import overview
from klepaas_plugins.deployments.place import Place, place_of
from klepaas_plugins.deployments.progress import ChangesInProgress
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.status import status_of
from klepaas_plugins.deployments.telling import DEPLOYED, ROLLED_BACK, told
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["Desk", "application_tools"]

TOOLSET = "applications"
# The words in which people wish for each, for the server's instructions.
_OVERVIEW = ("overview", "what is wrong", "현황", "전체 상태")
_STATUS = ("status", "endpoint", "URL", "why is it ill", "상태", "접속 주소", "원인")
_LIST = ("applications", "앱 목록")
_DEPLOY = ("deploy", "release", "new image", "배포", "업데이트")
_SCALE = ("scale", "replicas", "스케일", "늘려", "줄여")
_RESTART = ("restart", "재시작")
_ROLL_BACK = ("roll back", "undo", "롤백", "되돌려")
WAIT_MAX_S = 600
# Beyond the longest wait: looking, applying and collecting evidence.
_TIMEOUT_S = WAIT_MAX_S + 60.0

_RESOURCE = names.Check(
    "resource",
    lambda text: text in ("cpu", "memory", "cpu_limit", "memory_limit"),
    "cpu, memory, cpu_limit or memory_limit",
)
AppName = Annotated[str, names.WORKLOAD]
Namespace = Annotated[str | None, names.NAMESPACE]
ContextName = Annotated[str | None, names.CONTEXT]
Variables = dict[Annotated[str, names.ENVIRONMENT_VARIABLE], Annotated[str | None, names.COUNTED_TEXT]]
Resources = dict[Annotated[str, _RESOURCE], Annotated[str, names.QUANTITY]]
WaitS = Annotated[int, Field(ge=0, le=WAIT_MAX_S, description="Seconds to wait for the rollout; 0: none")]
DryRun = Annotated[bool, Field(description="Only show what would change")]


@dataclass(frozen=True)
class Desk:
    """What every tool needs.

    Attributes:
        clusters: The clusters there are.
        running: The changes that run now.
        settings: How a rollout is judged.
        agents: What carries deployments out.
        notifications: Who is told how a change went.
    """

    clusters: Clusters
    running: ChangesInProgress
    settings: RolloutSettings
    agents: Agents
    notifications: Notifications

    async def place(self, app_name: str, namespace: str | None, context: str | None) -> Place:
        """The application that a call is about."""
        return await place_of(self.clusters, app_name, namespace, context)

    async def targets(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        """What a change of an application changes."""
        place = await self.place(arguments["app_name"], arguments.get("namespace"), arguments.get("context"))
        return (place.target,)

    async def deployed(self, arguments: Mapping[str, Any]) -> Sequence[Target]:
        """What a deployment changes, as its agent tells."""
        request = _request(**arguments)
        return await self.agents.choose(request).targets(request)

    def hold(self, place: Place, tool: str, dry_run: bool) -> AbstractContextManager[None]:
        """Hold the application for the time of a change; a dry run changes nothing and need not."""
        return nullcontext() if dry_run else self.running.claim(place, tool)

    def changer(self, place: Place, wait_s: float, dry_run: bool, ctx: Context) -> Changer:
        """What changes it."""
        return Changer(place, self.settings, wait_s, dry_run, _reporter(ctx))


def application_tools(host: Host) -> Iterable[Tool]:
    """The tools, for one host."""
    desk = Desk(
        Clusters.of(host), ChangesInProgress.of(host), RolloutSettings.of(host), Agents.of(host), Notifications.of(host)
    )
    yield _deploy(desk)
    yield from _changing(desk)
    yield from _reading(desk)


def _reporter(ctx: Context) -> Report:
    async def report(done: float, total: float, message: str) -> None:
        # A client that no longer listens must not end the wait of a change that others may look at.
        try:
            await ctx.report_progress(done, total, message)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return

    return report


def _request(
    app_name: str,
    image: str,
    namespace: str | None = None,
    replicas: int | None = None,
    port: int | None = None,
    env_vars: Variables | None = None,
    resources: Resources | None = None,
    health_path: str | None = None,
    *,
    take_ownership: bool = False,
    context: str | None = None,
    **_how: Any,
) -> DeploymentRequest:
    """What a call of deploy_application wants, without how it wants to be answered."""
    wanted = (replicas, port, env_vars or {}, resources or {}, health_path, take_ownership)
    return DeploymentRequest(app_name, image, context, namespace, *wanted)


def _deploy(desk: Desk) -> Tool:
    async def deploy_application(
        app_name: AppName,
        image: Annotated[str, names.IMAGE],
        ctx: Context,
        namespace: Namespace = None,
        replicas: Annotated[int | None, Field(ge=0, le=1000)] = None,
        port: Annotated[int | None, Field(ge=1, le=65535, description="Port the container listens on")] = None,
        env_vars: Annotated[Variables | None, Field(description="Merged; null removes one")] = None,
        resources: Annotated[Resources | None, Field(description="cpu, memory, cpu_limit, memory_limit")] = None,
        health_path: Annotated[str | None, names.HTTP_PATH, Field(description="HTTP path for readiness")] = None,
        wait_s: WaitS = 120,
        dry_run: DryRun = False,
        take_ownership: Annotated[bool, Field(description="Take over fields other managers own")] = False,
        context: ContextName = None,
    ) -> Answer:
        """Deploy or update an application from an image, and wait until it is healthy or the cause of failure is known.

        Settings that are left out stay as they are.
        """
        request = _request(
            app_name, image, namespace, replicas, port, env_vars, resources, health_path,
            take_ownership=take_ownership, context=context,
        )  # fmt: skip
        agent = desk.agents.choose(request)
        if dry_run:
            return await agent.preview(request)
        return await told(desk.notifications, DEPLOYED, agent.deploy(request, _reporter(ctx), wait_s))

    return _changing_tool(deploy_application, "Deploy an application", desk.deployed, idempotent=True, words=_DEPLOY)


def _changing(desk: Desk) -> Iterable[Tool]:
    async def rollback_deployment(
        app_name: AppName,
        ctx: Context,
        revision: Annotated[int | None, Field(ge=1, description="Default: the last one that differs")] = None,
        namespace: Namespace = None,
        wait_s: WaitS = 120,
        dry_run: DryRun = False,
        context: ContextName = None,
    ) -> Answer:
        """Restore an application's whole pod template from an earlier revision, and wait until it is healthy."""
        place = await desk.place(app_name, namespace, context)
        with desk.hold(place, "rollback_deployment", dry_run):
            work = desk.changer(place, wait_s, dry_run, ctx).roll_back(revision)
            return await told(desk.notifications, ROLLED_BACK, work)

    async def scale_application(
        app_name: AppName,
        replicas: Annotated[int, Field(ge=0, le=1000)],
        ctx: Context,
        namespace: Namespace = None,
        wait_s: WaitS = 120,
        dry_run: DryRun = False,
        context: ContextName = None,
    ) -> Answer:
        """Change how many pods an application has, and wait for them."""
        place = await desk.place(app_name, namespace, context)
        with desk.hold(place, "scale_application", dry_run):
            return await desk.changer(place, wait_s, dry_run, ctx).scale(replicas)

    async def restart_application(
        app_name: AppName,
        ctx: Context,
        namespace: Namespace = None,
        wait_s: WaitS = 120,
        dry_run: DryRun = False,
        context: ContextName = None,
    ) -> Answer:
        """Replace an application's pods one after another, and wait for the new ones."""
        place = await desk.place(app_name, namespace, context)
        with desk.hold(place, "restart_application", dry_run):
            return await desk.changer(place, wait_s, dry_run, ctx).restart()

    yield _changing_tool(rollback_deployment, "Roll back an application", desk.targets, words=_ROLL_BACK)
    yield _changing_tool(scale_application, "Scale an application", desk.targets, idempotent=True, words=_SCALE)
    yield _changing_tool(restart_application, "Restart an application", desk.targets, words=_RESTART)


def _reading(desk: Desk) -> Iterable[Tool]:
    async def get_deployment_status(
        app_name: AppName, namespace: Namespace = None, context: ContextName = None
    ) -> Answer:
        """How an application is: state, cause of trouble with log lines and events, endpoint, earlier revisions."""
        return await status_of(await desk.place(app_name, namespace, context), desk.settings)

    async def list_applications(
        namespace: Namespace = None, all_namespaces: bool = False, context: ContextName = None
    ) -> Answer:
        """Applications with their state and image, unhealthy first."""
        cluster = await desk.clusters.cluster(context)
        where = None if all_namespaces else namespace or cluster.default_namespace
        return await listing.list_applications(cluster, where, desk.settings.unschedulable_grace_s)

    async def get_overview(namespace: Namespace = None, context: ContextName = None) -> Answer:
        """What runs in the cluster and what is wrong: nodes, unhealthy applications with causes, warnings, changes."""
        return await overview(await desk.clusters.cluster(context), namespace, desk.settings)

    yield _reading_tool(get_deployment_status, "Status of an application", _STATUS)
    yield _reading_tool(list_applications, "List applications", _LIST)
    yield _reading_tool(get_overview, "Overview of the cluster", _OVERVIEW)


def _changing_tool(
    function: Any, title: str, targets: Any, *, idempotent: bool = False, words: tuple[str, ...] = ()
) -> Tool:
    return Tool(
        function,
        Effect.WRITE,
        title,
        TOOLSET,
        foreign_text=True,
        idempotent=idempotent,
        timeout_s=_TIMEOUT_S,
        targets=targets,
        words=words,
    )


def _reading_tool(function: Any, title: str, words: tuple[str, ...]) -> Tool:
    return Tool(function, Effect.READ, title, TOOLSET, foreign_text=True, idempotent=True, words=words)
