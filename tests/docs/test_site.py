"""The site as it is built: no warning, nothing from the network, only addresses that exist, whole in both languages."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from klepaas.testing import scale_timeout

from .blocks import KOREAN, PAGES, ROOT

ADDRESS = "https://docs.example/klepaas/"
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """What a page refers to.

    Attributes:
        loaded: What a browser fetches to show it.
        links: Where it leads.
        anchors: What one can link to in it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down one element."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag in LOADED and given.get("rel") not in ("canonical", "alternate", "prev", "next"):
            self.loaded.append(given.get(LOADED[tag], ""))


def build(folder: Path, target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    command = [
        sys.executable,
        "-W",
        "error::DeprecationWarning",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-d",
        str(target),
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=scale_timeout(50),
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, for an address."""
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target, DOCS_SITE_URL=ADDRESS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Its pages, by their place in it."""
    found = {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}
    del found["404.html"]  # written for no place
    return found


def test_every_page_is_there_in_both_languages(pages: dict[str, Page]) -> None:
    names = {page[len("docs/") : -len(".md")] for page in PAGES if page.startswith("docs/") and page not in KOREAN}
    assert {f"{name}.html" for name in names} | {f"ko/{name}.html" for name in names} == set(pages)


def test_a_browser_loads_nothing_from_elsewhere(pages: dict[str, Page]) -> None:
    assert {address for page in pages.values() for address in page.loaded if urlsplit(address).netloc} == set()


def test_styles_load_nothing_from_elsewhere(site: Path) -> None:
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )['\"]?https?:[^)]*", style.read_text(encoding="utf-8")) == []


def test_every_link_arrives(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (site / name).parent / unquote(parts.path) if parts.path else site / name
            assert there.exists(), f"{name} leads to {link}"
            if parts.fragment and there.suffix == ".html":
                target = pages[there.resolve().relative_to(site.resolve()).as_posix()]
                assert unquote(parts.fragment) in target.anchors, f"{name} leads to {link}"


def test_the_sitemap_has_no_address_that_does_not_exist(site: Path, pages: dict[str, Page]) -> None:
    addresses = re.findall(r"(?:<loc>|href=\")([^<\"]+)", (site / "sitemap.xml").read_text(encoding="utf-8"))
    assert {address.removeprefix(ADDRESS) or "index.html" for address in addresses} <= set(pages)
    assert len(addresses) >= len(pages)


def test_a_site_for_no_address_has_no_sitemap(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path / "site", DOCS_SITE_URL="")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "site").glob("sitemap*")) == []


@pytest.mark.parametrize(
    ("page", "text", "complaint"),
    [
        ("docs/concepts.md", "[there](nowhere.md)", "nowhere.md"),
        ("docs/http.ko.md", "[there](security.md#nowhere)", "#nowhere"),
        ("docs/nobody-links-me.md", "# Alone", "nobody-links-me.md"),
        ("docs/start.ko.md", "## One heading more", "does not have the headings"),
    ],
)
def test_what_is_wrong_ends_the_build(page: str, text: str, complaint: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/")])
def test_links_of_the_pages_beside_the_site_arrive(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        parts = urlsplit(link)
        if not parts.scheme and parts.path:
            assert ((ROOT / page).parent / parts.path).exists(), f"{page} leads to {link}"
