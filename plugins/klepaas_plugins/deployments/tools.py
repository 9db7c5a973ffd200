"""The tools of the applications toolset: their parameters as a model sees them, and nothing else.

Every text parameter carries its check; what a tool does stands in the modules that it calls.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any

from fastmcp import Context
from pydantic import Field

from klepaas import names
from klepaas.agents import Agents
from klepaas.changes import ChangeSet, current_change_set
from klepaas.host import Host
from klepaas.operations import PLANNED
from klepaas.output import Answer
from klepaas.tools import Effect, Target, Tool
from klepaas_plugins.deployments import kinds
from klepaas_plugins.deployments.declaring import (
    COMMIT,
    URL,
    AppName,
    ContextName,
    DryRun,
    Key,
    Namespace,
    Resources,
    TakeOwnership,
    Variables,
    WaitS,
    changing_tool,
)
from klepaas_plugins.deployments.reading_tools import ReadingTools
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.tool_context import ToolContext, planned_now, request_of
from klepaas_plugins.kubernetes.client import MANIFESTS, Clusters

__all__ = ["application_tools"]

# The words in which people wish for each, for the server's instructions.
_DEPLOY = ("deploy", "release", "new image", "배포", "업데이트")
_SCALE = ("scale", "replicas", "스케일", "늘려", "줄여")
_RESTART = ("restart", "재시작")
_ROLL_BACK = ("roll back", "undo", "롤백", "되돌려")


def application_tools(host: Host) -> Iterable[Tool]:
    """The tools, for one host."""
    context = ToolContext(Clusters.of(host), RolloutSettings.of(host), Agents.of(host), host)
    yield _deploy(context)
    yield _rollback(context)
    yield _scale(context)
    yield _restart(context)
    yield from ReadingTools(context).tools()


def _deploy(tools: ToolContext) -> Tool:
    async def deploy_application(
        app_name: AppName,
        ctx: Context,
        image: Annotated[str | None, names.IMAGE] = None,
        manifests: Annotated[str | None, MANIFESTS, Field(description="YAML, in place of image to resources")] = None,
        namespace: Namespace = None,
        replicas: Annotated[int | None, Field(ge=0, le=1000)] = None,
        port: Annotated[int | None, Field(ge=1, le=65535, description="Port the container listens on")] = None,
        env_vars: Annotated[Variables | None, Field(description="NAME=value, merged; a bare NAME removes it")] = None,
        resources: Resources | None = None,
        health_path: Annotated[str | None, names.HTTP_PATH, Field(description="HTTP path for readiness")] = None,
        url: Annotated[str | None, URL, Field(description="Note for people: its address; routes nothing")] = None,
        wait_s: WaitS = None,
        dry_run: DryRun = False,
        take_ownership: TakeOwnership = False,
        auto_rollback: Annotated[bool | None, Field(description="false leaves a failure in place")] = None,
        idempotency_key: Key = None,
        context: ContextName = None,
    ) -> Answer:
        """Deploy, release or update an application from a new image or manifests.

        It waits until the new pods stay ready, or rolls back and names the cause of failure.

        Settings that are left out stay as they are.
        """
        request = request_of(
            app_name, image, namespace, replicas, port, env_vars, resources, health_path,
            take_ownership=take_ownership, context=context, manifests=manifests, auto_rollback=auto_rollback, url=url,
        )  # fmt: skip
        agent = tools.agents.choose(request)
        place = await agent.place(request)
        kept = {"agent": agent.name, "place": place, "wanted": request.as_json(), PLANNED: planned_now()}
        what = image or ("manifests" if manifests is not None else "other settings")
        title = f"Deploying {what} as {app_name}"
        where = next(iter(await agent.targets(request)), Target())
        return await tools.execute(kinds.DEPLOY, place, title, kept, (ctx, wait_s, idempotency_key), where)

    return changing_tool(
        deploy_application,
        "Deploy an application",
        tools.deployment_targets,
        plan=_deployment_plan(tools),
        idempotent=True,
        words=_DEPLOY,
        hint="ship roll out new version environment variables",
        always_load=True,
    )


def _deployment_plan(tools: ToolContext) -> Callable[..., Awaitable[ChangeSet]]:
    async def plan_deployment(
        app_name: AppName,
        image: Annotated[str | None, names.IMAGE] = None,
        manifests: Annotated[str | None, MANIFESTS] = None,
        namespace: Namespace = None,
        replicas: Annotated[int | None, Field(ge=0, le=1000)] = None,
        port: Annotated[int | None, Field(ge=1, le=65535)] = None,
        env_vars: Variables | None = None,
        resources: Resources | None = None,
        health_path: Annotated[str | None, names.HTTP_PATH] = None,
        take_ownership: TakeOwnership = False,
        context: ContextName = None,
    ) -> ChangeSet:
        request = request_of(
            app_name, image, namespace, replicas, port, env_vars, resources, health_path,
            take_ownership=take_ownership, context=context, manifests=manifests,
        )  # fmt: skip
        return await tools.agents.choose(request).plan(request)

    return plan_deployment


def _scale(tools: ToolContext) -> Tool:
    async def scale_application(
        app_name: AppName,
        replicas: Annotated[int, Field(ge=0, le=1000)],
        ctx: Context,
        namespace: Namespace = None,
        wait_s: WaitS = None,
        dry_run: DryRun = False,
        take_ownership: TakeOwnership = False,
        idempotency_key: Key = None,
        context: ContextName = None,
    ) -> Answer:
        """Scale an application: change how many pods (replicas) it has, and wait for them."""
        place = await tools.place(app_name, namespace, context)
        how, title = (ctx, wait_s, idempotency_key), f"Scaling {app_name} to {replicas}"
        wanted: dict[str, Any] = {"replicas": replicas, "take_ownership": take_ownership}
        return await tools.change(kinds.SCALE, title, place, how, pins={}, **wanted)

    async def plan_scaling(
        app_name: AppName,
        replicas: Annotated[int, Field(ge=0, le=1000)],
        namespace: Namespace = None,
        take_ownership: TakeOwnership = False,
        context: ContextName = None,
    ) -> ChangeSet:
        from klepaas_plugins.deployments.planning.scale import Scaling

        place = await tools.place(app_name, namespace, context)
        return tools.keep_looks((await Scaling(place, replicas, take_ownership).planned()).change_set, place)

    return changing_tool(
        scale_application,
        "Scale an application",
        tools.targets,
        plan=plan_scaling,
        idempotent=True,
        words=_SCALE,
        hint="scale up down more fewer instances",
    )


def _restart(tools: ToolContext) -> Tool:
    async def restart_application(
        app_name: AppName,
        ctx: Context,
        namespace: Namespace = None,
        wait_s: WaitS = None,
        dry_run: DryRun = False,
        take_ownership: TakeOwnership = False,
        idempotency_key: Key = None,
        context: ContextName = None,
    ) -> Answer:
        """Restart an application: replace its pods in turn, and wait for them."""
        place = await tools.place(app_name, namespace, context)
        how = (ctx, wait_s, idempotency_key)
        tools.forget_moment(place)
        pins = {"moment": current_change_set().basis["moment"]}
        title, wanted = f"Restarting {app_name}", {"take_ownership": take_ownership}
        return await tools.change(kinds.RESTART, title, place, how, pins=pins, **wanted)

    async def plan_restart(
        app_name: AppName,
        namespace: Namespace = None,
        take_ownership: TakeOwnership = False,
        context: ContextName = None,
    ) -> ChangeSet:
        from klepaas_plugins.deployments.planning.restart import Restart

        place = await tools.place(app_name, namespace, context)
        planned = await Restart(place, tools.moment_for(place), take_ownership).planned()
        return tools.keep_looks(planned.change_set, place)

    return changing_tool(
        restart_application,
        "Restart an application",
        tools.targets,
        plan=plan_restart,
        words=_RESTART,
        worst=Effect.WRITE,
        hint="bounce recycle rollout",
    )


def _rollback(tools: ToolContext) -> Tool:
    async def rollback_deployment(
        app_name: AppName,
        ctx: Context,
        release: Annotated[int | None, Field(ge=1)] = None,
        steps: Annotated[int | None, Field(ge=1, le=100, description="Releases back; default 1")] = None,
        commit: Annotated[str | None, COMMIT] = None,
        revision: Annotated[int | None, Field(ge=1, description="Only the pod template of this revision")] = None,
        namespace: Namespace = None,
        wait_s: WaitS = None,
        dry_run: DryRun = False,
        take_ownership: TakeOwnership = False,
        idempotency_key: Key = None,
        context: ContextName = None,
    ) -> Answer:
        """Roll back (undo) an application to an earlier release, whole, and wait for its pods."""
        place = await tools.place(app_name, namespace, context)
        wanted: dict[str, Any] = {"release": release, "steps": steps, "commit": commit, "revision": revision}
        wanted["take_ownership"] = take_ownership
        how = (ctx, wait_s, idempotency_key)
        return await tools.change(kinds.ROLLBACK, f"Rolling {app_name} back", place, how, pins={}, **wanted)

    async def plan_rollback(
        app_name: AppName,
        release: Annotated[int | None, Field(ge=1)] = None,
        steps: Annotated[int | None, Field(ge=1, le=100)] = None,
        commit: Annotated[str | None, COMMIT] = None,
        revision: Annotated[int | None, Field(ge=1)] = None,
        namespace: Namespace = None,
        take_ownership: TakeOwnership = False,
        context: ContextName = None,
    ) -> ChangeSet:
        from klepaas_plugins.deployments.planning.rollback import GoingBack

        place = await tools.place(app_name, namespace, context)
        wanted: dict[str, Any] = {"release": release, "steps": steps, "commit": commit, "revision": revision}
        wanted["take_ownership"] = take_ownership
        return tools.keep_looks((await GoingBack.of(tools.host, place, **wanted).planned({})).change_set, place)

    return changing_tool(
        rollback_deployment,
        "Roll back an application",
        tools.targets,
        plan=plan_rollback,
        words=_ROLL_BACK,
        hint="revert previous version",
    )
