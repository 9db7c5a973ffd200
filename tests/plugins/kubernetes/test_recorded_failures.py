"""Every failure that a real API server was recorded to answer becomes one error of the right kind, in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from klepaas.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    KlepaasError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from klepaas_plugins.kubernetes.client import AlreadyExists, Expired, FieldConflict
from klepaas_plugins.kubernetes.errors import Act, Invalid, ObjectModified, error_for

RECORDINGS = Path(__file__).parents[2] / "fixtures" / "k8s-recordings"
EXPECTED: dict[int, type[KlepaasError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    415: BadRequest,
    422: Invalid,
    429: RateLimited,
    500: Unavailable,
}
SPECIAL: dict[str, type[KlepaasError]] = {
    "create again": AlreadyExists,
    "update stale resourceVersion": ObjectModified,
    "lease stale update": ObjectModified,
    "apply conflicts with another manager": FieldConflict,
    "apply unknown field strict": BadRequest,
    "apply unknown field warn": BadRequest,
    "evict blocked by budget": Conflict,
    "create in terminating namespace": Conflict,
}


def _failures() -> list[Any]:
    found = []
    for path in sorted(RECORDINGS.glob("*.json")):
        for exchange in json.loads(path.read_text()):
            if exchange["status"] >= 400:
                found.append(pytest.param(exchange, id=exchange["name"]))
    return found


@pytest.mark.parametrize("exchange", _failures())
def test_a_recorded_failure_is_explained(exchange: dict[str, Any]) -> None:
    answer = exchange["response"]
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    error = error_for(Act("change", "deployment web in namespace rec", "prod", "web"), exchange["status"], body)
    assert type(error) is SPECIAL.get(exchange["name"], EXPECTED[exchange["status"]])
    assert "\n" not in error.line
    assert "web" in error.line
    assert "prod" in error.line
    assert error.next_step


def test_there_are_recordings_to_test() -> None:
    assert len(_failures()) > 15
