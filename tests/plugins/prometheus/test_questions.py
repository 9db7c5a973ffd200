"""The ready-made questions: whose pods are whose, which metric answers; and Prometheus accepts every expression."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from tests.plugins.monitoring_servers import needs, prometheus

from klepaas.errors import BadRequest
from klepaas.testing import scale_timeout
from klepaas_plugins.prometheus.expressions import OF_NODES, OF_PODS
from klepaas_plugins.prometheus.questions import ALL, Place, Question, candidates, chosen, selectors

from .conftest import Asking

PLACES = (
    Place(),
    Place("web"),
    Place("web", "shop"),
    Place(f"Shop_api.v2-{'x' * 60}", "shop"),
    Place(namespace="shop"),
    Place(node="node-1.example"),
    Place(node=ALL),
)
EVERY: list[Question] = list(get_args(Question))


def queries() -> Iterator[str]:
    """Every expression in every way that it can be asked."""
    for place in PLACES:
        for question in EVERY:
            if place.node is None or question in OF_NODES:
                for one in candidates(question, place):
                    yield from (one.promql(way, "300s", "3600s") for way in one.ways)
                yield from selectors(candidates(question, place))


def test_every_question_has_expressions() -> None:
    assert set(OF_PODS) == set(EVERY)
    assert set(OF_NODES) < set(EVERY)
    for text in queries():
        assert not any(word in text for word in ("SEL", "WINDOW", "RANGE", ",}", "{}")), text


@pytest.mark.anyio
@pytest.mark.timeout(scale_timeout(75))
async def test_prometheus_accepts_every_expression(asking: Asking, tmp_path: Path) -> None:
    needs("prometheus")
    texts = list(dict.fromkeys(queries()))
    assert len(texts) > 100
    with prometheus(tmp_path) as server:
        async with asking(base_url=server.url) as session:
            for text in texts:
                said = await session.call("query_metrics", query=text)
                assert said.text == "No series.", f"{text}\n{said.text}"


@pytest.mark.parametrize(
    ("pod", "is_of_web"),
    [
        ("web", True),
        ("web-7d4b9c6f5-x2x4z", True),
        ("web-0", True),
        ("web-12", True),
        ("web-x2x4z", True),
        ("web-admin-7d4b9c6f5-x2x4z", False),
        ("web-admin", False),
        ("web-admin-0", False),
        ("my-web-0", False),
        ("website-7d4b9c6f5-x2x4z", False),
    ],
)
def test_pods_belong_to_their_application(pod: str, is_of_web: bool) -> None:
    ways = candidates("cpu", Place("web"))
    found = chosen(ways, [{"__name__": "container_cpu_usage_seconds_total", "pod": pod}])
    assert (found is not None) is is_of_web


def test_the_best_metric_that_there_is_answers() -> None:
    ways = candidates("errors", Place("web", "shop"))
    label = {"namespace": "shop", "job": "prod/web"}
    istio = {"__name__": "istio_requests_total", "destination_workload": "web", "response_code": "200"}
    istio["destination_workload_namespace"] = "shop"
    plain = {"__name__": "http_requests_total", "status": "200", **label}
    for there, wanted in (([istio], "istio"), ([istio, plain], 'http_requests_total{status=~"5.*"')):
        found = chosen(ways, there)
        assert found is not None
        assert wanted in found[0].promql(found[1], "300s", "3600s")
    assert chosen(ways, [{**plain, "namespace": "other"}]) is None


def test_a_node_is_found_by_its_name_and_its_address() -> None:
    ways = candidates("cpu", Place(node="10.0.0.7"))
    there = [{"__name__": "node_cpu_seconds_total", "instance": "10.0.0.7:9100"}]
    assert chosen(ways, there) is not None
    assert chosen(ways, [{"__name__": "node_cpu_seconds_total", "instance": "10.0.0.77:9100"}]) is None
    assert chosen(ways, [{"__name__": "node_cpu_seconds_total", "instance": "10x0y0z7:9100"}]) is None


def test_a_node_has_neither_application_nor_restarts() -> None:
    with pytest.raises(BadRequest, match="excludes"):
        candidates("cpu", Place("web", node="a"))
    with pytest.raises(BadRequest, match="no restarts of a node"):
        candidates("restarts", Place(node="a"))
