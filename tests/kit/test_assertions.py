"""Each assertion of the kit passes for a good plugin and finds the fault in a bad one."""

from collections.abc import Callable
from types import ModuleType

import pytest

from klepaas.testing import (
    FakeHttp,
    app_with,
    assert_declared_well,
    assert_nothing_leaks,
    assert_read_only,
    assert_refuses_hostile_texts,
)

pytestmark = pytest.mark.anyio

Build = Callable[..., ModuleType]
WRITES = {"mode": "writes"}
TOKEN = "tok-5Gq8Lz2x"


@pytest.mark.parametrize("settings", [{}, WRITES], ids=["read-only", "writes"])
async def test_a_good_plugin_passes_all_of_them(plugin: Build, fake: FakeHttp, settings: dict[str, str]) -> None:
    async with app_with(plugin(), settings=settings) as app:
        assert_declared_well(app)
        await assert_read_only(app, fake)
        await assert_refuses_hostile_texts(app, fake)
        await assert_nothing_leaks(app, [TOKEN], fake=fake)


BAD_DECLARATIONS = {
    "its effect contradicts its name": (("Effect.READ, title", "Effect.WRITE, title"), "its name says that it reads"),
    "no effect": (("things_get, Effect.READ", "things_get, None"), "it declares no effect"),
    "no description": (('"""Stop one thing. It can be started again."""', '"""Stop."""'), "docstring before Args:"),
    "no sentence": (("Get one thing. Use it", "get one thing; use it"), "does not begin with a sentence"),
    "too long a title": (('title="Get a thing"', 'title="Get a thing" * 9'), "its title has 99 characters"),
    "no unit": (("label: Annotated[str, names.TEXT]", "wait: int = 0, label: Annotated[str, names.TEXT]"), "wait"),
    "a parameter of one letter": (("(name: Annotated[str, names.OBJECT]) -> str", "(n: bool) -> str"), "'n' is not"),
    "a toolset with blanks": (
        (
            'things_get, Effect.READ, title="Get a thing", toolset="things"',
            'things_get, Effect.READ, title="Get a thing", toolset="My Things"',
        ),
        "its toolset",
    ),
    "a check that lets everything pass": (
        ("label: Annotated[str, names.TEXT]", "label: Annotated[str, names.Check('x', lambda text: True, 'x', 10**6)]"),
        "which no text may hold",
    ),
}


@pytest.mark.parametrize("case", BAD_DECLARATIONS)
async def test_a_bad_declaration_is_found(plugin: Build, case: str) -> None:
    change, problem = BAD_DECLARATIONS[case]
    async with app_with(plugin(change)) as app:
        with pytest.raises(AssertionError, match=problem):
            assert_declared_well(app)


async def test_a_plugin_that_costs_too_much_or_has_no_tools_is_found(plugin: Build) -> None:
    async with app_with(plugin()) as app:
        with pytest.raises(AssertionError, match="bytes in every conversation, more than 100"):
            assert_declared_well(app, max_bytes=100)
    async with app_with() as app:
        with pytest.raises(AssertionError, match="there is no tool"):
            assert_declared_well(app)


async def test_a_tool_that_reads_by_its_declaration_only_is_found(plugin: Build, fake: FakeHttp) -> None:
    async with app_with(plugin(("things_stop, Effect.WRITE", "things_stop, Effect.READ"))) as app:
        with pytest.raises(AssertionError, match="not to change anything, and asked for POST /things/web/stop"):
            await assert_read_only(app, fake)
        await assert_read_only(app, fake, changes=lambda request: "delete" in request.path)


UNCHECKED = ("name: Annotated[str, names.OBJECT], label", "name: Annotated[str, names.TEXT], label")
ASTRAY = {
    "a path": (UNCHECKED, ("f\"/things/{quote(name, safe='')}\", label", 'f"/things/{name}", label')),
    "a path of many parts": (('f"/things/{quote', 'f"/things/x/{label}" if "=" in label else f"/things/{quote'),),
    "an unforeseen error": (("str(answer.json()[", "int(label or '1', 36) and str(answer.json()["),),
}
FOUND = {"a path": "path holds", "a path of many parts": "no request", "an unforeseen error": "failed unexpectedly"}


@pytest.mark.parametrize("case", ASTRAY)
async def test_a_text_that_leads_a_request_astray_is_found(plugin: Build, fake: FakeHttp, case: str) -> None:
    async with app_with(plugin(*ASTRAY[case])) as app:
        with pytest.raises(AssertionError, match=FOUND[case]):
            await assert_refuses_hostile_texts(app, fake)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (('Answer(str(answer.json()["state"]))', 'Answer("asked with " + TOKEN[::1])'), "the answer of things_get"),
        (('f"The things answered {answer.status_code}"', "answer.text"), "the answer of things_get to a failure"),
        (
            ("            answer = await", "            logging.debug('%s', TOKEN)\n            answer = await"),
            "the log",
        ),
        (("Get one thing. Use it", "Get one thing with tok-5Gq8Lz2x. Use it"), "the list of tools"),
    ],
    ids=["answer", "error", "log", "list"],
)
async def test_a_secret_that_leaves_is_found_and_not_repeated(
    plugin: Build, fake: FakeHttp, change: tuple[str, str], place: str
) -> None:
    forgets = ("vault.keep(TOKEN)", "pass")
    async with app_with(plugin(change, forgets)) as app:
        with pytest.raises(AssertionError, match=f"secret number 1 stands in {place}") as caught:
            await assert_nothing_leaks(app, [TOKEN], fake=fake)
    assert TOKEN not in str(caught.value)


async def test_a_secret_too_short_to_be_found_is_refused(plugin: Build) -> None:
    async with app_with(plugin()) as app:
        with pytest.raises(AssertionError, match="fewer than 6 characters"):
            await assert_nothing_leaks(app, ["abc"])


async def test_a_parameter_that_nothing_fits_needs_a_sample(plugin: Build, fake: FakeHttp) -> None:
    narrow = "name: Annotated[str, names.Check('id', lambda text: text == 'id-7', 'id-7')], label"
    async with app_with(plugin(("name: Annotated[str, names.OBJECT], label", narrow))) as app:
        with pytest.raises(AssertionError, match="nothing is known that fits 'name' of things_get; give a sample"):
            await assert_read_only(app, fake)
        await assert_read_only(app, fake, samples={"name": "id-7"})
        assert fake.requests == []
