"""What the site needs besides mkdocs' own settings.

A sitemap consists of full addresses, and a site that was built for no address has none: instead of made-up ones it gets
no sitemap. A Korean page gets the English page's anchors, so that a link to `http.md#limits` arrives in both languages.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify  # type: ignore[import-untyped]

_FENCE = re.compile(r"^ *```")
_HEADING = re.compile(r"^#{1,6} (?P<title>.*)$")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Name the headings of a Korean page as those of the English one.

    Raises:
        ValueError: The two pages do not have the same headings.
    """
    source = page.file.src_uri
    if not source.endswith(".ko.md"):
        return markdown
    english = Path(config.docs_dir, source.replace(".ko.md", ".md")).read_text(encoding="utf-8").splitlines()
    lines = markdown.splitlines()
    theirs, ours = list(_headings(english)), list(_headings(lines))
    if [_level(english[place]) for place in theirs] != [_level(lines[place]) for place in ours]:
        raise ValueError(f"{source} does not have the headings of the English page")
    slug = slugify(case="lower")
    for there, here in zip(theirs, ours, strict=True):
        title = english[there].lstrip("#").replace("`", "").strip()
        lines[here] += f" {{#{slug(title, '-')}}}"
    return "\n".join(lines)


def on_post_build(config: MkDocsConfig) -> None:
    """Take the sitemap away where nobody said where the site will be."""
    if not config.site_url:
        for name in ("sitemap.xml", "sitemap.xml.gz"):
            Path(config.site_dir, name).unlink(missing_ok=True)


def _headings(lines: list[str]) -> Iterator[int]:
    """Which lines are headings; a comment in a block of code is none."""
    in_code = False
    for place, line in enumerate(lines):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code and _HEADING.match(line):
            yield place


def _level(line: str) -> int:
    return len(line) - len(line.lstrip("#"))
