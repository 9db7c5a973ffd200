"""What a release keeps of secret values: a keyed digest of each, and the text around it. Pure.

A release in a ConfigMap is read by whoever may view the namespace. So what the masking table hides of an object is
replaced there (`seal`) by a digest that tells nothing without the key, which lies outside of the cluster. With the
values that are at hand the text is put together again where their digests are those of the release (`reveal`).

A value is bound to its namespace and application: equal values of two applications have different digests.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from klepaas.output.redaction import MARK
from klepaas.store.keys import Key
from klepaas_plugins.deployments.releases.model import Shared, Snapshot
from klepaas_plugins.deployments.releases.normal import digest
from klepaas_plugins.kubernetes.client import masking

__all__ = [
    "HiddenText",
    "Steps",
    "conceal",
    "digest_of",
    "find_hidden",
    "hidden_digest",
    "key_ids",
    "known_values",
    "reveal",
    "seal",
]

Steps = tuple[str | int, ...]
_ABSENT: Any = object()
_Digest = Callable[[Any], str]


class HiddenText(str):
    """A text with a mark in place of each part of it that is kept as a digest alone.

    Two are equal when their texts and digests are. Where they were made with different keys nobody can tell, and they
    count as equal: see `key_ids`.

    Args:
        text: The text; of a value that is hidden whole, the mark alone.
        digests: Of each hidden part, in order: the id of the key, and what it gives.
    """

    digests: tuple[str, ...]

    def __new__(cls, text: str = MARK, digests: tuple[str, ...] = ()) -> "HiddenText":
        """A text with its digests."""
        made = super().__new__(cls, text)
        made.digests = digests
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HiddenText) or not str.__eq__(self, other):
            return False
        return self.digests == other.digests or self.key_ids.isdisjoint(other.key_ids)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of the keys of its digests."""
        return frozenset(one.partition(":")[0] for one in self.digests)

    def fill(self, parts: Iterable[Any]) -> Any:
        """The value that it stands for.

        Args:
            parts: Its hidden parts, in order; of a value that is hidden whole, that value.
        """
        values = list(parts)
        if str.__eq__(self, MARK):
            return values[0]
        pieces = self.split(MARK)
        return "".join(piece + part for piece, part in zip(pieces, [*values, ""], strict=True))


def seal(snapshot: Snapshot, key: Key) -> Snapshot:
    """A snapshot as whoever may view the namespace may read it; it does not hold the objects as the API gave them.

    Args:
        snapshot: What was captured.
        key: What the digests are made with.
    """
    make = partial(digest_of, snapshot, key)
    objects = tuple(_walk(item, masking.mask(item), make) for item in snapshot.objects)
    shared = tuple(_seal_shared(item, make) for item in snapshot.shared)
    return replace(snapshot, objects=objects, shared=shared, live={})


def conceal(snapshot: Snapshot) -> Snapshot:
    """A snapshot as `seal` leaves it, without digests: it takes no key.

    Args:
        snapshot: What was captured.
    """
    return replace(snapshot, objects=tuple(_walk(item, masking.mask(item), lambda _: "") for item in snapshot.objects))


def digest_of(snapshot: Snapshot, key: Key, value: Any) -> str:
    """The digest of a hidden part, with its key's id.

    Args:
        snapshot: Of which application it is.
        key: The key.
        value: The part.
    """
    return f"{key.id}:{key.digest(f'release of {snapshot.namespace}/{snapshot.app_name}', value)}"


def _seal_shared(item: Shared, make: _Digest) -> Shared:
    return item if item.digest is None else replace(item, digest=make(item.digest))


def _walk(value: Any, shown: Any, make: _Digest) -> Any:
    """A value, or a part of one, without what the masking table hides of it."""
    if isinstance(value, Mapping):
        inner = shown if isinstance(shown, Mapping) else {}
        return {key: _walk(one, inner.get(key, _ABSENT), make) for key, one in value.items()}
    if isinstance(value, list):
        is_same = isinstance(shown, list) and len(shown) == len(value)
        return [_walk(one, shown[at] if is_same else _ABSENT, make) for at, one in enumerate(value)]
    if value is None or isinstance(value, HiddenText) or (shown is not _ABSENT and shown == value):
        return value
    parts = _hidden_parts(value, shown) if isinstance(value, str) and isinstance(shown, str) else None
    if parts is None:
        return HiddenText(MARK, (make(value),))
    return HiddenText(shown, tuple(make(part) for part in parts))


