"""The page that leads from nothing to a plugin's tool answering in a client, typed in as it stands there."""

import socket
from pathlib import Path

import pytest

from klepaas.testing import scale_timeout

from .conftest import Environment
from .transcripts import Command, commands_in, fits, run

PAGE = Path(__file__).parents[2] / "docs" / "plugins" / "in-fifteen-minutes.md"
PORT = "8123"


def _free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


# A type check from nothing, two runs of the plugin's tests, and an installation.
@pytest.mark.timeout(scale_timeout(100))
def test_every_command_prints_what_the_page_says(environment: Environment, tmp_path: Path) -> None:
    page = PAGE.read_text().replace(PORT, _free_port())
    commands = list(commands_in(page))
    assert len(commands) > 15
    printed = run(_patient(commands), tmp_path, environment.variables, timeout_s=scale_timeout(95))
    assert len(printed) == len(commands)
    for command, text in zip(commands, printed, strict=True):
        assert fits(command.printed, text), f"$ {command.text}\n{text}"


def _patient(commands: list[Command]) -> list[Command]:
    """Wait for the service where a person, who types more slowly than a test, need not."""
    wait = "until python -c 'import os, urllib.request; urllib.request.urlopen(os.environ[\"KLEPAAS_WEATHER_URL\"])'"
    ready = f"{wait} 2>/dev/null; do sleep 0.1; done"
    return [
        Command(f"{one.text}\n{ready}", one.printed) if one.text.startswith("export KLEPAAS_WEATHER_URL") else one
        for one in commands
    ]


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a", "a\n", True),
        ("a", "b", False),
        ("...", "", True),
        ("...\na", "a", True),
        ("...\na\n...", "x\ny\na\nz", True),
        ("a in ...", "a in 3 s", True),
        ("a", "a\nb", False),
        ("", "x", False),
    ],
)
def test_dots_stand_for_anything_and_nothing_else_does(expected: str, printed: str, same: bool) -> None:
    assert fits(expected, printed) is same
