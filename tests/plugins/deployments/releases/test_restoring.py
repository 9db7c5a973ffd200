"""Going back to a release in the sandbox: every object exactly as it was."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


async def test_a_restored_release_is_whole_and_what_came_later_is_gone(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.config_map("web-config", mode="fast"))
    await yard.apply(shapes.deployment(envFrom=[{"configMapRef": {"name": "web-config"}}]))
    yard.sandbox.create(shapes.service("web", {"app": "web"}))
    releases = await yard.releases()
    first = await releases.ensure_baseline("alice")
    before = await releases.capture()
    await yard.apply(shapes.config_map("web-config", mode="slow"))
    await yard.apply(shapes.config_map("web-more", mode="slow"))
    await yard.apply(shapes.deployment(image="example/app:2", envFrom=[{"configMapRef": {"name": "web-more"}}]))
    restored = await releases.restore(first)
    assert restored.text == "restored ConfigMap web-config, Deployment web; removed ConfigMap web-more"
    assert (await releases.capture()).objects == before.objects
