"""Recorded answers of a real cluster for the pure functions."""

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "fixtures" / "k8s-recordings"


@cache
def _exchanges(file: str) -> dict[str, Any]:
    return {item["name"]: item for item in json.loads((FOLDER / f"{file}.json").read_text())}


@pytest.fixture
def recorded() -> Callable[[str, str], Any]:
    """The answer recorded in a file under a name: an object, a list's items, or the objects of a watch."""

    def find(file: str, name: str) -> Any:
        exchange = copy.deepcopy(_exchanges(file)[name])
        if "stream" in exchange:
            return [event["object"] for event in exchange["stream"]]
        return exchange["response"].get("items", exchange["response"])

    return find
