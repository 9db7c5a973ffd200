"""Hidden values of a release beside what is there now: which are the same, which stay as they are, which are lost.

A release holds digests of secret values. A value comes back only where it is at hand: it is live, or this process has
captured it. Anywhere else what is live stays, and is named. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from klepaas.errors import Conflict
from klepaas.store.keys import Key
from klepaas_plugins.deployments.releases.hidden import HiddenText, find_hidden, key_ids, known_values, reveal
from klepaas_plugins.deployments.releases.model import Snapshot, key_of, title_of

__all__ = ["Filled", "fill", "make_comparable"]

_ABSENT: Any = object()
_NAMES = ("name", "containerPort", "port", "mountPath", "key", "ip", "type")
_VARIABLE = {"name", "value"}


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A release with a value at each place.

    Attributes:
        snapshot: The release; a value that it does not hold is the live one, or left out where there is none.
        same: The hidden values that are live as they were, by object and path.
        lost: What cannot be restored, one sentence each.
    """

    snapshot: Snapshot
    same: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say of values that stay because they are the same; what is lost is said besides."""
        if not self.same:
            return ()
        return (f"As in the release, by digest, and so left in place: {', '.join(self.same)}.",)


def fill(target: Snapshot, live: Snapshot, keys: Iterable[Key], captured: Iterable[Snapshot] = ()) -> Filled:
    """A release as it can be restored.

    Args:
        target: What the release holds.
        live: What is there now, just captured.
        keys: The keys that are here.
        captured: What this process has captured of the application before.

    Raises:
        Conflict: An object is gone, or a part of it, and cannot be made anew without the values.
    """
    ids = key_ids(target)
    if not ids:
        return Filled(snapshot=target)
    used = [key for key in keys if key.id in ids]
    there = live.by_key
    whole = reveal(target, known_values([live, *captured], used))
    filler = _Filler(lambda _: True, {key.id for key in used})
    objects = []
    for before, item in zip(target.objects, whole.objects, strict=True):
        filler.title, now = title_of(key_of(item)), there.get(key_of(item))
        if now is None and next(find_hidden(item), None) is not None:
            raise _gone(filler.title, [_path(item, steps) for steps, _ in find_hidden(item)])
        filler.note_same(before, item, now)
        objects.append(filler.value(item, now, ""))
    shared = _fill_shared(whole, live, {key.id for key in used})
    return Filled(
        snapshot=replace(whole, objects=tuple(objects), shared=shared.shared),
        same=tuple(filler.same),
        lost=tuple(filler.lost),
    )


def make_comparable(
    before: Snapshot, after: Snapshot, keys: Iterable[Key], captured: Iterable[Snapshot] = ()
) -> tuple[Snapshot, Snapshot, bool]:
    """Two moments in one form, so that a hidden value differs only where it is another one.

    Args:
        before: The earlier moment.
        after: The later one.
        keys: The keys that are here.
        captured: What this process has captured of the application before.

    Returns:
        Both, and whether there are values of which nobody here can tell, since their key is not here.
    """
    ids = key_ids(before) | key_ids(after)
    if not ids:
        return before, after, False
    used = [key for key in keys if key.id in ids]
    known = known_values([before, after, *captured], used)
    here = {key.id for key in used}
    one, other = reveal(before, known), reveal(after, known)
    first, second = _fill_unknown(one, other, here), _fill_unknown(other, one, here)
    return first, second, bool(ids - here) and key_ids(before) != key_ids(after)


def _fill_unknown(snapshot: Snapshot, other: Snapshot, here: Collection[str]) -> Snapshot:
    """The snapshot with the other's values where its own have digests of a key that is not here."""
    filler = _Filler(lambda text: text.key_ids.isdisjoint(here), here)
    there = other.by_key
    objects = tuple(filler.value(item, there.get(key_of(item)), "") for item in snapshot.objects)
    return _fill_shared(replace(snapshot, objects=objects), other, here)


