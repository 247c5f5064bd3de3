"""A Sphinx extension that tells the pages where they will lie, and others what a page is about.

The address is that in the variable `BOOK_URL`, which the deployment sets; it is nowhere typed in. With it there are
canonical addresses, a sitemap, cards for those who share a link, and a page for addresses that do not exist; all of
these need to be absolute, so that without an address there are none. What a page is about, its description, needs none.
"""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

VARIABLE = "BOOK_URL"
OPEN_GRAPH = re.compile(r'<meta (?:property="og:|name="twitter:)[^>]*>\n?')
CARD = {"font": "DejaVu Sans", "line_color": "#0072b2", "image_mini": "book/_static/mark.png"}
NOT_FOUND = {
    "title": "Not found",
    "body": "<h1>Not found</h1><p>There is no page at this address. The chapters are in the list at the side, "
    "and the search looks through all of them.</p>",
}


def address(value: str) -> str:
    """Return the address with a slash at its end; raise if it is none that a browser could open."""
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{VARIABLE} must be the address of the pages, as https://example.org/book/, got {value!r}")
    return value.strip().rstrip("/") + "/"


def tell(_app: Sphinx, config: Config) -> None:
    """Hand the address to what needs it."""
    config.ogp_site_name = config.html_title
    if not os.environ.get(VARIABLE):
        config.ogp_site_url, config.ogp_social_cards = "", {"enable": False}
        return
    site = address(os.environ[VARIABLE])
    config.html_baseurl = config.ogp_site_url = site
    config.ogp_social_cards = CARD
    config.sitemap_url_scheme = "{link}"
    config.sitemap_excludes = ["404.html", "genindex.html", "py-modindex.html", "search.html"]
    config.notfound_urls_prefix = urlsplit(site).path
    config.notfound_context = NOT_FOUND


def entrance(app: Sphinx, error: Exception | None) -> None:
    """Write the page at the address itself, which leads to the first one: with a name, and a link for who stays."""
    first = app.builder.get_target_uri(app.config.root_doc)
    if error is None and app.builder.format == "html" and first != "index.html":
        title, canonical = escape(app.config.html_title), urljoin(app.config.html_baseurl, first)
        page = (
            f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
            + (f'<link rel="canonical" href="{escape(canonical)}">\n' if app.config.html_baseurl else "")
            + f'<meta http-equiv="refresh" content="0; url={first}">\n<p><a href="{first}">{title}</a></p>\n</html>\n'
        )
        Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def mend(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Leave out what would be a lie without an address; say the book's title once where the page has the same."""
    if not app.config.ogp_site_url:
        context["metatags"] = OPEN_GRAPH.sub("", context.get("metatags", ""))
    if page == app.config.root_doc or context.get("title") == app.config.html_title:
        context["docstitle"] = ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension, and those that it stands before."""
    if os.environ.get(VARIABLE):
        app.setup_extension("sphinx_sitemap")
        app.setup_extension("notfound.extension")
    app.connect("config-inited", tell, priority=100)
    app.connect("build-finished", entrance)
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
