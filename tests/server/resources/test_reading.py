"""What a reading passes: its checks, its time limit, the cleaning, and the limits of calls. In both eras alike."""

from collections.abc import Iterable
from typing import Annotated, Any

import anyio
import pytest

from klepaas import names
from klepaas.errors import NotFound, Unavailable
from klepaas.hookspecs import hookimpl
from klepaas.output import Answer
from klepaas.principals import current_principal
from klepaas.prompts import Prompt, Wording
from klepaas.resources import Resource
from klepaas.testing import ERAS, Era, app_with, client, scale_timeout

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]

read_names: list[str] = []


async def thing(name: Annotated[str, names.OBJECT]) -> Answer:
    """One thing."""
    read_names.append(name)
    if name == "missing":
        raise NotFound("There is no thing missing", next_step="Look under the table")
    if name == "down":
        raise Unavailable("The shelf is down, password=hunter2-canary", retry_after_s=5.0)
    if name == "defect":
        raise RuntimeError("Tr0ub4dor-and-3")
    if name == "leaves":
        raise SystemExit(3)
    if name == "late":
        await anyio.sleep(30)
    if name == "group":
        raise ExceptionGroup("both", [NotFound("There is no thing group"), NotFound("nor another")])
    if name == "number":
        return 7  # type: ignore[return-value]
    return Answer(f"{name} \x1b[31mred\x1b[0m \u202eback password=hunter2-canary")


async def long() -> str:
    """Much."""
    return "line\n" * 100_000


async def reader() -> str:
    """Who reads."""
    return current_principal().transport


async def write(name: Annotated[str, names.OBJECT], note: Annotated[str | None, names.TEXT] = None) -> str:
    return (await thing(name)).text if name != "alice" else f"alice {note}"


@hookimpl
def klepaas_resources() -> Iterable[Resource]:
    yield Resource("klepaas://things/{name}", thing, "A thing", timeout_s=0.2, foreign_text=True)
    yield Resource("klepaas://long", long, "Much")
    yield Resource("klepaas://reader", reader, "Who reads")


@hookimpl
def klepaas_prompts() -> Iterable[Prompt]:
    yield Prompt(write, {"en": Wording("Write", "Write it.", {"name": "A name", "note": "A note"})}, timeout_s=0.2)


async def test_the_text_is_clean_and_without_secrets(era: Era) -> None:
    async with app_with(klepaas_resources, klepaas_prompts) as app, client(app, era) as session:
        for said in (await session.read("klepaas://things/chair"), await session.prompt("write", name="chair")):
            assert not said.is_error
            assert said.text.startswith("chair red back")
            assert "hunter2" not in said.text


HOSTILE = ("..", "%2e%2e", "a%2Fb", "%252e%252e", "-n", "a%00", "x%0Ay", "a" * 300, "%E2%80%AEweb", "x%3Fforce=true")


@pytest.mark.parametrize("part", HOSTILE)
async def test_no_hostile_segment_reaches_the_plugin(era: Era, part: str) -> None:
    read_names.clear()
    async with app_with(klepaas_resources) as app, client(app, era) as session:
        said = await session.read(f"klepaas://things/{part}")
    assert said.code == "bad_request"
    assert read_names == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", " ", "x\ny", "${jndi:ldap://x}"])
async def test_no_hostile_argument_reaches_a_prompt(era: Era, name: str) -> None:
    read_names.clear()
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("write", name=name)
    assert said.code == "bad_request"
    assert read_names == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "the prompt write needs name"),
        ({"name": "x", "other": "y"}, "has no argument 'other'"),
    ],
)
async def test_what_is_missing_or_unknown_is_named(era: Era, arguments: dict[str, str], problem: str) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        said = await session.prompt("write", **arguments)
    assert problem in said.text
    assert said.code == "bad_request"


