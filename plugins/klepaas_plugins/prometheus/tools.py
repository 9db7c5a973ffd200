"""The Prometheus tools that a model calls: their parameters, and what each says about itself.

These docstrings are read by every client in every conversation, and each word is paid for; what they do is imported
when they are called.
"""

from typing import Annotated, Literal

from pydantic import Field

from klepaas import names
from klepaas.host import Host
from klepaas.output import Answer
from klepaas.tools import Effect, Tool
from klepaas_plugins.prometheus.parameters import CURSOR, LABEL, METRIC, PROMQL, SEARCH, SERVER, TIME

__all__ = ["PrometheusTools"]

TOOLSET = "prometheus"
Server = Annotated[str | None, SERVER]
Limit = Annotated[int, Field(ge=1, le=500)]
Question = Literal["cpu", "memory", "disk", "network", "restarts", "saturation", "errors", "latency"]
_WORDS = ("metrics", "PromQL", "메트릭", "지표")


class PrometheusTools:
    """The tools of the Prometheus plugin.

    Args:
        host: The server's settings and shared services.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def tools(self) -> list[Tool]:
        """The tools, declared."""
        return [
            Tool(
                self.query_metrics, Effect.READ, "Query metrics", TOOLSET, foreign_text=True, words=_WORDS,
                search_hint="graph cpu memory latency error rate",
            ),
            Tool(
                self.list_metrics, Effect.READ, "List metrics", TOOLSET, foreign_text=True,
                search_hint="find prometheus metrics labels values",
            ),
            Tool(
                self.inspect_prometheus, Effect.READ, "Look at alerts, rules and targets", TOOLSET,
                foreign_text=True, words=("alerts", "알림"),
                search_hint="firing alerts alerting rules scrape targets prometheus",
            ),
        ]  # fmt: skip

    async def query_metrics(
        self,
        query: Annotated[str | None, PROMQL, Field(description="PromQL")] = None,
        question: Annotated[Question | None, Field(description="Instead of a query")] = None,
        app_name: Annotated[str | None, names.APPLICATION] = None,
        namespace: Annotated[str | None, names.NAMESPACE] = None,
        node: Annotated[str | None, names.OBJECT, Field(description='Or "all"')] = None,
        range_s: Annotated[int | None, Field(ge=1, description="How far back; without it, a query's value now")] = None,
        end_time: Annotated[str | None, TIME, Field(description="Else now")] = None,
        step_s: Annotated[int | None, Field(ge=1)] = None,
        limit: Limit = 40,
        points: Annotated[bool, Field(description="Raw points, in pages")] = False,
        cursor: Annotated[str | None, CURSOR] = None,
        server: Server = None,
    ) -> Answer:
        """Query Prometheus metrics (PromQL), or ask a ready question about an application, namespace or node.

        A range is summed up by series: last, min, max, mean, trend, changes of level.
        """
        from klepaas_plugins.prometheus.asking import Asking, answer_query
        from klepaas_plugins.prometheus.client import PrometheusServers
        from klepaas_plugins.prometheus.figures import time_of
        from klepaas_plugins.prometheus.points import answer_points
        from klepaas_plugins.prometheus.questions import Place

        asking = Asking(
            PrometheusServers.of(self._host).get(server),
            query,
            question,
            Place(app_name, namespace, node),
            range_s,
            time_of(end_time) if end_time else None,
            step_s,
            limit,
        )
        return await (
            answer_points(self._host, asking, cursor) if points or cursor else answer_query(self._host, asking)
        )

    async def list_metrics(
        self,
        search: Annotated[str | None, SEARCH, Field(description="Words in name or help")] = None,
        metric: Annotated[str | None, METRIC, Field(description="Its labels")] = None,
        label: Annotated[str | None, LABEL, Field(description="Its values")] = None,
        limit: Limit = 50,
        server: Server = None,
    ) -> Answer:
        """Find metrics, a metric's labels, or a label's values."""
        from klepaas_plugins.prometheus.catalogue import Catalogue, answer_metrics
        from klepaas_plugins.prometheus.client import PrometheusServers

        return await answer_metrics(
            Catalogue(PrometheusServers.of(self._host).get(server), search, metric, label, limit)
        )

    async def inspect_prometheus(
        self,
        what: Literal["alerts", "rules", "targets"],
        search: Annotated[str | None, SEARCH] = None,
        limit: Limit = 50,
        server: Server = None,
    ) -> Answer:
        """Alerts with state and since when, alerting rules, or scrape targets; trouble first."""
        from klepaas_plugins.prometheus.client import PrometheusServers
        from klepaas_plugins.prometheus.inspecting import Inspection, answer_inspection

        return await answer_inspection(Inspection(PrometheusServers.of(self._host).get(server), what, search, limit))
