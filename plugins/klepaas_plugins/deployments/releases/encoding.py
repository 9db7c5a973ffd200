"""A snapshot as bytes and back: JSON with a version, compressed, with a digest, in parts that fit into an object each.

What comes back was stored by somebody, perhaps not by us: it is checked before anything is made of it, and bounded.

Source: Kubernetes, "ConfigMaps" (1 MiB); "Secrets", section "Restriction on Secret size" (1 MiB).
"""

import base64
import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from klepaas import names
from klepaas.errors import BadRequest
from klepaas.foreign_json import RECORD_LEVELS_MAX, parse_json
from klepaas.output.redaction import MARK
from klepaas_plugins.deployments.releases.hidden import HiddenText, Steps, find_hidden
from klepaas_plugins.deployments.releases.model import SecretReference, Shared, Snapshot
from klepaas_plugins.deployments.releases.normal import canonical

__all__ = ["FORMAT", "Damaged", "Encoded", "TooLarge", "decode", "encode", "joined"]

# 2: secret values are digests; a release without such is still written as 1.
FORMAT = 2
PART_BYTES = 900 * 1024
_MOST_BYTES = 64 * 1024 * 1024


class TooLarge(BadRequest):
    """A snapshot is beyond what may be stored."""


class Damaged(BadRequest):
    """A record is not what was written, or was not written by us."""


class Encoded:
    """A snapshot, ready to be stored.

    Attributes:
        parts: The compressed bytes, cut.
        digest: SHA-256 of the JSON text, as hexadecimal digits.
        size_bytes: Compressed.
    """

    def __init__(self, text: bytes, part_bytes: int = PART_BYTES) -> None:
        packed = gzip.compress(text, mtime=0)
        self.parts = [packed[start : start + part_bytes] for start in range(0, len(packed), part_bytes)]
        self.digest = hashlib.sha256(text).hexdigest()
        self.size_bytes = len(packed)

    def data(self, position: int, kind: str) -> dict[str, Any]:
        """What one part's object holds.

        Args:
            position: Which part, from 0 on.
            kind: ConfigMap or Secret.
        """
        held = base64.b64encode(self.parts[position]).decode("ascii")
        if kind == "ConfigMap":
            return {"binaryData": {"release": held}, "data": {"digest": self.digest}}
        return {"data": {"release": held, "digest": base64.b64encode(self.digest.encode("ascii")).decode("ascii")}}


def encode(snapshot: Snapshot, *, max_parts: int, part_bytes: int = PART_BYTES) -> Encoded:
    """The bytes of a snapshot.

    Args:
        snapshot: What is to be stored.
        max_parts: Most parts.
        part_bytes: Size of a part, in bytes.

    Raises:
        TooLarge: It takes more parts.
    """
    encoded = Encoded(canonical(_document(snapshot)), part_bytes)
    if len(encoded.parts) > max_parts:
        raise TooLarge(
            f"The release of {snapshot.app_name} has {encoded.size_bytes:,} bytes compressed, "
            f"more than {max_parts} objects of {part_bytes:,} bytes hold",
            next_step="Keep large files out of ConfigMaps, or raise KLEPAAS_RELEASES_MAX_PARTS",
        )
    return encoded


def _document(snapshot: Snapshot) -> dict[str, Any]:
    hidden = [
        [at, list(steps), list(text.digests)]
        for at, item in enumerate(snapshot.objects)
        for steps, text in find_hidden(item)
    ]
    return {
        "format": FORMAT if hidden else 1,
        "application": snapshot.app_name,
        "namespace": snapshot.namespace,
        "objects": list(snapshot.objects),
        "secrets": [vars(item) for item in snapshot.secrets],
        "shared": [vars(item) for item in snapshot.shared],
        "unseen": list(snapshot.unseen),
        # An older klepaas passes this over, and its records lack it.
        "own": [[*key, fields] for key, fields in sorted(snapshot.own.items())],
        **({"hidden": hidden} if hidden else {}),
    }


def joined(records: Sequence[Mapping[str, Any]]) -> tuple[bytes, str]:
    """The compressed bytes that objects hold together, and the digest that they state.

    Args:
        records: The ConfigMaps or Secrets of a release, in order, with their kind.

    Raises:
        Damaged: One of them holds something else.
    """
    packed, stated = b"", set()
    for record in records:
        is_secret = record.get("kind") == "Secret"
        data, held = record.get("data"), record.get("data" if is_secret else "binaryData")
        if not isinstance(data, dict) or not isinstance(held, dict):
            raise Damaged("its record holds no data")
        packed += _bytes(held.get("release"))
        stated.add(
            _bytes(data.get("digest")).decode("ascii", "replace") if is_secret else str(data.get("digest") or "")
        )
    if len(stated) != 1:
        raise Damaged("the parts of its record do not belong together")
    return packed, stated.pop()


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except ValueError as exc:
        raise Damaged("its record is not base64") from exc


