"""Wheels made from what is installed, and a folder of them that pip takes for an index."""

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from packaging.utils import canonicalize_name

# These do work while klepaas itself is installed; of all others the metadata is enough.
_WHOLE = {"editables", "hatchling", "packaging", "pathspec", "pip", "pluggy", "trove-classifiers"}


@dataclass(frozen=True)
class Index:
    """A folder in the form of the simple index: a folder a package, a link a wheel."""

    folder: Path

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def add(self, wheel: Path) -> None:
        """List a wheel, which stays where it is."""
        folder = self.folder / canonicalize_name(wheel.name.split("-")[0])
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "index.html").open("a") as page:
            page.write(f'<a href="{wheel.as_uri()}#sha256={digest(wheel)}">{wheel.name}</a>\n')


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def repack(name: str, version: str, found: Distribution | None, folder: Path) -> Path:
    """Make a wheel of a package.

    Args:
        name: The package.
        version: The version that the wheel claims to be.
        found: The installed package, whose requirements it keeps; None for a package that is not installed here.
        folder: Where to write it.
    """
    stem = f"{canonicalize_name(name).replace('-', '_')}-{version}"
    files = {f"{stem}.dist-info/METADATA": _metadata(name, version, found)}
    files[f"{stem}.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if found and canonicalize_name(name) in _WHOLE:
        files |= _content(found, f"{stem}.dist-info/")
    lines = [f"{path},sha256={_digest_of_record(content)},{len(content)}" for path, content in files.items()]
    files[f"{stem}.dist-info/RECORD"] = "\n".join([*lines, f"{stem}.dist-info/RECORD,,", ""]).encode()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel


def _metadata(name: str, version: str, found: Distribution | None) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if found:
        lines += [f"Provides-Extra: {extra}" for extra in found.metadata.get_all("Provides-Extra") or ()]
        lines += [f"Requires-Dist: {line}" for line in found.requires or ()]
    return "\n".join([*lines, ""]).encode()


def _content(found: Distribution, info: str) -> dict[str, bytes]:
    """The modules and the entry points; no compiled files, and nothing beside the library such as commands."""
    content = {}
    for file in found.files or ():
        if (
            file.suffix == ".pyc"
            or ".." in file.parts
            or (file.parts[0].endswith(".dist-info") and file.name != "entry_points.txt")
        ):
            continue
        path = info + file.name if file.parts[0].endswith(".dist-info") else file.as_posix()
        content[path] = file.read_binary()
    return content


def _digest_of_record(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
