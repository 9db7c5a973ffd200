"""`klepaas config check` says what is set, from where, and everything that is wrong at once, never with a secret."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Done

Distribute = Callable[..., Path]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., Done]
Ended = Done | subprocess.CompletedProcess[str]

SECRET = "correct horse battery"
POST = """
    from pydantic import Field, SecretStr, model_validator
    from pydantic_settings import SettingsConfigDict
    from klepaas.settings import SettingsBase

    class PostSettings(SettingsBase):
        model_config = SettingsConfigDict(env_prefix="KLEPAAS_POST_")
        office: Annotated[str, Field(description="Where letters go", pattern="^[a-z]+$")] = "main"
        user: Annotated[str | None, Field(description="Who sends")] = None
        token: Annotated[SecretStr | None, Field(description="The user's token")] = None
        stamps: Annotated[tuple[int, ...], Field(description="Which stamps")] = ()

        def concerns(self):
            if self.stamps and not self.user:
                yield "KLEPAAS_POST_STAMPS is set and nobody sends"

        @model_validator(mode="after")
        def _together(self):
            if (self.user is None) != (self.token is None):
                raise ValueError("KLEPAAS_POST_USER and KLEPAAS_POST_TOKEN must be set together")
            return self

    @hookimpl
    def klepaas_settings(): yield PostSettings
