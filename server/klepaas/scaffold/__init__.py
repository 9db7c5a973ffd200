"""`klepaas plugin new`: the beginning of a plugin, which is installable, typed, tested and keeps klepaas' rules.

What it makes is in `template/`, one file there for each file of the new plugin. Nothing is asked of a network, and
nothing that is there already is changed.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from klepaas import __version__
from klepaas.errors import BadRequest
from klepaas.output.quoting import quote

__all__ = ["NAME_RULE", "create"]

NAME_RULE = "2 to 24 lower-case letters, digits and single '-' in between, beginning with a letter, such as weather"
_NAME = re.compile(r"(?=.{2,24}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*")
# A template's file name without this is the name of the file it becomes.
_SUFFIX = ".in"


@dataclass(frozen=True)
class _Words:
    """The plugin's name as each place wants it: weather-map, klepaas_weather_map, WEATHER_MAP, WeatherMap."""

    name: str

    def fill(self, text: str) -> str:
        """The text with the words in place of their marks, such as `{{module}}`."""
        module = self.name.replace("-", "_")
        words = {
            "name": self.name,
            "module": module,
            "distribution": f"klepaas-{self.name}",
            "package": f"klepaas_{module}",
            "VARIABLE": f"KLEPAAS_{module.upper()}",
            "Class": "".join(part.capitalize() for part in self.name.split("-")),
            "title": self.name.replace("-", " ").capitalize(),
            "version": __version__,
            # klepaas' wheel holds no tests of its own, and its check goes by the names of files.
            "test": "test",
        }
        return re.sub(r"\{\{(\w+)\}\}", lambda mark: words[mark[1]], text)


def create(name: str, into: Path) -> Path:
    """Make a new plugin in a folder of its own.

    Args:
        name: The plugin's name.
        into: The folder that will hold the plugin's folder.

    Returns:
        The plugin's folder.

    Raises:
        BadRequest: The name is no name for a plugin, or the folder is there already or cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{quote(name, 40)} is no name for a plugin", next_step=f"Use {NAME_RULE}")
    folder = into / f"klepaas-{name}"
    if folder.exists() or folder.is_symlink():
        raise BadRequest(f"{folder} is there already", next_step="Choose another name, or another folder with --into")
    if not into.is_dir():
        raise BadRequest(f"{into} is not a folder", next_step="Make it first, or name another one with --into")
    try:
        _write(_Words(name), folder)
    except OSError as exc:
        raise BadRequest(f"{folder} cannot be made: {exc.strerror}", next_step="Name another folder") from exc
    return folder


def _write(words: _Words, folder: Path) -> None:
    """Write beside the folder and move it there whole, so that a failure leaves nothing half made."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".klepaas-") as beside:
        made = Path(beside) / "plugin"
        for template in _templates(files(__package__) / "template"):
            relative, source = template
            target = made / words.fill(relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(words.fill(source.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.move(made, folder)


def _templates(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _templates(item, f"{above}{item.name}/")
        elif item.name.endswith(_SUFFIX):
            yield above + item.name.removesuffix(_SUFFIX), item
