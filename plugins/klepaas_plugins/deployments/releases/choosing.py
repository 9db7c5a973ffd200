"""Which release a rollback means: by number, by steps back from what runs now, or by commit. Pure.

Steps count from what runs now; the same thing deployed twice counts once; only releases that were verified count, for a
release that never worked is no way back. It says when there is none, and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from klepaas.errors import BadRequest, Conflict
from klepaas.output.verdict import Claim, term
from klepaas_plugins.deployments.objects import counted
from klepaas_plugins.deployments.releases.model import Release, ReleaseState

__all__ = ["Choice", "Content", "candidates", "choose", "running"]

_SHORTEST_COMMIT = 7
# What runs: one digest, or several where it was recorded with and without its secret values.
Content = str | frozenset[str]


@dataclass(frozen=True)
class Choice:
    """The release that a rollback goes to.

    Attributes:
        release: The release.
        notes: What the caller should know about it.
    """

    release: Release
    notes: tuple[str, ...] = ()


def running(releases: Sequence[Release], content: Content) -> Release | None:
    """The release that runs now. None: what runs is none of them.

    Args:
        releases: The releases, newest first.
        content: What runs, as `Snapshot.content` says it, with and without its secret values.
    """
    contents = _all(content)
    same = [item for item in releases if item.content in contents]
    return next((item for item in same if item.state is not ReleaseState.FAILED), same[0] if same else None)


def _all(content: Content) -> frozenset[str]:
    return content if isinstance(content, frozenset) else frozenset({content})


def candidates(releases: Sequence[Release], content: Content) -> list[Release]:
    """The releases that steps back lead to, the nearest first.

    Args:
        releases: The releases, newest first.
        content: What runs, as `Snapshot.content` says it.
    """
    seen, found = set(_all(content)), []
    for item in _before(releases, running(releases, content)):
        if item.state is ReleaseState.PASSED and item.content not in seen:
            found.append(item)
            seen.add(item.content)
    return found


def _before(releases: Sequence[Release], current: Release | None) -> list[Release]:
    """The releases older than the current one; where that is a return, older than what it returned to."""
    if current is None:
        return list(releases)
    numbers = {item.number: item for item in releases}
    position, origin = current.number, current.restored_from
    while origin is not None and origin < position:
        position, origin = origin, numbers[origin].restored_from if origin in numbers else None
    return [item for item in releases if item.number < position]


def choose(
    releases: Sequence[Release],
    content: Content,
    *,
    number: int | None = None,
    steps: int | None = None,
    commit: str | None = None,
) -> Choice:
    """The release to go back to; without a wish one step back.

    Args:
        releases: The releases, newest first.
        content: What runs now, as `Snapshot.content` says it.
        number: A release's number. None: not so.
        steps: How many releases back, from 1 on. None: not so.
        commit: A commit, or how it begins. None: not so.

    Raises:
        BadRequest: There is no such release, or more than one way is named.
        Conflict: There is nothing to go back to.
    """
    if sum(wish is not None for wish in (number, steps, commit)) > 1:
        raise BadRequest("A rollback goes to a release, or steps back, or to a commit", next_step="Name one of them")
    if number is not None:
        return _by_number(releases, number)
    if commit is not None:
        return _by_commit(releases, commit)
    return _by_steps(releases, content, 1 if steps is None else steps)


def _by_number(releases: Sequence[Release], number: int) -> Choice:
    for item in releases:
        if item.number == number:
            return Choice(item, _warnings(item))
    raise BadRequest(f"There is no release {number}", next_step=_there_are(releases))


def _by_commit(releases: Sequence[Release], commit: str) -> Choice:
    if len(commit) < _SHORTEST_COMMIT:
        raise BadRequest(f"A commit is named by at least {_SHORTEST_COMMIT} characters")
    found = [item for item in releases if (item.commit or "").lower().startswith(commit.lower())]
    if len({item.commit for item in found}) > 1:
        raise BadRequest(f"Several releases have a commit that begins with {commit}", next_step="Name it in full")
    if not found:
        known = [item for item in releases if item.commit]
        hint = (
            "Releases of commits are: " + _named(known) if known else "No release says which commit it was built from"
        )
        raise BadRequest(f"No release was built from commit {commit}", next_step=hint)
    best = next((item for item in found if item.state is ReleaseState.PASSED), found[0])
    return Choice(best, _warnings(best))


def _by_steps(releases: Sequence[Release], content: Content, steps: int) -> Choice:
    if steps < 1:
        raise BadRequest("steps counts from 1, the release before what runs now")
    found = candidates(releases, content)
    if len(found) >= steps:
        current = running(releases, content)
        notes = () if current is not None else ("What runs now is no release: it was changed outside klepaas.",)
        return Choice(found[steps - 1], notes)
    have = (
        f"only {counted(len(found), f'earlier {term(Claim.VERIFIED)} release')}"
        if found
        else f"no earlier {term(Claim.VERIFIED)} release"
    )
    others = [item for item in releases if item.content not in _all(content)]
    unfit = [item for item in others if item.state is not ReleaseState.PASSED]
    why = f" ({', '.join(f'{item.number} {item.state_text}' for item in unfit[:3])})" if unfit else ""
    newer = [item for item in others if item.state is ReleaseState.PASSED]
    hint = _there_are(found) if found else _newer(newer)
    raise Conflict(
        f"There is {have} that differs from what runs now{why}, so going {counted(steps, 'step')} back is not possible",
        next_step=hint,
    )


def _newer(releases: Sequence[Release]) -> str:
    """What to do where nothing verified lies further back."""
    if not releases:
        return "Deploy the image you want with deploy_application"
    return f"Newer ones are gone to by their number; there are: {_named(releases)}"


def _warnings(item: Release) -> tuple[str, ...]:
    if item.state is ReleaseState.FAILED:
        return (f"Release {item.number} failed when it ran{f': {item.reason}' if item.reason else ''}.",)
    return () if item.state is ReleaseState.PASSED else (f"Release {item.number} was never {term(Claim.VERIFIED)}.",)


def _there_are(releases: Sequence[Release]) -> str:
    return f"There are: {_named(releases)}" if releases else "list_releases shows what there is"


def _named(releases: Sequence[Release]) -> str:
    shown = [
        f"{item.number} ({item.commit[:12] if item.commit else item.image}, {item.state_text})" for item in releases[:8]
    ]
    return ", ".join(shown)
