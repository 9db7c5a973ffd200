"""The tools about releases and history: their parameters as a model sees them, and nothing else.

They read only; going back is `rollback_deployment`'s affair.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from klepaas import names
from klepaas.output import Answer, Output
from klepaas.tools import Tool
from klepaas_plugins.deployments.declaring import AppName, ContextName, Namespace, reading_tool

if TYPE_CHECKING:
    from klepaas.host import Host
    from klepaas_plugins.deployments.place import Place
    from klepaas_plugins.deployments.releases import Releases

__all__ = ["ReleaseTools"]

_LIST = ("releases", "versions", "rollback candidates", "릴리스 목록", "롤백 후보")
_DIFF = ("drift", "what changed", "변경점", "차이")
_HISTORY = ("deployment history", "statistics", "who deployed", "배포 이력", "배포 통계")

_CURSOR = names.Check(
    "cursor", lambda text: text.isascii() and text.isdigit(), "the cursor exactly as an answer gave it", max_chars=9
)
_MOMENT = names.Check(
    "cursor",
    lambda text: re.fullmatch(r"[0-9]{1,11}\.[0-9]{1,9}", text) is not None,
    "the cursor exactly as an answer gave it",
)


class ReleaseTools:
    """The tools about releases and history.

    Args:
        host: The server's settings and shared services.
    """

    def __init__(self, host: "Host") -> None:
        self._host = host

    def tools(self) -> Iterable[Tool]:
        """The tools, declared."""
        for function, title, words, hint in (
            (self.list_releases, "Releases of an application", _LIST, "which version runs now"),
            (self.diff_releases, "Compare releases", _DIFF, "compare versions difference"),
            (self.get_deployment_history, "History of deployments", _HISTORY, "past deployments success rate"),
        ):
            yield reading_tool(function, title, words, hint=hint)

    async def list_releases(
        self,
        app_name: AppName,
        namespace: Namespace = None,
        cursor: Annotated[str | None, _CURSOR] = None,
        context: ContextName = None,
        output: Output = "text",
    ) -> Answer:
        """Releases (versions, rollback candidates) of an application: who, when, what, how it went, steps back."""
        from klepaas_plugins.deployments.releases import listing

        place, releases = await _releases(self._host, app_name, namespace, context)
        return await listing.list_releases(place, releases, cursor, output)

    async def diff_releases(
        self,
        app_name: AppName,
        before: Annotated[int | None, Field(ge=1, description="Default: the release that runs")] = None,
        after: Annotated[int | None, Field(ge=1, description="Default: what runs now, so drift")] = None,
        namespace: Namespace = None,
        context: ContextName = None,
        output: Output = "text",
    ) -> Answer:
        """What changed between two releases, or since a release (drift), field by field."""
        from klepaas_plugins.deployments.releases import listing

        place, releases = await _releases(self._host, app_name, namespace, context)
        return await listing.diff_releases(place, releases, before, after, output)

    async def get_deployment_history(
        self,
        app_name: Annotated[str | None, names.APPLICATION, Field(description="Default: all")] = None,
        namespace: Namespace = None,
        days: Annotated[int, Field(ge=1, le=3650, description="For the figures")] = 30,
        cursor: Annotated[str | None, _MOMENT] = None,
        context: ContextName = None,
        output: Output = "text",
    ) -> Answer:
        """Deployment history and statistics: success rate, durations, who deployed what, why the failed ones failed."""
        from klepaas_plugins.deployments.past import Question, history_of

        place = await _place(self._host, app_name, namespace, context) if app_name is not None else None
        before = float(cursor) if cursor is not None else None
        return await history_of(self._host, Question(place, namespace, context, days, before), output)


async def _place(host: "Host", app_name: str, namespace: str | None, context: str | None) -> "Place":
    from klepaas_plugins.deployments.place import locate
    from klepaas_plugins.kubernetes.client import Clusters

    return await locate(Clusters.of(host), app_name, namespace, context)


async def _releases(
    host: "Host", app_name: str, namespace: str | None, context: str | None
) -> "tuple[Place, Releases]":
    from klepaas_plugins.deployments.releases import Releases, ReleaseSettings

    place = await _place(host, app_name, namespace, context)
    return place, Releases(place, ReleaseSettings.of(host))
