"""The code blocks of the documentation's pages, and what a page says about those that a test cannot run.

A comment right above a block says why it is not run (`<!-- not run: needs a cloud -->`) or which test runs it instead
(`<!-- run by tests/examples/test_agents.py -->`). It knows what blocks are, not how one is run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
)
KOREAN = [page for page in PAGES if page.endswith(".ko.md")]
ENGLISH = [page for page in PAGES if not page.endswith(".ko.md")]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=indent)```\s*?$", re.M | re.S)
_REMARK = re.compile(r"<!-- (?P<kind>not run|run by):? (?P<words>[^\n]+?) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: The file, from the project's folder.
        line: Where its text begins, from 1.
        language: The word after the fence.
        text: What is in it, without the indentation that a list gave it.
        not_run: Why a test cannot run it. None: one can.
        run_by: The test that runs it instead of the runner here. None: the runner does.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None
    run_by: str | None = None

    @property
    def place(self) -> str:
        """Where it is, for a test's name."""
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        remark = _REMARK.search(text, 0, found.start())
        kind, words = (remark["kind"], remark["words"]) if remark else (None, None)
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 2,
            language=found["language"],
            text=re.sub(rf"^{found['indent']}", "", found["text"], flags=re.M),
            not_run=words if kind == "not run" else None,
            run_by=words if kind == "run by" else None,
        )


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of the English pages that the runner here runs, in these languages."""
    found = [block for page in ENGLISH for block in blocks_of(page)]
    return [block for block in found if block.language in languages and not block.not_run and not block.run_by]
