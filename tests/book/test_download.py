"""The download button saves a chapter that runs alone, from a server and from a folder on a disk."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from browsing import HTML, PAGES, PATIENCE, missing
from copies import copies
from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("kind", ["served", "from a folder"])
def test_the_download_button_saves_the_copy(browser: Browser, site: str, kind: str, tmp_path: Path) -> None:
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{site if kind == 'served' else HTML.as_uri() + '/'}book/gradients.html")
    page.locator(".dropdown-download-buttons > button").click()
    with page.expect_download() as saved:
        page.locator(".btn-download-source-button").click()
    assert saved.value.suggested_filename == "gradients.ipynb"
    saved.value.save_as(tmp_path / "gradients.ipynb")
    assert page.url.endswith("gradients.html")  # it is still there
    assert len(context.pages) == 1
    context.close()
    text = (tmp_path / "gradients.ipynb").read_text(encoding="utf-8")
    assert text == (HTML / "_sources" / "book" / "gradients.ipynb").read_text(encoding="utf-8")
    assert nbformat.reads(text, as_version=4).cells[0].id == "install"


def test_what_is_downloaded_is_what_is_launched() -> None:
    folder = HTML / "_sources" / "book"
    if not folder.exists():
        missing("the pages are not built: make book")
    made = dict(copies(ROOT))
    assert made.keys() < set(PAGES)
    if "BOOK_URL" in os.environ:  # the book may have been built without it
        pytest.skip("the copies lead to the published pages here")
    for name, text in made.items():
        assert (folder / f"{name}.ipynb").read_text(encoding="utf-8") == text, name
