"""The steps of the tutorial, as data: what each says, and the calls that it makes. Read with the first tutorial."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klepaas_plugins.deployments.prompt_texts import written
from klepaas_plugins.deployments.prompt_wordings import TUTORIAL

__all__ = ["Call", "Step", "steps"]


@dataclass(frozen=True)
class Call:
    """A call that a step makes.

    Attributes:
        tool: The tool.
        arguments: Its arguments.
        fails: Whether it is meant to.
        shows: What its answer holds.
    """

    tool: str
    arguments: Mapping[str, Any]
    fails: bool
    shows: str

    def text(self, place: Mapping[str, str]) -> str:
        """The call as a model would write it.

        Args:
            place: What is added to its arguments: where it works.
        """
        named = {**self.arguments, **_fitting(self.tool, place)}
        words = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in named.items()]
        return f"{self.tool}({', '.join(words)})"


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        name: Its name.
        words: By language: its title, and what is said of it.
        calls: What it does.
    """

    name: str
    words: Mapping[str, tuple[str, str]]
    calls: tuple[Call, ...]


def steps() -> list[Step]:
    """The steps, in their order."""
    return [_step(found) for found in tomllib.loads(written("tutorial.toml"))["step"]]


def _step(found: Mapping[str, Any]) -> Step:
    calls = [
        Call(call["tool"], call.get("arguments", {}), call.get("fails", False), call["shows"]) for call in found["call"]
    ]
    return Step(found["name"], {spoken: tuple(found[spoken]) for spoken in TUTORIAL}, tuple(calls))


def _fitting(tool: str, place: Mapping[str, str]) -> Mapping[str, str]:
    """The overview of a namespace is not the overview of a cluster, which is what the step shows."""
    return {name: value for name, value in place.items() if tool != "get_overview" or name == "context"}
