"""Secret values in releases: never in a ConfigMap, compared by keyed digests, restored where at hand, else named.

A text with a secret in it, a whole document of the application, is judged part by part.
"""

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from klepaas.errors import Conflict
from klepaas.store.keys import Keys
from klepaas_plugins.deployments.releases import Releases, ReleaseSettings

pytestmark = pytest.mark.anyio
FIRST, SECOND = "hunter2-9f86d081884c7d65", "swordfish-2c26b46b68ffc68f"
PASSWORD = "spec.template.spec.containers[web].env[DB_PASSWORD].value"


def _env(password: str, mode: str = "fast") -> list[dict[str, str]]:
    return [{"name": "DB_PASSWORD", "value": password}, {"name": "MODE", "value": mode}]


def _unpacked(yard: Any) -> str:
    """All that the records of the releases hold."""
    packed = [base64.b64decode(item["binaryData"]["release"]) for item in yard.records()]
    return "\n".join([*(gzip.decompress(one).decode() for one in packed), json.dumps(yard.records())])


async def _record(releases: Releases, operation_id: str = "op-1") -> Any:
    """A release as a later process sees it."""
    made = await releases.record(await releases.capture(), principal="alice", operation_id=operation_id)
    assert made.unrecorded is None
    return replace(made, snapshot=None)


def _password(yard: Any) -> str:
    env = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]["env"]
    return str(next((item["value"] for item in env if item["name"] == "DB_PASSWORD"), ""))


async def test_a_record_holds_a_keyed_digest_and_neither_the_value_nor_a_plain_hash(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    await _record(await yard.releases())
    held = _unpacked(yard)
    spellings = [FIRST, base64.b64encode(FIRST.encode()).decode()]
    spellings += [getattr(hashlib, name)(FIRST.encode()).hexdigest() for name in ("md5", "sha1", "sha256", "sha512")]
    assert [text for text in spellings if text in held] == []
    assert "MODE" in held
    assert "fast" in held


async def test_the_digests_of_a_release_tell_nothing_without_the_key(yard: Any, shapes: Any) -> None:
    """Whoever guesses the value, and knows all else, cannot make the label or an annotation."""
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    releases = await yard.releases()
    snapshot = await releases.capture()
    await _record(releases)
    (record,) = yard.records()
    guesses = {snapshot.content, snapshot.exact, hashlib.sha256(json.dumps(FIRST).encode()).hexdigest()}
    told = {*record["metadata"]["labels"].values(), *record["metadata"]["annotations"].values()}
    assert not guesses & told


async def test_copies_binary_data_and_passwords_in_texts_are_in_no_record(yard: Any, shapes: Any) -> None:
    body = shapes.deployment(envFrom=[{"configMapRef": {"name": "settings"}}])
    body["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": FIRST}),
        "kubernetes.io/change-cause": f"set DB_PASSWORD={FIRST}",
    }
    settings = shapes.config_map("settings", {"app": "web"}, **{"app.conf": f"host=db\npassword={FIRST}\nmode=fast\n"})
    settings["binaryData"] = {"store.jks": base64.b64encode(FIRST.encode()).decode()}
    yard.sandbox.create(body)
    yard.sandbox.create(settings)
    await _record(await yard.releases())
    held = _unpacked(yard)
    assert FIRST not in held
    assert base64.b64encode(FIRST.encode()).decode() not in held
    assert "mode=fast" in held


async def test_a_rollback_keeps_a_value_that_is_still_the_same_and_says_so(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    release = await _record(await yard.releases())
    await yard.apply(shapes.deployment(image="example/app:2", env=_env(FIRST, "slow")))
    restored = await (await yard.releases()).restore(release)
    assert _password(yard) == FIRST
    assert f"As in the release, by digest, and so left in place: Deployment web: {PASSWORD}." in restored.notes
    assert restored.exception == ""
    assert (await (await yard.releases()).diff(release)).count == 0


async def test_a_rollback_leaves_a_value_that_differs_as_it_is_and_names_it(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    release = await _record(await yard.releases())
    await yard.apply(shapes.deployment(image="example/app:2", env=_env(SECOND, "slow")))
    restored = await (await yard.releases()).restore(release)
    live = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert (live["image"], live["env"]) == ("example/app:1", _env(SECOND))
    assert (
        f"Deployment web: {PASSWORD} stays as it is now: the release has another value, which it does not hold."
        in restored.notes
    )
    assert restored.exception == ", except 1 secret value that a release does not hold"
    assert FIRST not in str(restored)
    assert SECOND not in str(restored)


async def test_a_variable_that_was_removed_since_does_not_come_back_empty(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    release = await _record(await yard.releases())
    await yard.apply(shapes.deployment(env=_env(FIRST, "slow")[1:]))
    restored = await (await yard.releases()).restore(release)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "MODE", "value": "fast"}]
    assert any("DB_PASSWORD].value does not come back" in note for note in restored.notes)


async def test_a_document_with_an_unchanged_password_comes_back_whole(yard: Any, shapes: Any) -> None:
    def settings(mode: str, password: str) -> dict[str, Any]:
        text = f"host=db\npassword={password}\nmode={mode}\n"
        return {**shapes.config_map("settings", {"app": "web"}, **{"app.conf": text})}

    def with_namespace(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "metadata": {**body["metadata"], "namespace": "default"}}

    await yard.apply(shapes.deployment(envFrom=[{"configMapRef": {"name": "settings"}}]))
    await yard.apply(with_namespace(settings("fast", FIRST)))
    release = await _record(await yard.releases())
    await yard.apply(with_namespace(settings("slow", FIRST)))
    await (await yard.releases()).restore(release)
    assert yard.sandbox.get("ConfigMap", "settings")["data"] == settings("fast", FIRST)["data"]
    await yard.apply(with_namespace(settings("slow", SECOND)))
    restored = await (await yard.releases()).restore(release)
    assert yard.sandbox.get("ConfigMap", "settings")["data"] == settings("slow", SECOND)["data"]
    assert any("ConfigMap settings: data.app.conf stays as it is now" in note for note in restored.notes)


async def test_a_command_line_stays_whole_where_a_word_of_it_cannot_be_restored(yard: Any, shapes: Any) -> None:
    def body(image: str, password: str) -> dict[str, Any]:
        made: dict[str, Any] = shapes.deployment(image=image)
        made["spec"]["template"]["spec"]["containers"][0]["args"] = ["--port", "80", f"--db-password={password}"]
        return made

    await yard.apply(body("example/app:1", FIRST))
    release = await _record(await yard.releases())
    await yard.apply(body("example/app:2", SECOND))
    await (await yard.releases()).restore(release)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["args"][2]) == ("example/app:1", f"--db-password={SECOND}")


