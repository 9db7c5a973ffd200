"""Releases as ConfigMaps of the cluster: recorded once, marked, listed, cleared away, and not believed blindly."""

import hashlib
from typing import Any

import pytest

from klepaas.errors import BadRequest, Forbidden
from klepaas_plugins.deployments.releases import Cause, ReleaseState, encoding, storing

pytestmark = pytest.mark.anyio


async def _recorded(releases: Any, operation_id: str = "op-1", **more: Any) -> Any:
    return await releases.record(await releases.capture(), principal="alice", operation_id=operation_id, **more)


def _noise(size: int) -> str:
    return hashlib.shake_128(b"klepaas").hexdigest(size // 2)


async def test_a_release_is_one_immutable_config_map_with_own_labels_alone_and_no_owner(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    release = await _recorded(await yard.releases())
    (record,) = yard.records()
    assert (record["kind"], record["metadata"]["name"]) == ("ConfigMap", "klepaas.release.web.1")
    assert record["immutable"] is True
    marks = record["metadata"]["labels"]
    assert all(key.startswith("klepaas.io/") for key in marks)
    assert {key.removeprefix("klepaas.io/"): text for key, text in marks.items()} == {
        "application": "web", "release": "1", "state": "pending", "cause": "deploy", "operation": "op-1",
        "content": release.content,
    }  # fmt: skip
    assert "ownerReferences" not in record["metadata"]


async def test_a_list_reads_no_data_and_what_is_loaded_is_what_was_recorded(yard: Any, shapes: Any) -> None:
    body = shapes.deployment()
    body["metadata"]["annotations"] = {"org.opencontainers.image.revision": "0123456789abcdef"}
    yard.sandbox.create(body)
    releases = await yard.releases()
    snapshot = await releases.capture()
    await _recorded(releases)
    yard.sandbox.clear_requests()
    (release,) = await releases.list()
    assert not [item for item in yard.sandbox.requests if "/configmaps/" in item.path]
    assert (release.number, release.principal, release.image, release.commit) == (
        1, "alice", "example/app:1", "0123456789abcdef",
    )  # fmt: skip
    assert release.exact == snapshot.exact
    assert await releases.load(release) == snapshot


async def test_the_same_operation_records_one_release(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases()
    one, again = await _recorded(releases), await _recorded(releases)
    other = await _recorded(releases, operation_id="op-2")
    assert (one.number, again.number, other.number) == (1, 1, 2)
    assert (await releases.recorded("op-2", Cause.DEPLOY)).number == 2
    assert await releases.recorded("op-3", Cause.DEPLOY) is None


async def test_two_servers_at_once_get_two_numbers(yard: Any, shapes: Any) -> None:
    import anyio

    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases()
    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(_recorded, releases, f"op-{number}")
    assert [item.number for item in await releases.list()] == [4, 3, 2, 1]
    assert len({item.operation_id for item in await releases.list()}) == 4


async def test_marking_changes_no_data(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases()
    release = await _recorded(releases)
    (before,) = yard.records()
    await releases.mark(release, ReleaseState.FAILED, "CrashLoopBackOff: password=hunter2hunter2")
    (after,) = yard.records()
    held = ("data", "binaryData", "immutable")
    assert [after[key] for key in held] == [before[key] for key in held]
    (found,) = await releases.list()
    assert (found.state, found.reason) == (ReleaseState.FAILED, "CrashLoopBackOff: password=(hidden)")


async def test_an_operation_whose_name_is_no_label_is_still_known_again(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases()
    name = "urn:operation:" + "x" * 100
    assert (await _recorded(releases, name)).number == (await _recorded(releases, name)).number == 1


async def test_old_releases_go_and_the_last_verified_one_never(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases(keep=3)
    first = await _recorded(releases, "op-0")
    await releases.mark(first, ReleaseState.PASSED)
    for number in range(1, 6):
        release = await _recorded(releases, f"op-{number}")
        await releases.mark(release, ReleaseState.FAILED)
    assert [item.number for item in await releases.list()] == [6, 5, 4, 1]


async def test_a_large_release_takes_several_config_maps_of_less_than_a_mebibyte(
    yard: Any, shapes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.sandbox.create(shapes.deployment(envFrom=[{"configMapRef": {"name": "settings"}}]))
    for number in range(2):
        yard.sandbox.create(shapes.config_map(f"settings{number or ''}", {"app": "web"}, big=_noise(900_000)))
    releases = await yard.releases(max_parts=4)
    snapshot = await releases.capture()
    release = await _recorded(releases)
    names = [f"klepaas.release.web.1{part}" for part in ("", ".part2")]
    assert sorted(item["metadata"]["name"] for item in yard.records()) == names
    (found,) = await releases.list()
    assert await releases.load(found) == snapshot
    yard.sandbox.delete("ConfigMap", "klepaas.release.web.1.part2")
    with pytest.raises(BadRequest, match=r"Release 1 of web in default cannot be read: a part of its record is gone"):
        await releases.load(found)
    assert release.unrecorded is None


async def test_a_release_that_is_too_large_is_not_recorded_and_says_so(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(envFrom=[{"configMapRef": {"name": "settings"}}]))
    yard.sandbox.create(shapes.config_map("settings", {"app": "web"}, big=_noise(1_000_000)))
    yard.sandbox.create(shapes.config_map("settings2", {"app": "web"}, big=_noise(1_000_000)[::-1]))
    release = await _recorded(await yard.releases(max_parts=1))
    assert (release.number, yard.records()) == (0, [])
    assert "bytes compressed, more than 1 objects" in release.unrecorded


async def test_without_the_right_to_config_maps_the_change_goes_on_with_a_note(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    for verb in ("create", "list"):
        yard.sandbox.clear_faults()
        yard.sandbox.deny(verb, "configmaps")
        releases = await yard.releases()
        release = await _recorded(releases)
        assert release.number == 0
        assert f"cannot {verb} resource" in release.unrecorded
        assert (await releases.mark(release, ReleaseState.PASSED)).state is ReleaseState.PASSED
        assert (await releases.ensure_baseline()).unrecorded is not None
        assert await releases.last_verified() is None


async def test_where_a_setting_requires_releases_the_change_is_refused(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    yard.sandbox.deny("create", "configmaps")
    with pytest.raises(Forbidden, match="KLEPAAS_RELEASES_REQUIRED"):
        await _recorded(await yard.releases(required=True))


async def test_secrets_of_others_are_passed_over_with_a_note(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases(storage="secrets")
    await _recorded(releases)
    labels = {"klepaas.io/application": "web", "klepaas.io/state": "passed", "klepaas.io/cause": "deploy"}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "klepaas.io/release.v1"}
    yard.sandbox.create({**secret, "metadata": {"name": "stranger", "labels": labels}})
    yard.sandbox.create(
        {**secret, "metadata": {"name": "klepaas.release.web.9", "labels": {"klepaas.io/application": "web"}}}
    )
    yard.sandbox.create({**secret, "type": "Opaque", "metadata": {"name": "klepaas.release.web.8", "labels": labels}})
    assert [item.number for item in await releases.list()] == [1]
    assert sorted(await releases.notes()) == [
        f"Secret {name} is labelled as a release and is none that klepaas wrote"
        for name in ("klepaas.release.web.9", "stranger")
    ]


async def test_a_record_with_false_data_is_said_to_be_unreadable(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    releases = await yard.releases()
    release = await _recorded(releases)
    (record,) = yard.records()
    yard.sandbox.plant({**record, "binaryData": {"release": "AAAA"}})
    (found,) = await releases.list()
    for work in (releases.load(found), releases.restore(found)):
        with pytest.raises(BadRequest, match="Release 1 of web in default cannot be read"):
            await work
    assert release.snapshot is not None


async def test_a_crash_between_two_parts_leaves_nothing_that_counts(
    yard: Any, shapes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.sandbox.create(shapes.deployment())
    monkeypatch.setattr(
        storing, "encode", lambda snapshot, max_parts: encoding.encode(snapshot, max_parts=99, part_bytes=200)
    )
    releases = await yard.releases()
    release = await _recorded(releases)
    parts = len(yard.records())
    assert parts > 1
    yard.sandbox.delete("ConfigMap", "klepaas.release.web.1")
    assert await releases.list() == []
    again = await _recorded(releases, "op-2")
    assert again.number == 2
    await releases.mark(again, ReleaseState.PASSED)
    assert len(yard.records()) == parts
    assert release.number == 1


async def test_numbers_taken_by_others_all_the_time_are_no_record_and_it_is_said(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    yard.sandbox.fail("POST", "/configmaps", 409, reason="AlreadyExists")
    release = await _recorded(await yard.releases())
    assert "written by others all the time" in str(release.unrecorded)


async def test_the_baseline_is_recorded_once_and_again_after_a_change_by_hand(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(replicas=0))
    releases = await yard.releases()
    assert (await releases.ensure_baseline()).number == 1
    assert (await releases.ensure_baseline()).number == 1
    yard.change("Deployment", "web", lambda item: item["spec"]["template"]["spec"].update(hostname="by-hand"))
    again = await releases.ensure_baseline()
    assert (again.number, again.cause, again.principal) == (2, Cause.FOUND, "sandbox (field manager)")


async def test_there_is_no_baseline_of_what_is_not_there(yard: Any) -> None:
    assert await (await yard.releases()).ensure_baseline() is None
    assert yard.records() == []
