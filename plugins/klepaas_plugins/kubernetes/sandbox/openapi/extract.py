"""Make the extract in `data/` anew: `python -m klepaas_plugins.kubernetes.sandbox.openapi.extract DIRECTORY`.

The directory holds the documents below /openapi/v3 of an API server, one JSON file for each group and version.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from klepaas_plugins.kubernetes.sandbox.model import Json
from klepaas_plugins.kubernetes.sandbox.resources import BUILT_IN

from .schemas import GVK, needed_by

DATA = Path(__file__).parent / "data"
_MORE = {("autoscaling", "v1", "Scale"), ("policy", "v1", "Eviction"),
         ("authorization.k8s.io", "v1", "SelfSubjectAccessReview")}  # fmt: skip
_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_DESCRIPTION_CHARS = 320


def shortened(text: str) -> str:
    """The first sentences of a description."""
    text = re.sub(r"\s+", " ", text).strip()
    if len(text) <= _DESCRIPTION_CHARS:
        return text
    cut = text[:_DESCRIPTION_CHARS]
    end = max(cut.rfind(". "), cut.rfind("; "))
    return cut[: end + 1] if end > 60 else f"{cut.rsplit(' ', 1)[0]}..."


def needed(schemas: Json) -> list[str]:
    """The names of the schemas of what the sandbox serves, and of what these refer to."""
    kinds = {(one.group, one.version, one.kind) for one in BUILT_IN} | _MORE
    kinds |= {(group, version, f"{kind}List") for group, version, kind in kinds}
    roots = [
        name
        for name, schema in schemas.items()
        if any((one["group"], one["version"], one["kind"]) in kinds for one in schema.get(GVK, ()))
    ]
    return needed_by(schemas, [*roots, _DELETE_OPTIONS])


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_descriptions(part)
            for name, part in value.items()
            if not (name == "description" and isinstance(part, str))
        }
    return [_without_descriptions(part) for part in value] if isinstance(value, list) else value


def described(schema: Json) -> list[Any]:
    """A schema's description, and those of its properties by name."""
    properties = {
        name: shortened(part["description"])
        for name, part in schema.get("properties", {}).items()
        if isinstance(part.get("description"), str)
    }
    return [shortened(schema.get("description", "")), properties]


def _write(path: Path, content: Json) -> None:
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main(paths: Iterable[Path]) -> None:
    """Write both halves of the extract from these documents."""
    schemas: Json = {}
    for path in paths:
        schemas |= json.loads(path.read_text())["components"]["schemas"]
    names = needed(schemas)
    _write(DATA / "schemas.json.gz", {name: _without_descriptions(schemas[name]) for name in names})
    _write(DATA / "descriptions.json.gz", {name: described(schemas[name]) for name in names})


if __name__ == "__main__":
    main(sorted(Path(sys.argv[1]).glob("*.json")))