def _hidden_parts(text: str, shown: str) -> list[str] | None:
    """What stands in a text where its masked form has marks. None: that cannot be told, so all of it is hidden.

    Masking may lay a document out anew; then the pieces around the marks are not those of the text.
    """
    pieces = shown.split(MARK)
    if len(pieces) < 2 or shown == MARK or not text.startswith(pieces[0]):
        return None
    parts, at = [], len(pieces[0])
    for piece in pieces[1:-1]:
        end = text.find(piece, at + 1) if piece else -1
        if end < 0:
            return None
        parts.append(text[at:end])
        at = end + len(piece)
    end = len(text) - len(pieces[-1])
    if end <= at or not text.endswith(pieces[-1]):
        return None
    return [*parts, text[at:end]]


def find_hidden(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, HiddenText]]:
    """The hidden texts in an object, each with where it is.

    Args:
        value: The object, or a part of one.
        steps: Where that part is.
    """
    if isinstance(value, HiddenText):
        yield steps, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from find_hidden(inner, (*steps, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from find_hidden(inner, (*steps, at))


def key_ids(snapshot: Snapshot) -> frozenset[str]:
    """The ids of the keys that a snapshot's digests were made with.

    Args:
        snapshot: A sealed snapshot.
    """
    texts = (text for item in snapshot.objects for _, text in find_hidden(item))
    shared = (item.digest.partition(":")[0] for item in snapshot.shared if item.digest and ":" in item.digest)
    return frozenset().union(*(text.key_ids for text in texts), shared)


def known_values(snapshots: Iterable[Snapshot], keys: Iterable[Key]) -> dict[str, Any]:
    """The hidden parts of snapshots whose values are at hand, by their digests.

    Args:
        snapshots: Of one application; those that are sealed add nothing.
        keys: What the digests may have been made with.
    """
    found: dict[str, Any] = {}
    keys = tuple(keys)
    for snapshot in snapshots if keys else ():
        parts: list[Any] = []
        for item in snapshot.objects:
            _walk(item, masking.mask(item), _collect(parts))
        shared = [item.digest for item in snapshot.shared if item.digest and ":" not in item.digest]
        found |= {digest_of(snapshot, key, part): part for key in keys for part in (*parts, *shared)}
    return found


def _collect(parts: list[Any]) -> _Digest:
    def make(part: Any) -> str:
        parts.append(part)
        return ""

    return make


def reveal(snapshot: Snapshot, known: Mapping[str, Any]) -> Snapshot:
    """A snapshot with the hidden texts put together again whose parts are known; the others stay.

    Args:
        snapshot: A sealed snapshot.
        known: Hidden parts by their digests; see `known_values`.
    """
    objects = tuple(_reveal(item, known) for item in snapshot.objects)
    shared = tuple(replace(item, digest=known.get(item.digest or "", item.digest)) for item in snapshot.shared)
    return replace(snapshot, objects=objects, shared=shared)


def _reveal(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, HiddenText):
        is_known = all(one in known for one in value.digests)
        return value.fill(known[one] for one in value.digests) if is_known else value
    if isinstance(value, Mapping):
        return {key: _reveal(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_reveal(inner, known) for inner in value]
    return value


def hidden_digest(snapshot: Snapshot, key: Key) -> str:
    """One digest of all hidden values of a sealed snapshot; empty where it has none.

    Args:
        snapshot: The snapshot, sealed with the key.
        key: The key.
    """
    digests = [one for item in snapshot.objects for _, text in find_hidden(item) for one in text.digests]
    return f"{key.id}:{digest(digests)[:32]}" if digests else ""