async def test_what_is_gone_is_not_made_anew_without_its_secret_values(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    release = await _record(await yard.releases())
    yard.sandbox.delete("Deployment", "web")
    with pytest.raises(Conflict, match=r"Deployment web cannot be made anew: a release does not hold.*DB_PASSWORD"):
        await (await yard.releases()).restore(release)
    assert yard.sandbox.get("Deployment", "web") is None


async def test_a_process_that_has_captured_the_values_restores_them_too(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    releases = await yard.releases()
    baseline = await releases.ensure_baseline()
    await yard.apply(shapes.deployment(image="example/app:2", env=_env(SECOND)))
    restored = await releases.restore(replace(baseline, snapshot=None))
    assert _password(yard) == FIRST
    assert restored.exception == ""


async def test_a_difference_of_two_records_says_that_a_value_differs_and_only_then(yard: Any, shapes: Any) -> None:
    releases = await yard.releases()
    recorded = []
    for number, password in enumerate((FIRST, FIRST, SECOND)):
        await yard.apply(shapes.deployment(image=f"example/app:{number}", env=_env(password)))
        recorded.append(await _record(releases, f"op-{number}"))
    reader = await yard.releases()
    same = (await reader.diff(recorded[0], recorded[1])).lines
    other = (await reader.diff(recorded[1], recorded[2])).lines
    assert [line for line in same if "DB_PASSWORD" in line] == []
    assert [line for line in other if "DB_PASSWORD" in line] == [
        "Deployment web: env[DB_PASSWORD].value: a hidden value -> another hidden value"
    ]


async def test_reading_history_takes_no_key_and_makes_none(yard: Any, shapes: Any, tmp_path: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    release = await _record(await yard.releases())
    folder = tmp_path / "absent"
    reader = Releases(await yard.place(), ReleaseSettings().with_keys(Keys(folder)))
    assert (await reader.drift()).is_current
    assert (await reader.diff(release)).count == 0
    assert not folder.exists()


async def test_digests_of_another_key_are_not_compared_and_that_is_said(yard: Any, shapes: Any, tmp_path: Any) -> None:
    await yard.apply(shapes.deployment(env=_env(FIRST)))
    release = await _record(await yard.releases())
    drawn = SecretStr(base64.urlsafe_b64encode(b"k" * 32).decode())
    stranger = Releases(await yard.place(), ReleaseSettings().with_keys(Keys(tmp_path, drawn)))
    found = await stranger.diff(release)
    assert found.count == 0
    assert any("with another key are not compared" in note for note in found.notes)
    await yard.apply(shapes.deployment(image="example/app:2", env=_env(SECOND)))
    restored = await stranger.restore(release)
    assert _password(yard) == SECOND
    assert any("its digest was made with another key" in note for note in restored.notes)


async def test_another_value_alone_is_another_baseline_and_the_same_content(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(env=_env(FIRST)))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    assert (await (await yard.releases()).ensure_baseline()).number == first.number

    def edit(item: dict[str, Any]) -> None:
        item["spec"]["template"]["spec"]["containers"][0]["env"] = _env(SECOND)

    yard.change("Deployment", "web", edit)
    second = await (await yard.releases()).ensure_baseline()
    assert (second.number, second.content) == (first.number + 1, first.content)


async def test_a_changed_shared_object_is_noted_by_a_keyed_digest(yard: Any, shapes: Any) -> None:
    refers = {"envFrom": [{"configMapRef": {"name": "common"}}]}
    for name in ("web", "other"):
        yard.sandbox.create(shapes.deployment(name, **refers))
    yard.sandbox.create(shapes.config_map("common", password=FIRST))
    releases = await yard.releases()
    plain = (await releases.capture()).shared[0].digest
    release = await _record(releases)
    assert str(plain) not in _unpacked(yard)
    assert (await releases.diff(release)).notes == ()
    yard.change("ConfigMap", "common", lambda item: item["data"].update(password=SECOND))
    assert any("ConfigMap common: changed" in note for note in (await releases.diff(release)).notes)