def decode(packed: bytes, digest: str, *, app_name: str, namespace: str) -> Snapshot:
    """The snapshot that bytes hold.

    Args:
        packed: The compressed bytes.
        digest: What their text must hash to.
        app_name: Whose it must be,
        namespace: and where.

    Raises:
        Damaged: They are damaged, somebody else's, or written by a newer klepaas.
    """
    text = _unpacked(packed)
    if hashlib.sha256(text).hexdigest() != digest:
        raise Damaged("its record is damaged: the digest differs")
    try:
        document = parse_json(text, levels_max=RECORD_LEVELS_MAX)
    except ValueError as exc:
        raise Damaged("its record is not JSON") from exc
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise Damaged("its record is not a release")
    if document["format"] > FORMAT:
        raise Damaged(f"a newer klepaas wrote its record (format {document['format']}; this one reads {FORMAT})")
    if (document.get("application"), document.get("namespace")) != (app_name, namespace):
        raise Damaged("its record is another application's")
    return _snapshot(document)


def _unpacked(packed: bytes) -> bytes:
    machine = zlib.decompressobj(wbits=31)
    try:
        text = machine.decompress(packed, _MOST_BYTES)
    except zlib.error as exc:
        raise Damaged("its record is damaged: it cannot be decompressed") from exc
    if machine.unconsumed_tail:
        raise Damaged(f"its record is larger than {_MOST_BYTES:,} bytes")
    if not machine.eof:
        raise Damaged("its record is damaged: it ends too early")
    return text


def _snapshot(document: Mapping[str, Any]) -> Snapshot:
    try:
        objects = tuple(_checked(item, document["namespace"]) for item in document["objects"])
        for at, steps, digests in document.get("hidden", ()):
            _hide(objects[at], tuple(steps), tuple(digests))
        secrets = tuple(SecretReference(**item) for item in document["secrets"])
        for secret in secrets:
            _check_name(secret.name)
        shared = tuple(Shared(**item) for item in document["shared"])
        unseen = tuple(str(item) for item in document["unseen"])
        own = {(str(kind), str(name)): _checked_fields(fields) for kind, name, fields in document.get("own", ())}
    except (KeyError, IndexError, TypeError, ValueError) as exc:
        raise Damaged("its record lacks what a release has") from exc
    return Snapshot(document["application"], document["namespace"], objects, secrets, shared, unseen, own)


def _hide(item: Any, steps: Steps, digests: tuple[str, ...]) -> None:
    """Make a text of an object a hidden one again.

    Raises:
        ValueError: There is no such text, or it has not so many marks.
    """
    *above, last = steps
    for step in above:
        item = item[step]
    text = item[last]
    if not isinstance(text, str) or text.count(MARK) != len(digests) or not all(isinstance(d, str) for d in digests):
        raise ValueError(steps)
    item[last] = HiddenText(text, digests)


def _checked_fields(fields: Any) -> dict[str, Any]:
    """A set of fields: mappings of steps, and nothing else."""
    if not isinstance(fields, dict):
        raise Damaged("its record holds something that is no set of fields")
    return {step: _checked_fields(inner) for step, inner in fields.items()}


def _check_name(name: Any) -> None:
    """It becomes part of a path or of a selector."""
    try:
        names.OBJECT.check(name, "name")
    except (BadRequest, TypeError) as exc:
        raise Damaged("its record holds something whose name is no name") from exc


def _checked(item: Any, namespace: str) -> dict[str, Any]:
    """An object as it may be restored: of a kind that releases hold, in the application's namespace.

    Whoever can write these records must not get klepaas to write anything else for them.
    """
    from klepaas_plugins.deployments.releases.kinds import RESTORED

    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(metadata, dict):
        raise Damaged("its record holds something that is no object")
    _check_name(metadata.get("name"))
    if (item.get("apiVersion"), item.get("kind")) not in RESTORED or metadata.get("namespace") != namespace:
        raise Damaged(f"its record holds a {item.get('kind')} that releases do not hold")
    return dict(item)
