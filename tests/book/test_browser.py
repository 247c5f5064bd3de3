"""Every page of the built book in a real browser: light and dark, wide and narrow, by keyboard and by mouse.

The pages are served on the loopback address, and every request to any other is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browser import PATIENCE
from browsing import PAGES, SCHEMES, WIDTHS, WITH_SLIDERS, labels, opened, until
from playwright.sync_api import Browser, Locator, Page
from playwright.sync_api import TimeoutError as NotInTimeError


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(browser: Browser, site: str, name: str, scheme: str, width: int) -> None:
    with opened(browser, site, name, scheme, width) as (page, troubles):
        page.wait_for_load_state("networkidle")  # half a second in which it might still ask for something
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"), "the page scrolls sideways"
        assert "Traceback (most recent call last)" not in page.content()

        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
        equations = page.locator(".math").count()
        assert page.locator(".math mjx-container").count() >= equations
        prose = page.locator("article p, article li").all_inner_texts()
        assert not [text for text in prose if re.search(r"\\\(|\\\[|\$\$|\{(doc|cite|ref)\}", text)]

        for image in page.locator("article img").all():
            assert len((image.get_attribute("alt") or "").split()) >= 5
        for frame in page.locator("svg.ep-frame").all():
            assert frame.get_attribute("role") == "img"
            assert frame.get_attribute("aria-label")
        search = page.locator("button.search-button, .search-button-field, input[type=search]")
        assert sum(field.is_visible() for field in search.all()) == 1
        assert troubles == []


def visible_label(view: Locator) -> str:
    """Return the one frame that is shown in words, the result below it too; "" while the view is between two frames."""
    shown = [frame for frame in view.locator("svg.ep-frame").all() if frame.is_visible()]
    if len(shown) != 1:
        return ""
    result = shown[0].locator("xpath=..").locator(".ep-result")
    return f"{shown[0].get_attribute('aria-label')}: {result.text_content()}"


def values(view: Locator) -> str:
    """Return what the sliders say that they stand at."""
    handles = view.locator(".noUi-handle").all()
    return ", ".join(f"{h.get_attribute('aria-label')} {h.get_attribute('aria-valuetext')}" for h in handles)


def at_the_left(place: tuple[str | None, ...]) -> bool:
    """Return whether a slider at (least, now, most) is at its least."""
    return place[1] == place[0]


def at_the_right(place: tuple[str | None, ...]) -> bool:
    """Return whether a slider at (least, now, most) is at its most."""
    return place[1] == place[2]


def check_view(page: Page, view: Locator, known: list[str]) -> str:
    """Wait for the frame that belongs to what the sliders say; hold it against the computation; return its label."""
    label = until(page, lambda: visible_label(view), lambda said: bool(said) and said.startswith(values(view) + ": "))
    assert label in known
    return label


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_every_slider_moves_by_keyboard_and_by_mouse(
    browser: Browser, site: str, name: str, scheme: str, width: int
) -> None:
    with opened(browser, site, name, scheme, width) as (page, troubles):
        views, known = page.locator(".ep-sliders").all(), labels(name)
        assert len(views) == len(known) > 0
        for view, frames in zip(views, known, strict=True):
            view.scroll_into_view_if_needed()
            seen = {check_view(page, view, frames)}
            for handle in view.locator(".noUi-handle").all():

                def stands_at(handle: Locator = handle) -> tuple[str | None, ...]:
                    return tuple(handle.get_attribute(f"aria-value{name}") for name in ("min", "now", "max"))

                for key in ("End", "Home"):
                    handle.focus()
                    page.keyboard.press(key)
                    until(page, stands_at, at_the_right if key == "End" else at_the_left)
                    seen.add(check_view(page, view, frames))
                track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
                box = track.bounding_box()
                assert box
                page.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + box["height"] / 2)
                until(page, stands_at, lambda at: not at_the_left(at))  # where the keyboard has left it
                seen.add(check_view(page, view, frames))
            assert len(seen) >= 3
        assert troubles == []


CELL = """
from eprop_nb.display import sliders, svg

def draw(height):
    panel = svg.Panel((0, 1), (0, 3)).line([0, 1], [0, height])
    return svg.figure([panel], result=f"a line that ends at {height}", asked="Show it")

sliders.view(draw, height=[1, 2, 3])
"""
TEXT = """
:::{admonition} Try, and notice
:class: seealso
Read {doc}`gradients`.
:::
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Start JupyterLab on the loopback address with a notebook of a slider and a box; return the notebook's address."""
    cells = [nbformat.v4.new_code_cell(CELL.strip()), nbformat.v4.new_markdown_cell(TEXT.strip())]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "slider.ipynb")
    private = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    settings = tmp_path / "CONFIG" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    # it would ask whether to fetch news, in a dialog that comes when it comes
    settings.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--allow-root")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", *options, f"--ServerApp.root_dir={tmp_path}"],
        env=os.environ | private,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(PATIENCE // 250):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=5):
                break
            time.sleep(0.25)
        yield f"{address}/lab/tree/slider.ipynb"
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_the_same_sliders_and_boxes_work_in_jupyterlab(browser: Browser, lab: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    # whatever else it has to say lies over the cell until it is closed
    page.add_locator_handler(page.locator(".jp-Dialog"), lambda dialog: dialog.press("Escape"))
    page.goto(lab)
    editor = page.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    editor.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(state="attached")
    view = page.locator(".jp-OutputArea-output .ep-sliders").first
    for _ in range(5):  # a cell that is run before its kernel listens may get no answer
        editor.click()
        page.keyboard.press("Shift+Enter")
        with contextlib.suppress(NotInTimeError):
            view.wait_for(timeout=PATIENCE / 4)
            break
    until(page, lambda: visible_label(view), lambda label: label == "height 1: a line that ends at 1")
    view.get_by_role("slider", name="height").focus()
    page.keyboard.press("End")
    until(page, lambda: visible_label(view), lambda label: label == "height 3: a line that ends at 3")
    until(page, lambda: values(view), lambda words: words == "height 3")
    assert view.locator(".ep-result:visible").count() == 0
    view.locator("summary:visible").focus()
    page.keyboard.press("Enter")
    view.locator(".ep-result:visible").wait_for()
    box = page.locator(".jp-MarkdownCell aside").first
    box.wait_for()
    assert box.inner_text().split() == ["Try,", "and", "notice", "Read", "gradients."]
    context.close()
