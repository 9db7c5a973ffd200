"""The releases of an application and what differs between them, in answers that a person reads.

Reading only. Which release a rollback would mean is marked with the steps that lead there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from klepaas.errors import BadRequest, Forbidden, NotFound
from klepaas.output import Answer, Output, json_answer, table, timestamp
from klepaas.output.budget import LIST_BYTES, fit, within_bytes
from klepaas.output.verdict import Verdict
from klepaas_plugins.deployments.objects import age, counted, one_line
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.resolve import not_found
from klepaas_plugins.deployments.releases.book import Drift, Releases
from klepaas_plugins.deployments.releases.choosing import Content, candidates
from klepaas_plugins.deployments.releases.differing import Difference
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState
from klepaas_plugins.kubernetes.client import require_namespace

__all__ = ["diff_releases", "drift_facts", "drift_line", "list_releases"]

_COLUMNS = ("RELEASE", "AGE", "STATE", "BACK", "IMAGE", "BY", "WHAT")
_PAGE = 20
_WHAT_CHARS = 80
_TITLE_CHARS = 200


async def list_releases(place: Place, releases: Releases, cursor: str | None, output: Output = "text") -> Answer:
    """The answer of list_releases.

    Args:
        place: The application.
        releases: Its releases.
        cursor: Of the answer before. None: from the newest on.
        output: How it reads.

    Raises:
        NotFound: There is no such application and no release of it.
        Forbidden: ConfigMaps, in which releases are recorded, may not be listed.
    """
    found, drift, live = await _read(place, releases)
    if not found:
        if not live:
            error = await not_found(place)
            raise NotFound(f"{error.what}, and no release of it", next_step=error.next_step)
        if output == "text":
            return Answer(f"{place.text} has no release yet: klepaas records one with each change.")
    known = _Known(found, [item.number for item in candidates(found, live)], drift)
    page = [item for item in found if cursor is None or item.number < int(cursor)]
    if output == "json":
        facts = known.facts(place, page, await releases.notes())
        return json_answer("klepaas.releases/v1", {**facts, **known.verdict.facts()})
    lines = [_headline(place, drift, live), table(_COLUMNS, [known.row(item) for item in page[:_PAGE]])]
    more = page[_PAGE - 1].number if len(page) > _PAGE else None
    lines += [f"{len(page) - _PAGE} older ones: cursor={more}"] if more else []
    lines += [*await releases.notes(), known.verdict.basis()]
    return Answer(fit("\n".join(lines), LIST_BYTES, "Use the cursor to see older ones"))


async def _read(place: Place, releases: Releases) -> tuple[list[Release], Drift, Content]:
    """The releases, how what runs compares with them, and the content of what runs, "" where nothing does."""
    try:
        found = await releases.list()
    except Forbidden as exc:
        raise Forbidden(
            f"The releases of {place.text} cannot be listed: {exc.what}",
            next_step="Ask the cluster's administrator for the role `view` in that namespace",
        ) from exc
    live = await releases.capture()
    contents = await releases.contents(live) if live.objects else ""
    return found, await releases.compared(live, found), contents


@dataclass(frozen=True)
class _Known:
    """What the rows are made of."""

    releases: Sequence[Release]
    back: Sequence[int]
    drift: Drift

    @property
    def verdict(self) -> Verdict:
        """What the states and the comparison rest on."""
        observed = (counted(len(self.releases), "release record"), "the objects that run now")
        return Verdict(observed=observed, not_checked=("whether what runs now is ready", "values of Secrets"))

    def facts(self, place: Place, page: Sequence[Release], notes: Sequence[str]) -> dict[str, Any]:
        """For a program: a page of them, newest first."""
        return {
            **place.facts,
            **drift_facts(self.drift),
            "total": len(self.releases),
            "releases": [self._facts(item) for item in page[:_PAGE]],
            "notes": list(notes),
            "cursor": str(page[_PAGE - 1].number) if len(page) > _PAGE else None,
        }

    def _facts(self, item: Release) -> dict[str, Any]:
        return {
            "number": item.number,
            "state": self._state(item),
            "current": self._is_current(item),
            "steps_back": self.back.index(item.number) + 1 if item.number in self.back else None,
            "image": item.image,
            "commit": item.commit or None,
            "by": item.principal,
            "cause": str(item.cause),
            "what": self._what(item),
            "reason": one_line(item.reason, _TITLE_CHARS) if item.reason else None,
            "restored_from": item.restored_from or None,
            "at": timestamp(item.moment.timestamp()) if item.moment else None,
        }

    def _is_current(self, item: Release) -> bool:
        return self.drift.is_current and self.drift.release is not None and self.drift.release.number == item.number

    def row(self, item: Release) -> list[str]:
        current = self._is_current(item)
        steps = f"{self.back.index(item.number) + 1}" if item.number in self.back else ""
        image = f"{item.image} ({item.commit[:12]})" if item.commit else item.image
        what = f"failed: {item.reason}" if item.state is ReleaseState.FAILED and item.reason else self._what(item)
        moment = age(item.moment, datetime.now(UTC))
        state = self._state(item)
        return [str(item.number), moment, state, "runs now" if current else steps, image, item.principal, what]

    def _state(self, item: Release) -> str:
        superseded = item.state is ReleaseState.PENDING and item.number != self.releases[0].number
        return "superseded" if superseded else item.state_text

    def _what(self, item: Release) -> str:
        same = f" (as release {item.restored_from})" if item.restored_from else ""
        return f"{_in_words(item)}{same}"


def _in_words(item: Release) -> str:
    """What made a release, without what the other columns say."""
    cause, title = str(item.cause), " ".join(item.title.split())
    if f"{title} ".startswith(f"{cause} "):
        return one_line(title.replace(f" {item.image}", "", 1), _WHAT_CHARS)
    # What was deployed before tells how that came to be, and not what was done to it since.
    older = f"{Cause.DEPLOY} " if item.cause is not Cause.FOUND else title
    if not title or title == item.image or title.startswith(older):
        return cause
    return one_line(f"{cause}: {title}", _WHAT_CHARS)


def _headline(place: Place, drift: Drift, live: Content) -> str:
    if not live:
        return f"{place.text} does not run; a rollback to a release makes it anew."
    return f"{place.text}: {drift_line(drift)}"


def drift_line(drift: Drift) -> str:
    """How what runs compares with the releases, in one sentence; empty where there is none."""
    release = drift.release
    if release is None:
        return ""
    name = f"release {release.number} ({release.state_text})"
    if drift.difference is None:
        return (
            f"{name} runs{f'; {drift.trouble}' if drift.trouble else ''}."
            if drift.is_current
            else _unknown(drift, name)
        )
    beyond = "".join(f" {note}." for note in drift.difference.notes[:2])
    if not drift.difference.count:
        return f"{name} runs.{beyond}"
    return f"{name} with changes made since, not by a release: {drift.difference.summary}.{beyond}"


def _unknown(drift: Drift, name: str) -> str:
    return f"what runs is none of the releases, the newest of which is {name}; {drift.trouble}."


def drift_facts(drift: Drift) -> dict[str, Any]:
    """The same for a program; empty where there is no release."""
    if drift.release is None:
        return {}
    drifted = drift.difference.count if drift.difference is not None else 0
    return {"release": drift.release.number, "release_state": drift.release.state_text, "drift": drifted}


async def diff_releases(
    place: Place, releases: Releases, before: int | None, after: int | None, output: Output = "text"
) -> Answer:
    """The answer of diff_releases.

    Args:
        place: The application.
        releases: Its releases.
        before: From this release. None: from the one that runs, or else the newest.
        after: To this release. None: to what runs now.
        output: How it reads.

    Raises:
        BadRequest: There is no such release, or it cannot be read.
        NotFound: The namespace does not exist.
    """
    one = await releases.get(before) if before is not None else (await releases.drift()).release
    if one is None:
        await require_namespace(place.cluster, place.namespace)
        raise BadRequest(f"{place.text} has no release yet", next_step="klepaas records one with each change")
    other = None if after is None else await releases.get(after)
    found = await releases.diff(one, other)
    names = f"release {one.number}", "what runs now" if other is None else f"release {other.number}"
    if output == "json":
        facts = {**_diff_facts(place, one.number, after, found), **_compared(names, found).facts()}
        return json_answer("klepaas.release-diff/v1", facts)
    basis = _compared(names, found).basis()
    if not found.count:
        text = f"{place.text}: {names[0]} and {names[1]} do not differ."
        return Answer("\n".join([text, *found.notes, basis]))
    head = f"{place.text}, from {names[0]} to {names[1]}: {counted(found.count, 'change')}"
    return Answer(fit("\n".join([head, *found.lines, basis]), LIST_BYTES, "k8s_get shows whole objects"))


def _compared(names: Sequence[str], found: Difference) -> Verdict:
    """What a comparison has looked at."""
    unseen = (f"{kind}, for lack of rights" for kind in found.unseen)
    return Verdict(observed=tuple(names), not_checked=(*unseen, "values of Secrets"))


def _diff_facts(place: Place, before: int, after: int | None, found: Difference) -> dict[str, Any]:
    """For a program; as many differences as fit an answer."""
    lines = found.lines
    kept = within_bytes(lines, LIST_BYTES)
    return {
        **place.facts,
        "before": before,
        "after": after,
        "count": found.count,
        "differences": kept,
        "left_out": len(lines) - len(kept),
        "not_looked_at": list(found.unseen),
    }
