"""The download button saves a chapter that runs alone, from a server and from a folder on a disk."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from browser import PATIENCE
from browsing import HTML
from playwright.sync_api import Browser


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
    first, second, *_ = nbformat.read(tmp_path / "gradients.ipynb", as_version=4).cells
    assert first.id == "install"
    assert second.source.startswith("# Gradient comparison")
    assert ":::" not in second.source
