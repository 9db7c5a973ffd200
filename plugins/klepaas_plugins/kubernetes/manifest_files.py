"""Manifests in files, as `kubectl apply -f` takes them: files, folders, and `-` for standard input.

Of a folder the files that end in .yaml, .yml or .json are read, in the order of their names; with `recursive` those
below it too. Each file is read by itself, so that a mistake is reported with its name, and as UTF-8.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.yaml_text import TERMINAL_LIMITS, documents

__all__ = ["STANDARD_INPUT", "read_files"]

STANDARD_INPUT = "-"
_ENDINGS = (".yaml", ".yml", ".json")
_BYTES_MAX = 4 * TERMINAL_LIMITS.text_max_chars


def read_files(names: Sequence[str], *, recursive: bool = False) -> str:
    """The manifests of files as one text.

    Args:
        names: Files, folders, and `-` for standard input.
        recursive: Whether what lies in folders of a folder is read too.

    Raises:
        BadRequest: A file cannot be read, or holds no manifests; the error names it.
    """
    if names.count(STANDARD_INPUT) > 1:
        raise BadRequest("Standard input is named twice", next_step="Name - once")
    found = [document for name in names for place in _places(name, recursive) for document in _documents(place)]
    if not found:
        raise BadRequest("There is no object in the files", next_step="Name at least one file with manifests")
    text = "\n---\n".join(json.dumps(document, ensure_ascii=False) for document in found)
    if len(text) > TERMINAL_LIMITS.text_max_chars:
        what = f"The files hold {len(text)} characters; at most {TERMINAL_LIMITS.text_max_chars} are applied at once"
        raise BadRequest(what, next_step="Apply them in several parts")
    return text


def _places(name: str, recursive: bool) -> Iterator[str | Path]:
    if name == STANDARD_INPUT:
        yield STANDARD_INPUT
        return
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    below = sorted(path.rglob("*") if recursive else path.iterdir())
    files = [one for one in below if one.suffix in _ENDINGS and one.is_file()]
    if not files:
        deeper = "" if recursive else "; -R reads folders below it too"
        raise BadRequest(
            f"There is no file with manifests in {name}", next_step=f"Files end in {', '.join(_ENDINGS)}{deeper}"
        )
    yield from files


def _documents(place: str | Path) -> list[Any]:
    shown = "standard input" if place == STANDARD_INPUT else str(place)
    text = _text(place, shown)
    try:
        return documents(text, TERMINAL_LIMITS)
    except BadRequest as exc:
        raise BadRequest(f"{shown}: {exc.what}", next_step=exc.next_step) from exc


def _text(place: str | Path, shown: str) -> str:
    try:
        if isinstance(place, Path):
            with place.open("rb") as file:
                data = file.read(_BYTES_MAX + 1)
        else:
            data = sys.stdin.buffer.read(_BYTES_MAX + 1)
    except OSError as exc:
        raise BadRequest(f"{shown} cannot be read: {exc.strerror or exc}", next_step="Correct its name") from exc
    if len(data) > _BYTES_MAX:
        raise BadRequest(f"{shown} has more than {_BYTES_MAX} bytes", next_step="Apply it in several parts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadRequest(f"{shown} is no UTF-8 text at byte {exc.start + 1}", next_step="Save it as UTF-8") from exc
