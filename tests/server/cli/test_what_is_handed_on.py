"""`config client` hands every setting on that is no secret, prints no secret, and names what it left out."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.server.conftest import Done

from klepaas.configuration.clients import CLIENTS
from klepaas.configuration.handing_on import hand_on
from klepaas.configuration.places import Setting
from klepaas.configuration.registry import Section, sections
from klepaas.plugins import Plugins
from klepaas.policy import DEFAULT_IN_WORDS, Decision, Policy
from klepaas.settings import Settings
from klepaas.tools import Effect, Target

Here = Callable[..., Done]
CANARY = "cAnary7hunter2secretvalue"
IN_A_URL = f"http://somebody:{CANARY}@127.0.0.1:9/"
IN_JSON = json.dumps({"one": {"env": {"API_TOKEN": CANARY}, "headers": {"Authorization": f"Bearer {CANARY}"}}})


@cache
def _sections() -> tuple[Section, ...]:
    return tuple(sections(Plugins(Settings(disabled_plugins=(), external_plugins=False))))


def _variables() -> Iterator[tuple[Setting, str]]:
    for setting in _settings():
        yield from ((setting, name) for name in setting.variables)


def _settings() -> Iterator[Setting]:
    for section in _sections():
        yield from section.settings


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in _settings():
        for name in setting.variables:
            monkeypatch.delenv(name, raising=False)


def test_there_are_settings_of_both_kinds() -> None:
    assert {True, False} == {setting.secret for setting in _settings()}
    assert len(list(_settings())) > 50


def test_every_setting_is_handed_on_unless_it_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, name in _variables():
        plain = "[]" if setting.structured else "plain"
        with monkeypatch.context() as patch:
            patch.setenv(name, CANARY if setting.secret else plain)
            found = hand_on(_sections())
        assert (name in found.variables) is not setting.secret, name
        assert (name in [one.variable for one in found.left_out]) is setting.secret, name
        if not setting.secret:
            assert found.variables[name] in (plain, str(Path(plain).absolute()))


@pytest.mark.parametrize("value", [CANARY, IN_A_URL, IN_JSON, f"token={CANARY}"])
def test_no_secret_is_printed_whatever_setting_it_hides_in(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, name in _variables():
        if value == CANARY and not setting.secret:
            continue  # a bare word in a setting that is no secret is what the setting is for
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            found = hand_on(_sections())
        assert CANARY not in f"{found.variables} {[one.text for one in found.left_out]}", name
        assert name in [one.variable for one in found.left_out]


def test_a_secrets_file_is_handed_on_and_the_secret_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, name in _variables():
        file_variable = setting.secret_file_variable
        if file_variable is None:
            continue
        with monkeypatch.context() as patch:
            patch.setenv(file_variable, "secret-file")
            assert hand_on(_sections()).variables[file_variable] == str(Path("secret-file").absolute())
            patch.setenv(name, CANARY)
            left_out = {one.variable: one for one in hand_on(_sections()).left_out}
        assert file_variable in left_out[name].give


def test_a_secret_inside_of_another_setting_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_DATABASE_URL", "plainword")
    monkeypatch.setenv("KLEPAAS_STATE_DIR", "/of/plainword")
    found = hand_on(_sections())

    assert found.variables.get("KLEPAAS_STATE_DIR") is None
    assert {one.variable for one in found.left_out} >= {"KLEPAAS_DATABASE_URL", "KLEPAAS_STATE_DIR"}


@pytest.mark.parametrize("words", [[], ["--json"]])
@pytest.mark.parametrize("client", ["claude-code", "codex", "opencode", "continue", "cline"])
def test_what_is_left_out_is_named_with_how_to_give_it(client: str, words: list[str], here: Here) -> None:
    secrets = {"KLEPAAS_DATABASE_URL": f"postgresql://a:{CANARY}@h/d", "KLEPAAS_OF_NOBODY": CANARY}
    done = here("config", "client", client, *words, **secrets)

    said = done.stdout + done.stderr
    assert CANARY not in said
    if client == "cline":  # who starts the server gives them to it
        assert "KLEPAAS_DATABASE_URL" not in said
        return
    assert "KLEPAAS_DATABASE_URL_FILE" in said
    assert "KLEPAAS_OF_NOBODY" in said
    if words:
        left_out = json.loads(done.stdout)["left_out"]
        assert {one["variable"] for one in left_out} == set(secrets)
        assert all(one["why"] and one["give"] for one in left_out)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_it_says_of_confirmations_is_what_the_default_policy_decides(client: str, here: Here) -> None:
    said = here("config", "client", client, "--writes").stderr

    assert said.endswith(f"{DEFAULT_IN_WORDS}\n")
    assert "after a person has confirmed." not in said
    assert "a write, for example a deployment, is made at once" in DEFAULT_IN_WORDS
    assert Policy().decide("deploy_application", Effect.WRITE, [Target()]).decision is Decision.AUTO
    assert "destroys, for example a deletion, only after a person has confirmed it" in DEFAULT_IN_WORDS
    assert Policy().decide("k8s_delete", Effect.DESTRUCTIVE, [Target()]).decision is Decision.CONFIRM
