"""An intent survives the journal: every field of it, through JSON text, with a version."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas_plugins.deployments.executor.encoding import VERSION, UnknownVersion, dump_intent, load_intent
from klepaas_plugins.deployments.executor.intent import (
    Answer,
    Failure,
    FailureKind,
    Intent,
    ObjectIntent,
    ObjectKey,
    Payload,
    PayloadForm,
    Phase,
    RestoreTarget,
    Takeover,
)

TEXT = st.text(max_size=12)
COUNT = st.integers(0, 9)
SECONDS = st.floats(0, 4e9)
PAYLOAD = st.builds(Payload, st.sampled_from(PayloadForm), st.dictionaries(TEXT, TEXT | st.none(), max_size=2))
KEY = st.builds(ObjectKey, api_version=TEXT, kind=TEXT, name=TEXT, namespace=st.none() | TEXT)
OBJECT = st.builds(
    ObjectIntent,
    key=KEY,
    body=st.none() | PAYLOAD,
    uid=st.none() | TEXT,
    own_before=st.frozensets(st.tuples(TEXT, TEXT), max_size=3),
    takeovers=st.lists(st.builds(Takeover, TEXT, TEXT), max_size=2).map(tuple),
    is_autoscaled=st.booleans(),
    attempts=COUNT,
    refusals=COUNT,
    answer=st.none() | st.builds(Answer, TEXT, st.lists(TEXT, max_size=2).map(tuple)),
)
INTENT = st.builds(
    Intent,
    operation_id=TEXT,
    verb=TEXT,
    namespace=TEXT,
    objects=st.lists(OBJECT, max_size=3).map(tuple),
    phase=st.sampled_from(Phase),
    restore_target=st.none() | st.builds(RestoreTarget, st.none() | COUNT, st.none() | PAYLOAD),
    auto_rollback=st.booleans(),
    changed=st.lists(TEXT, max_size=2).map(tuple),
    failure=st.none() | st.builds(Failure, st.sampled_from(FailureKind), TEXT, SECONDS),
    cancel_requested=st.booleans(),
    missed_deadlines=st.dictionaries(TEXT, TEXT, max_size=2),
    restart_moment=st.none() | TEXT,
    deadline_s=SECONDS,
    restore_deadline_s=SECONDS,
    attended_s=SECONDS,
    hold_s=st.none() | SECONDS,
    crashes=COUNT,
    restores=COUNT,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(INTENT)
def test_an_intent_is_the_same_after_the_journal(intent: Intent) -> None:
    found = load_intent(json.loads(json.dumps(dump_intent(intent))))
    assert found == intent
    assert found.begun == intent.begun


@pytest.mark.parametrize("kind", [Intent, ObjectIntent])
def test_every_field_is_kept(kind: type[Any]) -> None:
    """The examples above build each field, so a new one that is not kept fails there; here it must be listed."""
    data = dump_intent(_example())
    kept = set(data if kind is Intent else data["objects"][0])
    assert {field.name for field in dataclasses.fields(kind)} <= kept


@pytest.mark.parametrize("version", [0, VERSION + 1, None, "1"])
def test_an_intent_of_another_version_is_refused_and_never_guessed_at(version: Any) -> None:
    with pytest.raises(UnknownVersion):
        load_intent({**dump_intent(_example()), "version": version})


@pytest.mark.parametrize("show", [repr, str])
def test_a_payload_is_not_shown(show: Callable[[Any], str]) -> None:
    assert "s3cret" not in show(_example())


def _example() -> Intent:
    key = ObjectKey(api_version="v1", kind="ConfigMap", name="settings", namespace="shop")
    body = Payload(PayloadForm.ENCRYPTED, {"sealed": "s3cret"})
    target = RestoreTarget(snapshot=body)
    objects = (ObjectIntent(key=key, body=body),)
    return Intent(operation_id="op-1", verb="deploy", namespace="shop", objects=objects, restore_target=target)
