"""After any sequence of applies and other writers klepaas' own fields are as wished for last, and others' stay."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from klepaas_plugins.kubernetes.client import FieldConflict
from klepaas_plugins.kubernetes.write.own_fields import own_paths

from .conftest import APPLY, World, config_map, managers

pytestmark = pytest.mark.anyio
KEYS = "abcd"
STEPS = 14


@dataclass
class Model:
    """What there should be.

    Attributes:
        world: Where.
        chance: Decides what happens.
        wished: The keys that klepaas set last, with their values.
        theirs: The keys of others.
    """

    world: World
    chance: random.Random
    wished: dict[str, str] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)

    def values(self, keys: str = KEYS) -> dict[str, str]:
        chosen = self.chance.sample(keys, self.chance.randint(1, len(keys)))
        return {key: str(self.chance.randint(0, 9)) for key in chosen}

    async def apply_some(self) -> None:
        named = self.values()
        await self.world.apply(config_map(named))
        self.wished.update(named)

    async def remove_one(self) -> None:
        key = self.chance.choice(KEYS)
        await self.world.apply(config_map({key: None}))
        self.wished.pop(key, None)

    async def apply_whole(self) -> None:
        named = self.values()
        await self.world.apply(config_map(named), remove_unnamed=True)
        self.wished = dict(named)

    async def edit_by_a_person(self) -> None:
        """Overwrites what klepaas set; the next apply that names it takes it back."""
        key = self.chance.choice(KEYS)
        there = await self.world.get("ConfigMap", "settings")
        if key in (there.get("data") or {}):
            await self.world.patch("ConfigMap", "settings", {"data": {key: "by hand"}}, "kubectl-edit")
            await self.world.apply(config_map({key: "taken back"}))
            self.wished[key] = "taken back"

    async def write_as_old_klepaas(self) -> None:
        key, value = self.chance.choice(KEYS), str(self.chance.randint(0, 9))
        await self.world.patch("ConfigMap", "settings", {"data": {key: value}}, "klepaas")
        self.wished[key] = value

    async def add_by_a_controller(self) -> None:
        key = self.chance.choice("xyz")
        value = str(self.chance.randint(0, 9))
        await self.world.patch("ConfigMap", "settings", {"data": {key: value}}, "some-operator")
        self.theirs[key] = value

    async def share_by_a_person(self) -> None:
        """Applies a value of ours as it is, so that both own it."""
        if self.wished:
            key = self.chance.choice(sorted(self.wished))
            there = (await self.world.get("ConfigMap", "settings")).get("data") or {}
            if there.get(key) == self.wished[key]:
                await self.world.patch("ConfigMap", "settings", config_map({key: there[key]}), "kubectl", APPLY)

    async def fail(self) -> None:
        """A change that is refused changes nothing."""
        if self.theirs:
            with pytest.raises(FieldConflict):
                await self.world.plan(config_map({next(iter(self.theirs)): "ours", **self.values()}))


@pytest.mark.parametrize("seed", range(6))
async def test_after_any_sequence_klepaas_own_fields_are_as_wished_and_those_of_others_stay(
    world: World, seed: int
) -> None:
    model = Model(world, random.Random(seed))
    await model.apply_some()
    steps: list[Any] = [
        model.apply_some, model.remove_one, model.apply_whole, model.edit_by_a_person, model.write_as_old_klepaas,
        model.add_by_a_controller, model.share_by_a_person, model.fail,
    ]  # fmt: skip
    for _ in range(STEPS):
        await model.chance.choice(steps)()
        found = await world.get("ConfigMap", "settings")
        assert found.get("data") or {**model.wished, **model.theirs} == {}
    await world.apply(config_map(model.wished or None, labels={"last": "yes"}))
    found = await world.get("ConfigMap", "settings")
    assert (found.get("data") or {}) == {**model.wished, **model.theirs}
    assert {one for one in managers(found) if one[0] == "klepaas"} == {("klepaas", "Apply", "")}
    assert {path for path in own_paths(found) if len(path) == 2 and path[0] == "f:data"} == {
        ("f:data", f"f:{key}") for key in model.wished
    }
