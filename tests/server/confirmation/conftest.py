"""A klepaas whose plugin is `changing_tools`, and people who answer."""

import importlib.util
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastmcp import Client
from mcp_types import ElicitResult

from klepaas.app import App, create_app
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings

FOLDER = Path(__file__).parent
_numbers = itertools.count()
CONFIRM_WRITES = '[{"effect": "write", "decision": "confirm"}]'


class Person:
    """Answers questions: with what it was told, last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers) or [True]
        self.read: list[str] = []

    async def __call__(self, message: str, *_: Any) -> Any:
        self.read.append(message)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = await answer()
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, bool):
            return {"confirm": answer}
        return ElicitResult.model_validate({"action": answer}) if isinstance(answer, str) else answer


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> Any:
    """Both protocols: the handshake of 2025-11-25, and 2026-07-28."""
    return request.param


@pytest.fixture
def world() -> Iterator[ModuleType]:
    """The plugin's module, new for each test."""
    name = f"changing_tools_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, FOLDER / "changing_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def klepaas(world: ModuleType, tmp_path: Path) -> Callable[..., App]:
    """Puts a klepaas together with the plugin; takes settings."""

    def build(policy: str | None = None, **settings: Any) -> App:
        rules = json.loads(policy) if policy else ()
        chosen = Settings(mode=Mode.WRITES, state_dir=tmp_path / "state", policy=rules, **settings)
        return create_app(chosen, Plugins(chosen, [EntryPoint("world", world.__name__, "klepaas")]))

    return build


@pytest.fixture
def meet(klepaas: Callable[..., App], era: Any) -> Callable[..., Client[Any]]:
    """A client of a new klepaas, with a person behind it; takes settings. None: a client that cannot ask."""

    def build(person: Person | None, policy: str | None = None, **settings: Any) -> Client[Any]:
        asking = {"elicitation_handler": person} if person else {}
        return Client(klepaas(policy, **settings).server, mode=era, **asking)

    return build


@pytest.fixture
def audited(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Reads the audit."""

    def read() -> list[dict[str, Any]]:
        file = tmp_path / "state" / "audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read