"""


def report_of(done: Ended) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def texts(report: Any, kind: str) -> list[str]:
    return [problem["text"] for problem in report[kind]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    return path


def test_with_nothing_set_there_is_nothing_wrong(here: Here) -> None:
    done = here("config", "check", KLEPAAS_DISABLED_PLUGINS="")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing is set: every setting has its default" in done.stdout
    assert "Nothing is wrong with the settings." in done.stdout


def test_each_setting_has_its_value_and_origin(distribute: Distribute, here: Here, file: Path) -> None:
    distribute("post", POST)
    (file.parent / "token").write_text(SECRET)
    (file.parent / "token").chmod(0o600)
    file.write_text('log_level = "error"\n[post]\nstamps = [1, 2]\nuser = "kim"\n')

    done = here(
        *("config", "check", "--json", "--writes", "--config", str(file)),
        KLEPAAS_ANSWER_MAX_BYTES="2048",
        KLEPAAS_POST_TOKEN_FILE=str(file.parent / "token"),
    )

    report = report_of(done)
    assert (done.returncode, report["valid"], report["file"]) == (0, True, str(file))
    found = {row["variable"]: (row["value"], row["origin"], row["given_by"]) for row in report["settings"]}
    assert found["KLEPAAS_MODE"] == ("writes", "command line", None)
    assert found["KLEPAAS_LOG_LEVEL"] == ("error", "file", "log_level")
    assert found["KLEPAAS_ANSWER_MAX_BYTES"] == (2048, "environment", "KLEPAAS_ANSWER_MAX_BYTES")
    assert found["KLEPAAS_POST_STAMPS"] == ([1, 2], "file", "post.stamps")
    assert found["KLEPAAS_POST_TOKEN"] == ("set", "secret file", "KLEPAAS_POST_TOKEN_FILE")
    assert found["KLEPAAS_POST_OFFICE"] == ("main", "default", None)
    assert SECRET not in done.stdout + done.stderr


def test_everything_that_is_wrong_is_said_at_once(distribute: Distribute, here: Here, file: Path) -> None:
    distribute("post", POST)
    file.write_text('mdoe = "writes"\nlog_level = "loud"\n[post]\noffce = "x"\n[psot]\na = 1\n')

    done = here(
        *("config", "check", "--json", "--config", str(file)),
        KLEPAAS_MODE="hunter2",
        KLEPAAS_POLICY="no json",
        KLEPAAS_POST_OFFICE="HUNTER3",
        KLEPAAS_POST_TOKN="hunter4",
        KLEPAAS_DISABLED_PLUGINS="",
    )

    report = report_of(done)
    assert (done.returncode, report["valid"]) == (1, False)
    wrong = "\n".join(texts(report, "errors"))
    for said in (
        "KLEPAAS_MODE: Input should be 'read-only' or 'writes'",
        "KLEPAAS_POLICY: is not JSON",
        f"log_level in {file}: ",
        "KLEPAAS_POST_OFFICE: ",
        "did you mean mode?",
        f"post.offce in {file} is not a setting; did you mean post.office?",
        f"the table [psot] in {file} is not a setting; did you mean post?",
    ):
        assert said in wrong
    assert texts(report, "warnings") == [
        "KLEPAAS_POST_TOKN is no variable of klepaas; did you mean KLEPAAS_POST_TOKEN?"
    ]
    assert "hunter" not in (done.stdout + done.stderr).lower()


def test_what_contradicts_or_is_missing_is_said(distribute: Distribute, here: Here) -> None:
    distribute("post", POST)

    half = report_of(here("config", "check", "--json", KLEPAAS_POST_USER="kim"))
    odd = report_of(
        here(
            *("config", "check", "--json"),
            KLEPAAS_POST_STAMPS="[1]",
            KLEPAAS_REQUIRED_PLUGINS='["kubernetes", "psot"]',
            KLEPAAS_STATE_DIR="here",
        )
    )

    assert texts(half, "errors") == ["PostSettings: KLEPAAS_POST_USER and KLEPAAS_POST_TOKEN must be set together"]
    assert odd["valid"]
    assert texts(odd, "warnings") == [
        "KLEPAAS_REQUIRED_PLUGINS and KLEPAAS_DISABLED_PLUGINS both name kubernetes: /readyz will always say no",
        "KLEPAAS_STATE_DIR is relative, so it is another folder for every working folder",
        "KLEPAAS_POST_STAMPS is set and nobody sends",
        "KLEPAAS_REQUIRED_PLUGINS names psot, which no installed plugin is called; did you mean post?",
    ]


def test_warnings_fail_only_where_it_is_strict(here: Here) -> None:
    assert here("config", "check", KLEPAAS_POLCY="[]").returncode == 0
    assert here("config", "check", "--strict", KLEPAAS_POLCY="[]").returncode == 1
    assert here("config", "check", "--strict").returncode == 0


def test_a_file_that_cannot_be_read_is_one_of_the_errors(here: Here, file: Path) -> None:
    file.write_text("mode =")

    done = here("config", "check", "--config", str(file), KLEPAAS_LOG_LEVEL="loud")

    assert done.returncode == 1
    assert f"error    klepaas: {file}: is not TOML: " in done.stdout
    assert "KLEPAAS_LOG_LEVEL: " in done.stdout
    assert "2 errors, 0 warnings" in done.stdout


def test_a_plugin_that_failed_is_one_of_the_errors(distribute: Distribute, here: Here) -> None:
    distribute("broken", "import nothing_there")

    report = report_of(here("config", "check", "--json"))

    (error,) = report["errors"]
    assert error["plugin"] == "broken"
    assert "the plugin is left out: cannot be imported" in error["text"]


def test_where_it_cannot_be_told_which_plugins_are_wanted_no_strangers_are_loaded(
    distribute: Distribute, klepaas: Klepaas, tmp_path: Path
) -> None:
    distribute("eager", f"from pathlib import Path\nPath({str(tmp_path / 'loaded')!r}).touch()")

    done = klepaas("config", "check", KLEPAAS_EXTERNAL_PLUGINS="perhaps")

    assert done.returncode == 1
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize("words", [["tools", "list"], ["serve"], ["--version"], ["doctor"]])
def test_a_key_that_no_setting_has_stops_every_command(
    words: list[str], distribute: Distribute, klepaas: Klepaas, file: Path
) -> None:
    distribute("post", POST)
    file.write_text('[post]\nofice = "x"\n')

    done = klepaas(*words, KLEPAAS_CONFIG=str(file), KLEPAAS_DISABLED_PLUGINS="")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"post.ofice in {file} is not a setting; did you mean post.office?" in done.stderr
    assert "`klepaas config check` shows all of them" in done.stderr


def test_a_table_of_a_plugin_that_is_left_out_stops_nothing(distribute: Distribute, here: Here, file: Path) -> None:
    distribute("post", "import nothing_there")
    file.write_text('[post]\noffice = "x"\n')

    done = here("tools", "list", "--config", str(file))
    report = report_of(here("config", "check", "--json", "--config", str(file)))

    assert done.returncode == 0
    assert "It may be the table of a plugin that is left out" in texts(report, "warnings")[-1]


def test_a_plugin_that_claims_another_ones_setting_is_left_out(distribute: Distribute, here: Here) -> None:
    distribute("post", POST)
    distribute("thief", POST, module="thief_plugin")

    report = report_of(here("config", "check", "--json"))

    assert [problem["plugin"] for problem in report["errors"]] == ["thief"]
    assert "claims KLEPAAS_POST_OFFICE (post.office), which is post's" in report["errors"][0]["text"]


def test_settings_of_the_file_reach_the_plugin_and_the_server(
    distribute: Distribute, klepaas: Klepaas, file: Path
) -> None:
    tools = """
    async def post_office() -> str:
        "Say where letters go."
        return PostSettings().office

    @hookimpl
    def klepaas_tools(host): yield Tool(post_office, Effect.READ, title="Office", toolset="post")
    """
    distribute("post", POST + tools)
    file.write_text('mode = "writes"\n[post]\noffice = "file"\n')

    assert klepaas("call", "post_office", "--config", str(file)).stdout == "file\n"
    assert (
        klepaas("call", "post_office", KLEPAAS_CONFIG=str(file), KLEPAAS_POST_OFFICE="variable").stdout == "variable\n"
    )
    assert json.loads(klepaas("tools", "list", "--json", "--config", str(file)).stdout)["mode"] == "writes"


def test_a_former_variable_is_a_warning_in_one_line(klepaas: Klepaas) -> None:
    done = klepaas("config", "check", built_in=True, KLEPAAS_KUBE_CONTEXT="prod")
    loud = klepaas("tools", "list", built_in=True, KLEPAAS_KUBE_CONTEXT="prod")

    assert "warning  kubernetes: KLEPAAS_KUBE_CONTEXT goes away in 0.3: use KLEPAAS_K8S_CONTEXT\n" in done.stdout
    assert done.stderr == ""
    said = [line for line in loud.stderr.splitlines() if "KLEPAAS_KUBE_CONTEXT" in line]
    assert len(said) == 1
    assert said[0].endswith("is deprecated since 0.1 and goes away in 0.3: use KLEPAAS_K8S_CONTEXT")
