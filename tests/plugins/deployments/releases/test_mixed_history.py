"""Releases of an earlier klepaas lie in Secrets: one history with those in ConfigMaps, until none is left there."""

from dataclasses import replace
from typing import Any

import pytest

from klepaas.errors import Forbidden
from klepaas_plugins.deployments.releases import ReleaseState

pytestmark = pytest.mark.anyio
VALUE = "hunter2-9f86d081884c7d65"


async def _deploy(yard: Any, shapes: Any, number: int, **settings: Any) -> Any:
    """Release number so and so, verified, in the storage that the settings say."""
    env = [{"name": "DB_PASSWORD", "value": VALUE}]
    await yard.apply(shapes.deployment(image=f"example/app:{number}", env=env))
    releases = await yard.releases(**settings)
    made = await releases.record(await releases.capture(), principal="alice", operation_id=f"op-{number}")
    assert made.number == number, made
    return replace(await releases.mark(made, ReleaseState.PASSED), snapshot=None)


async def _mixed(yard: Any, shapes: Any, **settings: Any) -> list[Any]:
    """Two releases in Secrets, then two in ConfigMaps."""
    earlier = [await _deploy(yard, shapes, number, storage="secrets") for number in (1, 2)]
    return earlier + [await _deploy(yard, shapes, number, **settings) for number in (3, 4)]


def _asked_of_secrets(yard: Any) -> list[Any]:
    return [item for item in yard.sandbox.requests if "/secrets" in item.path]


def _names(yard: Any, kind: str) -> list[str]:
    return sorted(
        name
        for item in yard.sandbox.list(kind, "default")
        if (name := item["metadata"]["name"]).startswith("klepaas.release.")
    )


async def test_both_are_listed_as_one_history_and_no_number_is_given_twice(yard: Any, shapes: Any) -> None:
    await _mixed(yard, shapes)
    releases = await yard.releases()
    assert [(item.number, item.kind) for item in await releases.list()] == [
        (4, "ConfigMap"), (3, "ConfigMap"), (2, "Secret"), (1, "Secret"),
    ]  # fmt: skip
    assert await releases.notes() == ()


async def test_a_release_in_a_secret_is_compared_and_restored_with_its_values(yard: Any, shapes: Any) -> None:
    first, *_ = await _mixed(yard, shapes)
    env = [{"name": "DB_PASSWORD", "value": f"other-{VALUE}"}]
    await yard.apply(shapes.deployment(image="example/app:5", env=env))
    releases = await yard.releases()
    (found,) = [item for item in await releases.list() if item.number == 1]
    lines = (await releases.diff(found)).lines
    assert "Deployment web: image: example/app:1 -> example/app:5" in lines
    assert "Deployment web: env[DB_PASSWORD].value: a hidden value -> another hidden value" in lines
    restored = await releases.restore(found)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"][0]["value"]) == ("example/app:1", VALUE)
    assert restored.exception == ""
    assert first.kind == "Secret"


async def test_what_runs_is_found_among_the_releases_in_secrets(yard: Any, shapes: Any) -> None:
    await _deploy(yard, shapes, 1, storage="secrets")
    releases = await yard.releases()
    assert (await releases.drift()).is_current
    assert (await releases.ensure_baseline()).number == 1


async def test_one_step_back_crosses_from_config_maps_to_secrets(yard: Any, shapes: Any) -> None:
    await _deploy(yard, shapes, 1, storage="secrets")
    await _deploy(yard, shapes, 2)
    assert (await (await yard.releases()).choose(steps=1)).release.number == 1


async def test_old_releases_of_both_kinds_are_pruned_and_then_no_secret_is_asked_for(yard: Any, shapes: Any) -> None:
    await _mixed(yard, shapes, keep=2)
    assert _names(yard, "Secret") == []
    assert _names(yard, "ConfigMap") == ["klepaas.release.web.3", "klepaas.release.web.4"]
    await _deploy(yard, shapes, 5, keep=2)
    yard.sandbox.clear_requests()
    await _deploy(yard, shapes, 6, keep=2)
    assert [item.number for item in await (await yard.releases()).list()] == [6, 5]
    assert _asked_of_secrets(yard) == []


async def test_a_secret_is_asked_for_its_metadata_and_not_for_its_values_unless_it_is_loaded(
    yard: Any, shapes: Any
) -> None:
    await _mixed(yard, shapes)
    yard.sandbox.clear_requests()
    await (await yard.releases()).list()
    asked = _asked_of_secrets(yard)
    assert len(asked) == 1
    assert [(item.path.endswith("/secrets"), item.query["fieldSelector"]) for item in asked] == [
        (True, "type=klepaas.io/release.v1")
    ]


async def test_without_the_right_to_secrets_those_in_config_maps_are_listed_with_a_note(yard: Any, shapes: Any) -> None:
    await _mixed(yard, shapes)
    yard.sandbox.deny("*", "secrets")
    releases = await yard.releases()
    assert [item.number for item in await releases.list()] == [4, 3]
    assert [note for note in await releases.notes() if "Secrets may not be listed" in note]
    with pytest.raises(Forbidden):
        await (await yard.releases(storage="secrets")).list()


async def test_a_setting_leaves_secrets_unread(yard: Any, shapes: Any) -> None:
    await _mixed(yard, shapes)
    yard.sandbox.clear_requests()
    assert [item.number for item in await (await yard.releases(read_secrets=False)).list()] == [4, 3]
    assert _asked_of_secrets(yard) == []


async def test_going_back_to_secrets_loses_no_number_and_no_release(yard: Any, shapes: Any) -> None:
    for number in (1, 2):
        await _deploy(yard, shapes, number)
    for number in (3, 4):
        await _deploy(yard, shapes, number, storage="secrets")
    await _deploy(yard, shapes, 5)
    assert [item.number for item in await (await yard.releases()).list()] == [5, 4, 3, 2, 1]


async def test_two_records_of_one_number_count_once_and_it_is_said(yard: Any, shapes: Any) -> None:
    """An earlier klepaas that is still in use numbers its releases without those in ConfigMaps."""
    await _deploy(yard, shapes, 1, storage="secrets")
    await _deploy(yard, shapes, 2)
    (secret,) = [item for item in yard.sandbox.list("Secret", "default") if "release" in item["metadata"]["name"]]
    metadata = {key: secret["metadata"][key] for key in ("labels", "annotations")}
    labels = {**metadata["labels"], "klepaas.io/release": "2"}
    yard.sandbox.create(
        {**secret, "metadata": {**metadata, "labels": labels, "name": "klepaas.release.web.2", "namespace": "default"}}
    )
    releases = await yard.releases()
    assert [(item.number, item.kind) for item in await releases.list()] == [(2, "ConfigMap"), (1, "Secret")]
    assert list(await releases.notes()) == [
        "Secret klepaas.release.web.2 has the number of another release, and is passed over"
    ]
    await _deploy(yard, shapes, 3)


async def test_releases_in_secrets_hold_their_values_where_the_setting_asks_for_that(yard: Any, shapes: Any) -> None:
    release = await _deploy(yard, shapes, 1, storage="secrets")
    assert (_names(yard, "Secret"), _names(yard, "ConfigMap")) == (["klepaas.release.web.1"], [])
    await yard.apply(shapes.deployment(env=[{"name": "DB_PASSWORD", "value": "another"}]))
    await (await yard.releases(storage="secrets")).restore(release)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"][0]["value"] == VALUE
