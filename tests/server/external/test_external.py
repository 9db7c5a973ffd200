"""External providers are collected with their prefixes, each of which has one owner."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from klepaas.app import App, create_app
from klepaas.external import HttpServer, StdioServer
from klepaas.plugins import Plugins
from klepaas.settings import Settings

CODE = """
    from klepaas.external import StdioServer

    @hookimpl
    def klepaas_tools(host):
        yield tool("NAME_look")

    @hookimpl
    def klepaas_external_providers(host):
        for prefix in PREFIXES:
            server = HttpServer("https://mcp.example/mcp", {"Authorization": "x"})
            yield ExternalProvider(f"NAME-{prefix}", server, prefix)
"""


@pytest.fixture
def app(distribute: Callable[..., Path], installed: Callable[[], list[EntryPoint]]) -> Callable[..., App]:
    """Puts a klepaas together with a plugin for each list of prefixes."""

    def build(**prefixes: list[str]) -> App:
        for name, listed in prefixes.items():
            distribute(name, CODE.replace("NAME", name).replace("PREFIXES", repr(listed)))
        settings = Settings()
        return create_app(settings, Plugins(settings, installed()))

    return build


def _reasons(app: App) -> dict[str, str | None]:
    return {plugin.name: plugin.reason for plugin in app.plugins.all}


def test_providers_are_collected_and_nothing_is_connected(app: Callable[..., App]) -> None:
    whole = app(one=["github"], two=["slack", "wiki"])
    assert [provider.prefix for provider in whole.external] == ["github", "slack", "wiki"]
    assert _reasons(whole) == {"one": None, "two": None}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (["github"], ["github"], "is already taken"),
        (["github"], ["slack", "slack"], "is already taken"),
        (["github"], ["one"], "is already taken"),  # the tools of the first begin so
        (["github"], ["Git Hub"], "is not a short lower-case word"),
        (["github"], [""], "is not a short lower-case word"),
        (["github"], ["slack", "_b"], "is not a short lower-case word"),
    ],
)
def test_a_prefix_that_is_taken_or_strange_leaves_its_plugin_out(
    app: Callable[..., App], first: list[str], second: list[str], said: str
) -> None:
    whole = app(one=first, two=second)
    assert [provider.prefix for provider in whole.external] == first
    assert said in (_reasons(whole)["two"] or "")


def test_no_credential_of_a_server_is_shown() -> None:
    assert "secret" not in repr(HttpServer("https://mcp.example", {"Authorization": "secret"}))
    assert "secret" not in repr(StdioServer(("server",), {"TOKEN": "secret"}))
