"""Why a set's verdict differs from kubectl's, or is not as it should be: a closed list, and nothing else counts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["REASONS", "Verdict", "explain"]

# The reason, and what the step or kubectl says where it holds.
REASONS = (
    ("kubectl's dry run stops at a namespace that comes with the set", re.compile(r'namespaces "[^"]+" not found')),
    ("kubectl's dry run stops at a kind that comes with the set", re.compile(r"no matches for kind|resource mapping")),
    ("the sandbox does not serve the kind", re.compile(r"of context sandbox serves no kind|sandbox has no")),
    ("the set needs a kind that another set defines", re.compile(r"serves no kind|no matches for kind")),
    (
        "a key stands twice in a mapping, which klepaas refuses",
        re.compile(r"stands (?:here )?twice|are the same object"),
    ),
    ("the server refuses the set", re.compile(r"is invalid|is forbidden|Internal error|BadRequest")),
    (
        "a controller changes the object as soon as it is there",
        re.compile(r"caBundle|changed\t(?:apiservice|namespace)"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was said of a set.

    Attributes:
        steps: What klepaas said, by step; "ok" where it is as it should be.
        peer: What kubectl said of a dry run. None: it was not asked.
    """

    steps: Mapping[str, str]
    peer: str | None = None


def explain(verdict: Verdict) -> str:
    """ "equal", a reason of the list, or "unexplained".

    Args:
        verdict: What was said.
    """
    wrong = [said for said in verdict.steps.values() if said != "ok"]
    if verdict.peer not in (None, "ok") and not wrong:
        wrong = [verdict.peer or ""]
    if not wrong:
        return "equal"
    found = [next((reason for reason, form in REASONS if form.search(said)), "unexplained") for said in wrong]
    return "unexplained" if "unexplained" in found else found[0]
