"""A real Prometheus that scrapes a page of ours each second: a counter that starts anew, a series that goes away."""

import re
from pathlib import Path

import anyio
import pytest
from tests.plugins.monitoring_servers import needs, prometheus, scrape

from klepaas.testing import FakeHttp, HttpRequest, Session, scale_timeout
from klepaas.testing.fault_proxy import Answer

from .conftest import Asking

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]
STEPS_BEFORE_RESET = 4


class Page:
    """The page of an application: a counter that falls back to 0 once, and a series that is there while wanted."""

    def __init__(self) -> None:
        self.scrapes = 0
        self.with_queue = True

    def __call__(self, _request: HttpRequest) -> Answer:
        """The page, as it is at this scrape."""
        self.scrapes += 1
        done = self.scrapes % STEPS_BEFORE_RESET if self.scrapes < 2 * STEPS_BEFORE_RESET else self.scrapes
        lines = ["# HELP jobs_total Jobs that are done.", "# TYPE jobs_total counter", f"jobs_total {done}"]
        lines += ["# TYPE queue gauge", "queue 7"] if self.with_queue else []
        return Answer(200, {"Content-Type": "text/plain; version=0.0.4"}, ("\n".join(lines) + "\n").encode())


@pytest.fixture
async def page(fake: FakeHttp) -> Page:
    """The page, served by the fake."""
    served = Page()
    fake.handle("GET", "/metrics", served)
    return served


async def _scraped(page: Page, wanted: int) -> None:
    with anyio.fail_after(scale_timeout(30)):
        while page.scrapes < wanted:  # noqa: ASYNC110 -- what scrapes is another process
            await anyio.sleep(0.1)


async def _told(session: Session, wanted: str) -> str:
    """What is told of the last half minute, once it says that."""
    with anyio.fail_after(scale_timeout(30)):
        while True:
            said = await session.call("query_metrics", query='{job="web",instance=~".+"}', range_s=30, step_s=1)
            if re.search(wanted, said.text):
                return said.text
            await anyio.sleep(0.3)


async def test_resets_and_ends_are_told(asking: Asking, fake: FakeHttp, page: Page, tmp_path: Path) -> None:
    needs("prometheus")
    jobs = [scrape("web", fake.proxy.port)]
    with prometheus(tmp_path, scrape_configs=jobs) as server:
        async with asking(base_url=server.url) as session:
            await _scraped(page, STEPS_BEFORE_RESET + 3)
            text = await _told(session, r"jobs_total\t.*1 resets")
            assert "[these are counters: rate(...[5m]) shows how fast they grow]" in text
            assert re.search(r"queue\t7\t7\t7\t7\tflat\tbegan \d\d:\d\d:\d\d\n", text)
            page.with_queue = False
            text = await _told(session, r"queue\t7\t7\t7\t7\tflat\tbegan \S+; ended \d\d:\d\d:\d\d")
            assert re.search(r"\nup\t1\t", text)
            metrics = await session.call("list_metrics", search="jobs done")
    assert metrics.text.splitlines()[1] == "jobs_total\tcounter\tJobs that are done."