async def test_an_empty_field_of_a_form_was_left_out(era: Era) -> None:
    async with app_with(klepaas_prompts) as app, client(app, era) as session:
        assert (await session.prompt("write", name="alice", note="")).text == "alice None"


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("missing", "not_found", "There is no thing missing. Look under the table."),
        ("down", "unavailable", "The shelf is down"),
        ("late", "timeout", "gave no answer within 0.2 s"),
        ("defect", "internal", "defect in klepaas or its plugin"),
        ("leaves", "internal", "defect in klepaas or its plugin"),
        ("number", "internal", "defect in klepaas or its plugin"),
        ("group", "not_found", "There is no thing group"),
    ],
)
async def test_every_failure_is_one_line_and_a_code(era: Era, name: str, code: str, text: str) -> None:
    async with app_with(klepaas_resources, klepaas_prompts) as app, client(app, era) as session:
        for said in (await session.read(f"klepaas://things/{name}"), await session.prompt("write", name=name)):
            assert (said.is_error, said.code) == (True, code)
            assert text in said.text
            assert "Tr0ub4dor" not in said.text + str(said)
            assert "hunter2" not in said.text + str(said)


async def test_an_error_says_when_to_come_back(era: Era) -> None:
    async with app_with(klepaas_resources) as app, client(app, era) as session:
        said = await session.read("klepaas://things/down")
    assert said.meta["retry_after_s"] == 5.0
    assert said.data["uri"] == "klepaas://things/down"


@pytest.mark.parametrize(
    "uri", ["klepaas://nothing", "klepaas://things", "klepaas://things/a/b", "file:///etc/passwd", ""]
)
async def test_what_nobody_declared_is_not_there(era: Era, uri: str) -> None:
    async with app_with(klepaas_resources) as app, client(app, era) as session:
        said = await session.read(uri)
    assert said.is_error
    assert "not found" in said.text


async def test_a_long_text_is_cut_and_says_so(era: Era) -> None:
    async with app_with(klepaas_resources, settings={"answer_max_bytes": 2000}) as app, client(app, era) as session:
        said = await session.read("klepaas://long")
    assert len(said.text.encode()) <= 2000
    assert "[cut: " in said.text


async def test_who_reads_is_known(era: Era) -> None:
    async with app_with(klepaas_resources) as app, client(app, era) as session:
        assert (await session.read("klepaas://reader")).text == "memory"


async def test_a_plugin_that_failed_offers_nothing_any_more(era: Era) -> None:
    both = (klepaas_resources, klepaas_prompts)
    async with app_with(*both, settings={"strict_plugins": False}) as app, client(app, era) as session:
        (plugin,) = app.plugins.active
        app.plugins.fail(plugin, "it was time")
        assert [str(found.uri) for found in await session.raw.list_resources()] == ["klepaas://upstreams"]
        assert await session.raw.list_resource_templates() == []
        assert await session.raw.list_prompts() == []
        assert "not found" in (await session.read("klepaas://reader")).text
        assert "Unknown prompt" in (await session.prompt("write", name="x")).text


async def test_readings_are_counted_by_how_they_ended(era: Era) -> None:
    async with app_with(klepaas_resources, klepaas_prompts) as app, client(app, era) as session:
        await session.read("klepaas://things/chair")
        await session.read("klepaas://things/missing")
        await session.read("klepaas://nothing")
        await session.prompt("write", name="late")
        await session.suggestions("write", "name")
        numbers = app.metrics.exposition()[0].decode()
    for kind, outcome, count in (
        ("resource", "ok", 1),
        ("resource", "not_found", 2),
        ("prompt", "timeout", 1),
        ("completion", "ok", 1),
    ):
        assert f'mcp_reads_total{{kind="{kind}",outcome="{outcome}"}} {count}.0' in numbers


async def test_no_reading_begins_in_a_server_that_stops(era: Era) -> None:
    async with app_with(klepaas_resources, klepaas_prompts) as app, client(app, era) as session:
        await app.calls.stop(0)
        assert (await session.read("klepaas://reader")).code == "unavailable"
        assert (await session.prompt("write", name="x")).code == "unavailable"
        assert await session.suggestions("write", "name") == []


async def test_a_reading_that_runs_when_the_server_stops_is_ended(era: Era) -> None:
    started = anyio.Event()

    async def endless() -> str:
        """Never ends."""
        started.set()
        await anyio.sleep_forever()
        return ""

    @hookimpl
    def klepaas_resources() -> Iterable[Resource]:
        yield Resource("klepaas://endless", endless, "Endless")

    codes: list[Any] = []
    async with app_with(klepaas_resources) as app, client(app, era) as session:

        async def read() -> None:
            codes.append((await session.read("klepaas://endless")).code)

        with anyio.fail_after(scale_timeout(10)):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await started.wait()
                assert await app.calls.stop(0)
    assert codes == ["unavailable"]
