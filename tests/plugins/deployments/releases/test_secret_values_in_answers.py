"""What a rollback says of secret values that no release holds, asked for or automatic, in answers and operations."""

from typing import Any

import pytest

from klepaas_plugins.deployments.releases.secret_values import SecretValues

pytestmark = pytest.mark.anyio
FIRST, SECOND = "hunter2-9f86d081884c7d65", "swordfish-2c26b46b68ffc68f"


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process captured before the change is not known to this one."""
    monkeypatch.setattr(SecretValues, "remember", lambda *_: None)


async def test_a_rollback_says_which_secret_value_it_cannot_restore_and_restores_the_rest(bench: Any) -> None:
    await bench.deploy(env_vars={"DB_PASSWORD": FIRST, "MODE": "fast"})
    await bench.deploy(image="example/app:2", env_vars={"DB_PASSWORD": SECOND, "MODE": "slow"})
    tried = await bench.call("rollback_deployment", app_name="web", dry_run=True)
    assert "DB_PASSWORD].value stays as it is now" in tried.text
    said = await bench.call("rollback_deployment", app_name="web")
    assert "is back at release 1 (example/app:1), except 1 secret value that a release does not hold" in said.text
    assert "DB_PASSWORD].value stays as it is now" in said.text
    assert bench.env() == {"DB_PASSWORD": SECOND, "MODE": "fast"}
    assert bench.container()["image"] == "example/app:1"
    assert not [secret for secret in (FIRST, SECOND) if secret in f"{said.text}{tried.text}{bench.asked}"]


async def test_a_rollback_says_that_a_secret_value_is_the_same_by_digest(bench: Any) -> None:
    await bench.deploy(env_vars={"DB_PASSWORD": FIRST})
    await bench.deploy(image="example/app:2", env_vars={"DB_PASSWORD": FIRST})
    said = await bench.call("rollback_deployment", app_name="web")
    assert "As in the release, by digest, and so left in place: Deployment web: " in said.text
    assert "env[DB_PASSWORD].value" in said.text
    assert "except" not in said.text
    assert bench.env() == {"DB_PASSWORD": FIRST}


async def test_an_automatic_rollback_restores_a_secret_value_that_its_process_has_seen(bench: Any) -> None:
    await bench.deploy(env_vars={"DB_PASSWORD": FIRST})
    said = await bench.deploy(image="example/crash:2", env_vars={"DB_PASSWORD": SECOND})
    assert "is rolled back to" in said.text
    assert "secret value" not in said.text
    assert (bench.container()["image"], bench.env()) == ("example/app:1", {"DB_PASSWORD": FIRST})


@pytest.mark.usefixtures("forgetful")
async def test_an_automatic_rollback_of_another_process_names_the_secret_value_that_stays(bench: Any) -> None:
    await bench.deploy(env_vars={"DB_PASSWORD": FIRST})
    said = await bench.deploy(image="example/crash:2", env_vars={"DB_PASSWORD": SECOND})
    assert "is rolled back to" in said.text
    assert "except 1 secret value that a release does not hold" in said.text
    assert (bench.container()["image"], bench.env()) == ("example/app:1", {"DB_PASSWORD": SECOND})
    asked = await bench.call("get_operation", operation_id=said.operation)
    assert "DB_PASSWORD" in f"{said.text} {asked.text}"
    assert not [secret for secret in (FIRST, SECOND) if secret in f"{said.text}{asked.text}"]
