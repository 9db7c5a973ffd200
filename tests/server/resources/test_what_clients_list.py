"""What clients list of klepaas' own resources and prompts: the same in both eras, in one order, as the snapshot shows.

KLEPAAS_UPDATE_SNAPSHOTS=1 pytest tests/server/resources/test_what_clients_list.py
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from klepaas.app import create_app
from klepaas.settings import Settings
from klepaas.testing import ERAS, UPDATE_VARIABLE, Era, client

pytestmark = pytest.mark.anyio

SNAPSHOT = Path(__file__).parents[2] / "snapshots" / "offers.json"
# People open these lists by hand, so they may be longer than the tools'; but no client pays for them unasked.
MAX_BYTES = 8_000


async def _listed(era: Era) -> dict[str, Any]:
    async with client(create_app(Settings(external_plugins=False)), era) as session:
        lists = {
            "resources": await session.raw.list_resources(),
            "templates": await session.raw.list_resource_templates(),
            "prompts": await session.raw.list_prompts(),
        }
    return {
        kind: [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in items]  # type: ignore[attr-defined]
        for kind, items in lists.items()
    }


@pytest.mark.parametrize("era", ERAS)
async def test_it_is_what_the_snapshot_shows(era: Era) -> None:
    now = json.dumps(await _listed(era), ensure_ascii=False, indent=2) + "\n"
    if os.environ.get(UPDATE_VARIABLE):
        SNAPSHOT.write_text(now, encoding="utf-8")
    assert SNAPSHOT.read_text(encoding="utf-8") == now, f"where that is meant, run this with {UPDATE_VARIABLE}=1"


async def test_it_is_no_longer_than_need_be() -> None:
    listed = json.dumps(await _listed("2026-07-28"), ensure_ascii=False, separators=(",", ":"))
    assert len(listed.encode()) < MAX_BYTES
    assert "_meta" not in listed


async def test_every_text_says_something() -> None:
    for items in (await _listed("2025-11-25")).values():
        for item in items:
            assert 3 <= len(item["title"]) <= 40
            assert 10 <= len(item["description"]) <= 200
            assert all(argument["description"] for argument in item.get("arguments", []))
