"""What the site needs besides mkdocs' own settings.

A sitemap consists of full addresses, and a site that was built for no address has none: instead of made-up ones it gets
no sitemap. Nothing here changes a page.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig


def on_post_build(config: MkDocsConfig) -> None:
    """Take the sitemap away where nobody said where the site will be."""
    if not config.site_url:
        for name in ("sitemap.xml", "sitemap.xml.gz"):
            Path(config.site_dir, name).unlink(missing_ok=True)
