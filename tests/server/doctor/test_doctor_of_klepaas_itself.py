"""What the doctor finds about klepaas itself, and the repair that it names."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.conftest import Done

from klepaas import doctor_core
from klepaas.audit_file import FILE_NAME

Here = Callable[..., Done]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    return folder


def findings(here: Here, state: Path, **variables: str) -> list[tuple[str, str, str, str | None]]:
    done = here("doctor", "--json", KLEPAAS_STATE_DIR=str(state), **variables)
    found = json.loads(done.stdout)["findings"]
    return [(row["check"], row["level"], row["summary"], row["repair"]) for row in found if row["plugin"] == "klepaas"]


def of(check: str, found: list[tuple[str, str, str, str | None]]) -> list[tuple[str, str, str | None]]:
    return [(level, summary, repair) for name, level, summary, repair in found if name == check]


def test_all_is_well_in_a_new_place(here: Here, state: Path) -> None:
    found = findings(here, state)

    assert of("settings", found)[0][0] == "ok"
    assert of("state", found) == [("ok", f"{state} is there", None)]
    assert of("audit", found) == []


def test_a_misspelt_variable_is_a_warning_with_the_right_one(here: Here, state: Path) -> None:
    (warning,) = of("settings", findings(here, state, KLEPAAS_POLCY="[]"))

    assert warning[:2] == ("warning", "KLEPAAS_POLCY is no variable of klepaas; did you mean KLEPAAS_POLICY?")
    assert "klepaas config check" in (warning[2] or "")


def test_a_state_folder_that_others_can_write_to_has_a_repair(here: Here, state: Path) -> None:
    state.chmod(0o777)

    assert ("warning", f"other users can change what is in {state}", f"chmod 700 {state}") in of(
        "state", findings(here, state)
    )


def test_a_disk_that_is_nearly_full_is_a_warning(here: Here, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_core, "_FREE_MIN_BYTES", 2**80)

    ((level, summary, repair),) = of("state", findings(here, state))

    assert level == "warning"
    assert "KiB are free" in summary
    assert repair == "Make room, or set KLEPAAS_STATE_DIR to another disk"


def test_an_audit_file_that_others_can_read_is_an_error_with_a_repair(here: Here, state: Path) -> None:
    (state / FILE_NAME).touch(0o644)
    (state / FILE_NAME).chmod(0o644)

    ((level, summary, repair),) = of("audit", findings(here, state))

    assert (level, repair) == ("error", f"chmod 600 {state / FILE_NAME}")
    assert "other users can open" in summary


def test_a_disabled_plugin_that_is_not_there_is_named_as_it_should_be(here: Here, state: Path) -> None:
    found = of("plugins", findings(here, state, KLEPAAS_DISABLED_PLUGINS='["kubernets"]'))

    text = "KLEPAAS_DISABLED_PLUGINS names kubernets, which no installed plugin is called"
    assert ("warning", text, "Write kubernetes") in found


def test_the_doctor_says_what_was_looked_at_and_that_applications_were_not(here: Here, state: Path) -> None:
    last = here("doctor", KLEPAAS_STATE_DIR=str(state)).stdout.splitlines()[-1]
    assert last.startswith("Looked at (")
    assert last.endswith(" checks. Not checked: applications in clusters.")
    found = json.loads(here("doctor", "--json", KLEPAAS_STATE_DIR=str(state)).stdout)
    assert found["observed"][0].endswith(" checks")
    assert found["not_checked"] == ["applications in clusters"]
    assert found["at"].endswith("Z")