def _fill_shared(snapshot: Snapshot, other: Snapshot, here: Collection[str]) -> Snapshot:
    """The same for the digests of shared objects."""
    digests = {(item.kind, item.name): item.digest for item in other.shared}
    shared = tuple(
        replace(item, digest=digests.get((item.kind, item.name), item.digest))
        if item.digest and ":" in item.digest and item.digest.partition(":")[0] not in here
        else item
        for item in snapshot.shared
    )
    return replace(snapshot, shared=shared)


@dataclass
class _Filler:
    """Puts live values where hidden texts are.

    Attributes:
        takes: Whether a hidden text is replaced.
        here: The ids of the keys that are here.
        title: The object that is filled.
        same: What is there as it was.
        lost: What is not restored.
    """

    takes: Callable[[HiddenText], bool]
    here: Collection[str]
    title: str = ""
    same: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def note_same(self, before: Any, item: Any, now: Any) -> None:
        """Note the hidden values that are live as they were."""
        for steps, _ in find_hidden(before):
            value, found = item, now
            for step in steps:
                named = _name(value[step], step) if isinstance(step, int) else step
                value, found = value[step], _child(found, named)
            if not isinstance(value, HiddenText) and found == value:
                self.same.append(f"{self.title}: {_path(before, steps)}")

    def value(self, value: Any, live: Any, path: str) -> Any:
        """A value, or a part of one, with live values in it; `_ABSENT` where there is none."""
        if isinstance(value, HiddenText):
            return self._text(value, live, path)
        if isinstance(value, Mapping):
            return self._mapping(value, live, path)
        if isinstance(value, list):
            return self._list(value, live, path)
        return value

    def _text(self, text: HiddenText, live: Any, path: str) -> Any:
        if not self.takes(text):
            return text
        is_here = not text.key_ids.isdisjoint(self.here)
        if (live is _ABSENT or live is None) and not self.title:
            return text
        if live is _ABSENT or live is None:
            self.lost.append(f"{self.title}: {path} does not come back: a release does not hold its value.")
            return _ABSENT
        why = "the release has another value, which it does not hold"
        self.lost.append(
            f"{self.title}: {path} stays as it is now: {why if is_here else 'its digest was made with another key'}."
        )
        return live

    def _mapping(self, value: Mapping[str, Any], live: Any, path: str) -> Any:
        filled = {
            key: self.value(inner, _child(live, key), f"{path}.{key}" if path else str(key))
            for key, inner in value.items()
        }
        found = {key: inner for key, inner in filled.items() if inner is not _ABSENT}
        # A variable without its value would be empty, which is another thing than not being there.
        return _ABSENT if len(found) < len(filled) and set(filled) == _VARIABLE else found

    def _list(self, value: list[Any], live: Any, path: str) -> Any:
        words = [one for one in value if isinstance(one, HiddenText) and self.takes(one)]
        if words and not isinstance(live, list):
            if self.title:
                raise _gone(self.title, [path])
            return value
        if words:
            # The words of a command line have no names: it stays whole.
            self._text(words[0], live, path)
            return live
        filled = [
            self.value(one, _child(live, _name(one, at)), f"{path}[{_name(one, at)}]") for at, one in enumerate(value)
        ]
        return [one for one in filled if one is not _ABSENT]


def _child(value: Any, step: str | int) -> Any:
    """What an object has at a step: a field, or an item of a list by its name or position."""
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if isinstance(value, list):
        return next((one for at, one in enumerate(value) if _name(one, at) == str(step)), _ABSENT)
    return _ABSENT


def _name(item: Any, position: int) -> str:
    """What an item of a list is known by."""
    if isinstance(item, Mapping):
        return next((str(item[key]) for key in _NAMES if isinstance(item.get(key), str | int)), str(position))
    return str(position)


def _path(item: Any, steps: Iterable[str | int]) -> str:
    """Where something is, for people: spec.template.spec.containers[web].env[DB_PASSWORD].value."""
    path, value = "", item
    for step in steps:
        name = f"[{_name(value[step], step)}]" if isinstance(step, int) else f".{step}" if path else str(step)
        path, value = f"{path}{name}", value[step]
    return path


def _gone(title: str, paths: Iterable[str]) -> Conflict:
    return Conflict(
        f"{title} cannot be made anew: a release does not hold the values of {', '.join(paths)}",
        next_step="Deploy it with these values, or choose a release of what is there",
    )
