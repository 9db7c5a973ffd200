"""Every body that is sent is the same to a JSON parser and to a YAML parser, and every character can be applied."""

import json
from typing import Any

import pytest
import yaml

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.client.bodies import encode_body

CHARACTERS = [
    "🚀",
    "한글",
    "é",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    '\t\n\r"\\',
    "\u200d",
]


@pytest.mark.parametrize("text", CHARACTERS, ids=ascii)
def test_a_body_is_the_same_as_json_and_as_yaml_whatever_characters_it_holds(text: str) -> None:
    body = {text: [f"before {text} after"]}
    sent = encode_body(body)
    assert json.loads(sent) == body
    assert yaml.safe_load(sent) == body


def test_half_of_a_character_is_refused_with_a_word() -> None:
    with pytest.raises(BadRequest, match="half of a character"):
        encode_body({"text": "half\ud800"})


@pytest.mark.anyio
async def test_an_emoji_in_a_manifest_is_sent_as_it_is_by_every_way_that_writes(change: Any, sandbox: Any) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rocket"}, "data": {"text": "🚀 로켓"}}
    for tool in ("k8s_create", "k8s_apply"):
        result = await change(tool, manifests=json.dumps(manifest))
        assert not result.is_error, result
        assert (sandbox.get("configmaps", "rocket") or {})["data"] == {"text": "🚀 로켓"}
