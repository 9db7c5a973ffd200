"""What names a cluster itself."""

import base64
from pathlib import Path
from typing import Any

from klepaas_plugins.kubernetes.client.identities import identity_of
from klepaas_plugins.kubernetes.client.kubeconfig import Entry


def _entry(context: str, folder: Path, **cluster: Any) -> Entry:
    return Entry(context, "cluster", "default", cluster, {}, folder, folder)


def test_contexts_of_the_same_server_and_authority_are_the_same_cluster(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("certificate\n")
    server = "https://api.example:6443"
    by_file = identity_of(_entry("one", tmp_path, server=server, **{"certificate-authority": "ca.crt"}))
    data = base64.b64encode(b"certificate").decode()
    by_data = identity_of(_entry("two", tmp_path, server=f"{server}/", **{"certificate-authority-data": data}))
    assert by_file == by_data


def test_another_server_or_authority_is_another_cluster(tmp_path: Path) -> None:
    data = base64.b64encode(b"other").decode()
    entries = [
        _entry("a", tmp_path, server="https://one.example"),
        _entry("a", tmp_path, server="https://two.example"),
        _entry("a", tmp_path, server="https://one.example", **{"certificate-authority-data": data}),
    ]
    assert len({identity_of(entry) for entry in entries}) == 3
