"""Rules about what deletes an object, or keeps it from being deleted: owners and finalizers."""

from collections.abc import Iterator

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas_plugins.kubernetes.risks.model import ABSENT, UNKNOWN, Found, Object, Pair, Rule, child, children, texts

__all__ = ["LIFECYCLE_RULES"]

# The server itself puts these on every object of a kind, and takes them off.
_OF_THE_SERVER = frozenset({"kubernetes", "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"})


def _find_owners(pair: Pair) -> Iterator[Found | str]:
    """Owners that an object had not; the garbage collector deletes what has none of its owners left."""
    before = {_identity(one) for one in children(pair.before, "metadata", "ownerReferences")}
    for owner in children(pair.after, "metadata", "ownerReferences"):
        if _identity(owner) not in before:
            yield from _judge_owner(pair, owner)


def _judge_owner(pair: Pair, owner: Object) -> Iterator[Found | str]:
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    title = f"{foreign(kind)} {foreign(name)}"
    found = _owner(pair, owner)
    uid = child(found, "metadata").get("uid") if found not in (ABSENT, UNKNOWN) else None
    if found is ABSENT:
        yield f"the garbage collector deletes it: its owner {title} does not exist in its namespace"
    elif found is UNKNOWN:
        yield f"not known whether its owner {title} exists; if not, the garbage collector deletes it"
    elif uid != owner.get("uid"):
        yield f"the garbage collector deletes it: {title} has another uid than the owner that it names"
    elif child(found, "metadata").get("deletionTimestamp"):
        yield f"the garbage collector deletes it: its owner {title} is being deleted"
    else:
        severity = Effect.WRITE if pair.is_new else None
        yield Found(f"it is deleted when its owner {title} is deleted", severity)
    if owner.get("blockOwnerDeletion") is True and not pair.is_new:
        yield f"the deletion of {title} waits for it (blockOwnerDeletion)"


def _owner(pair: Pair, owner: Object) -> object:
    """The owner: in the object's own namespace, or of a kind without namespaces."""
    version, kind, name = (str(owner.get(key)) for key in ("apiVersion", "kind", "name"))
    return pair.known.get(version, kind, pair.place, name)


def _identity(owner: Object) -> tuple[str, ...]:
    return tuple(str(owner.get(key)) for key in ("apiVersion", "kind", "name", "uid"))


def _find_finalizers(pair: Pair) -> Iterator[Found | str]:
    """Finalizers that are gone, and those that are new."""
    before, after = (_finalizers(obj) for obj in (pair.before, pair.after))
    gone = ", ".join(foreign(one) for one in before if one not in after)
    if gone and child(pair.before, "metadata").get("deletionTimestamp"):
        yield f"it is being deleted and goes at once, without what should be done before: {gone}"
    elif gone:
        yield f"its deletion skips what should be done before: {gone}"
    new = ", ".join(foreign(one) for one in after if one not in before)
    if new:
        yield f"its deletion waits until somebody removes the finalizer {new}"


def _finalizers(obj: Object | None) -> tuple[str, ...]:
    every = (*texts(child(obj, "metadata").get("finalizers")), *texts(child(obj, "spec").get("finalizers")))
    return tuple(one for one in every if one not in _OF_THE_SERVER)


LIFECYCLE_RULES = (
    Rule(code="deletes-by-owner", name="owner", find=_find_owners,
         content="`ownerReferences` that it had not: the garbage collector deletes an object whose owner does not "
         "exist, has another uid, or is being deleted"),
    Rule(code="deletes-by-finalizer", name="finalizer", find=_find_finalizers, created=Effect.WRITE,
         content="`finalizers` that are gone, so that the object goes without cleanup, or that are new, so that "
         "it cannot"),
)  # fmt: skip
