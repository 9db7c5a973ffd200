"""The configuration that `klepaas demo --serve` prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes import demo
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio


async def test_what_is_done_in_the_sandbox_of_the_demo_lands_in_a_state_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def leave() -> None:
        return

    folder, home = tmp_path / "demo", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    monkeypatch.setattr("klepaas_plugins.kubernetes.demo.anyio.sleep_forever", leave)
    async with Sandbox(Timing.instant()) as sandbox:
        await demo._keep_up(sandbox.write_kubeconfig(folder / "kubeconfig"))
        printed = capsys.readouterr().out
        server = json.JSONDecoder().raw_decode(printed[printed.index("{") :])[0]["mcpServers"]["klepaas"]
        assert printed.count(server["env"]["KLEPAAS_STATE_DIR"]) == 2, "for each form of configuration"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KLEPAAS_", "XDG_"))}
        call = [sys.executable, "-m", "klepaas", "call", "--writes", "deploy_application"]
        with anyio.fail_after(scale_timeout(60)):
            done = await anyio.run_process(
                [*call, '{"app_name": "shop", "image": "example/app:1"}'],
                env={**kept, "HOME": str(home), **server["env"]},
                stderr=subprocess.STDOUT,
            )
    assert b"shop" in done.stdout
    assert (folder / "state" / "klepaas.db").exists()
    assert list(home.rglob("*.db")) == []
