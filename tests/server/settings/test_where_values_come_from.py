"""The command line wins over the environment, that over the file, that over the default; secrets stay secret."""

import os
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from klepaas.configuration.toml_file import ConfigurationError
from klepaas.deprecation import KlepaasDeprecationWarning
from klepaas.output.redaction import MARK, vault
from klepaas.settings import Mode, Settings, SettingsBase, SettingsError, Variable, Was, given_only, what_is_wrong

SECRET = "correct horse battery"


class PostSettings(SettingsBase):
    """Of a plugin that sends letters."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_POST_")

    office: Annotated[str, Was("KLEPAAS_MAIL_OFFICE", "0.1", "9.0"), Field(description="Where letters go")] = "main"
    token: Annotated[SecretStr | None, Field(description="The office's token")] = None
    stamps: Annotated[tuple[int, ...], Field(description="Which stamps")] = ()
    address: Annotated[str, Variable("KLEPAAS_POST_ADDRESS", "HOME_ADDRESS"), Field(description="Whose")] = ""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    monkeypatch.setenv("KLEPAAS_CONFIG", str(path))
    return path


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_without_anything_every_setting_has_its_default() -> None:
    assert PostSettings().model_dump() == {"office": "main", "token": None, "stamps": (), "address": ""}


def test_the_file_is_found_where_the_user_keeps_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "klepaas").mkdir()
    (tmp_path / "klepaas" / "config.toml").write_text('mode = "writes"')
    assert Settings().mode is Mode.WRITES


def test_each_place_wins_over_the_one_below(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, '[post]\noffice = "of the file"\n')
    assert PostSettings().office == "of the file"
    monkeypatch.setenv("KLEPAAS_POST_OFFICE", "of the environment")
    assert PostSettings().office == "of the environment"
    assert PostSettings(office="of the caller").office == "of the caller"
    with given_only():
        assert PostSettings().office == "main"


def test_a_variable_that_is_set_to_nothing_leaves_the_file_its_say(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, '[post]\noffice = "of the file"\n')
    monkeypatch.setenv("KLEPAAS_POST_OFFICE", "")
    assert PostSettings().office == "of the file"


def test_lists_are_json_in_a_variable_and_lists_in_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, '[post]\nstamps = [1, 2]\n[[policy]]\ncontext = "prod*"\ndecision = "confirm"\n')
    assert PostSettings().stamps == (1, 2)
    assert Settings().policy[0].context == "prod*"
    monkeypatch.setenv("KLEPAAS_POST_STAMPS", "[3]")
    assert PostSettings().stamps == (3,)


def test_a_change_of_the_file_is_seen(file: Path) -> None:
    write(file, '[post]\noffice = "one"\n')
    assert PostSettings().office == "one"
    write(file, '[post]\noffice = "three"\n')
    assert PostSettings().office == "three"


def test_dev_null_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "klepaas").mkdir()
    (tmp_path / "klepaas" / "config.toml").write_text("not toml")
    monkeypatch.setenv("KLEPAAS_CONFIG", os.devnull)
    assert PostSettings().office == "main"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"mode = ", "is not TOML"),
        (b"\xff", "is not UTF-8"),
        (b"a = " + b"[" * 20_000, "levels too deep"),
        (b"#" * 1_048_577, "is longer than"),
        (b'post = "a letter"', "must be a table"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(content: bytes, said: str, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as told:
        PostSettings()
    assert str(file) in what_is_wrong(told.value)


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_CONFIG", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigurationError, match="No such file"):
        PostSettings()


def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("KLEPAAS_CONFIG", str(tmp_path / "pipe"))
    with pytest.raises(ConfigurationError, match="is not a file"):
        PostSettings()


def test_a_file_that_everybody_can_write_to_is_not_used(file: Path) -> None:
    write(file, 'mode = "writes"', 0o666)
    with pytest.raises(ConfigurationError, match=r"everybody may write to .*; run chmod o-w"):
        Settings()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_used(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, 'mode = "writes"')
    os.chown(file, 4321, 4321)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        Settings()


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "token", f"{SECRET}\n")
    monkeypatch.setenv("KLEPAAS_POST_TOKEN_FILE", str(tmp_path / "token"))
    token = PostSettings().token
    assert token is not None
    assert token.get_secret_value() == SECRET


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "is not text")])
def test_a_secret_file_without_a_secret_is_an_error(
    content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv("KLEPAAS_POST_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(ConfigurationError, match=said) as told:
        PostSettings()
    assert str(told.value).startswith("KLEPAAS_POST_TOKEN_FILE: ")


@pytest.mark.parametrize(("mode", "owner", "fits"), [(0o600, 0, True), (0o444, 0, True), (0o660, 0, False)])
def test_who_else_can_open_a_secret_file_decides(
    mode: int, owner: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != owner:
        pytest.skip("the files of this test belong to root")
    write(tmp_path / "token", SECRET, mode)
    monkeypatch.setenv("KLEPAAS_POST_TOKEN_FILE", str(tmp_path / "token"))
    if fits:
        assert PostSettings().token
        return
    with pytest.raises(ConfigurationError, match="other users can read or change"):
        PostSettings()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_secret_file_of_ones_own_is_for_oneself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "token", SECRET, 0o644)
    os.chown(tmp_path / "token", 4321, 4321)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("KLEPAAS_POST_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(ConfigurationError, match="other users can read or change"):
        PostSettings()


def test_a_secret_given_twice_is_an_error_and_not_a_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "token", SECRET)
    monkeypatch.setenv("KLEPAAS_POST_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("KLEPAAS_POST_TOKEN", "another secret")
    with pytest.raises(ConfigurationError, match="are both set") as told:
        PostSettings()
    assert "another" not in str(told.value)


def test_a_secret_in_the_settings_file_needs_one_that_nobody_else_reads(file: Path) -> None:
    write(file, f'[post]\ntoken = "{SECRET}"\n', 0o600)
    assert PostSettings().token
    write(file, f'[post]\ntoken = "{SECRET}"\n', 0o640)
    with pytest.raises(ConfigurationError, match="others can read; chmod 600") as told:
        PostSettings()
    assert SECRET not in str(told.value)


def test_every_secret_that_is_read_is_blanked_out_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_POST_TOKEN", SECRET)
    settings = PostSettings()
    assert vault.redact(f"it says {SECRET}") == f"it says {MARK}"
    assert SECRET not in repr(settings)


def test_a_former_name_works_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_MAIL_OFFICE", "old")
    with pytest.warns(KlepaasDeprecationWarning, match="KLEPAAS_MAIL_OFFICE .* use KLEPAAS_POST_OFFICE"):
        assert PostSettings().office == "old"
    monkeypatch.setenv("KLEPAAS_POST_OFFICE", "new")
    assert PostSettings().office == "new"


def test_of_several_variables_the_first_that_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_ADDRESS", "second")
    assert PostSettings().address == "second"
    monkeypatch.setenv("KLEPAAS_POST_ADDRESS", "first")
    assert PostSettings().address == "first"


def test_what_is_wrong_names_the_place_and_not_the_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, '[post]\nstamps = ["penny black"]\noffice = 7\n')
    with pytest.raises(ValidationError) as told:
        PostSettings()
    said = what_is_wrong(told.value)
    assert f"post.stamps in {file}[0]: " in said
    assert f"post.office in {file}: " in said
    assert "penny" not in said
    monkeypatch.setenv("KLEPAAS_POST_STAMPS", "penny")
    with pytest.raises(SettingsError) as refused:
        PostSettings()
    assert what_is_wrong(refused.value).startswith("KLEPAAS_POST_STAMPS: is not JSON")
