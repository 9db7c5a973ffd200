"""The fake answers by route, records what it carried out, and breaks in every way that a network has."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from klepaas.testing import (
    Cut,
    DelayedSuccess,
    FakeHttp,
    HalfOpen,
    HttpAnswer,
    HttpRequest,
    Latency,
    Reset,
    Stalled,
    WrongLength,
    failing,
    nonsense,
    rate_limited,
    scale_timeout,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http(fake: FakeHttp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=fake.url, trust_env=False, timeout=scale_timeout(20)) as one:
        yield one


async def test_it_answers_by_route_and_records_what_came(fake: FakeHttp, http: httpx.AsyncClient) -> None:
    answer = await http.get("/things/a%2Fb?x=1&y=%20&x=2", headers={"X-Who": "me"})
    assert answer.json() == {"state": "well"}
    (request,) = fake.requests
    assert (request.method, request.path, request.names) == ("GET", "/things/a%2Fb", {"name": "a%2Fb"})
    assert request.query == (("x", "1"), ("y", " "), ("x", "2"))
    assert request.headers["x-who"] == "me"


async def test_a_function_answers_by_what_was_asked(fake: FakeHttp, http: httpx.AsyncClient) -> None:
    async def double(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(201, {}, str(request.json["n"] * 2).encode())

    fake.handle("PUT", "/double", double)
    answer = await http.put("/double", json={"n": 21})
    assert (answer.status_code, answer.text) == (201, "42")


async def test_a_later_answer_takes_the_place_of_an_earlier_one(fake: FakeHttp, http: httpx.AsyncClient) -> None:
    fake.answer("GET", "/things/{name}", b"plain", status=202, headers={"Content-Type": "text/plain"})
    answer = await http.get("/things/web")
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (202, "plain", "text/plain")


async def test_a_route_that_names_a_segment_goes_before_one_that_takes_any(
    fake: FakeHttp, http: httpx.AsyncClient
) -> None:
    fake.answer("GET", "/things/special", {"state": "special"})
    assert (await http.get("/things/special")).json() == {"state": "special"}
    assert (await http.get("/things/web")).json() == {"state": "well"}


@pytest.mark.parametrize("path", ["/", "/things", "/things/a/b", "/things/"])
async def test_a_route_that_is_not_there_is_told_and_recorded(
    fake: FakeHttp, http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert "no route GET" in answer.json()["error"]
    assert fake.requests[0].path == path
    fake.forget()
    assert fake.requests == []


async def test_faults_for_the_next_requests_are_met_one_each_and_then_it_is_well(
    fake: FakeHttp, http: httpx.AsyncClient
) -> None:
    fake.fault_next(rate_limited(2), failing(502, "down"), nonsense())
    first, second, third, fourth = [await http.get("/things/web") for _ in range(4)]
    assert (first.status_code, first.headers["retry-after"]) == (429, "2")
    assert (second.status_code, second.json()) == (502, {"error": "down"})
    assert third.is_success
    with pytest.raises(ValueError, match="Expecting value"):
        third.json()
    assert fourth.json() == {"state": "well"}
    assert len(fake.requests) == 1
    assert fake.proxy.connections == 4


@pytest.mark.parametrize("fault", [Cut(), Cut(60), Reset(), WrongLength(10)], ids=repr)
async def test_it_cuts_and_lies(fake: FakeHttp, http: httpx.AsyncClient, fault: Cut | Reset | WrongLength) -> None:
    fake.fault = fault
    with pytest.raises(httpx.TransportError):
        await http.get("/things/web")
    fake.fault = None
    assert (await http.get("/things/web")).is_success


@pytest.mark.parametrize(("fault", "arrives"), [(HalfOpen(), 0), (Latency(3600), 0), (DelayedSuccess(), 1)], ids=repr)
async def test_it_hangs_before_or_after_its_work(
    fake: FakeHttp, http: httpx.AsyncClient, fault: HalfOpen | Latency | DelayedSuccess, arrives: int
) -> None:
    fake.fault = fault
    with anyio.fail_after(scale_timeout(10)):
        async with anyio.create_task_group() as group:
            group.start_soon(http.get, "/things/web")
            await fake.proxy.caught.wait()
            group.cancel_scope.cancel()
    assert len(fake.requests) == arrives


async def test_it_takes_a_body_that_comes_in_chunks(fake: FakeHttp, http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"n":'
        yield b" 21}"

    fake.handle("POST", "/double", lambda request: HttpAnswer(200, {}, str(request.json["n"] * 2).encode()))
    assert (await http.post("/double", content=pieces())).text == "42"


async def test_it_can_be_a_clients_proxy_and_stand_for_any_name(fake: FakeHttp) -> None:
    async with httpx.AsyncClient(proxy=fake.url, trust_env=False, timeout=scale_timeout(20)) as http:
        answer = await http.get("http://nobody.test/things/web?next=http://elsewhere.test/")
    assert answer.json() == {"state": "well"}
    assert fake.requests[0].query == (("next", "http://elsewhere.test/"),)
    assert fake.requests[0].headers["host"] == "nobody.test"


async def test_what_met_a_fault_is_remembered_too(fake: FakeHttp, http: httpx.AsyncClient) -> None:
    fake.fault_next(failing())
    await http.post("/things/web")
    assert (fake.proxy.asked, fake.requests) == ([("POST", "/things/web")], [])


async def test_an_answer_can_stall_and_go_on(fake: FakeHttp, http: httpx.AsyncClient) -> None:
    fake.fault_next(Stalled(60, 0.05), Stalled(60))
    assert (await http.get("/things/web")).json() == {"state": "well"}
    with pytest.raises(httpx.ReadTimeout):
        await http.get("/things/web", timeout=0.2)
