"""Every page of the built book in a real browser: light and dark, wide and narrow, by keyboard and by mouse.

The pages are served on the loopback address, and every request to any other is refused.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Request, Route, sync_playwright
from playwright.sync_api import TimeoutError as NotInTimeError

ROOT = Path(__file__).parent.parent.parent
HTML = ROOT / "_build" / "html"
PAGES = ["index", *(p.stem for p in sorted((ROOT / "book").glob("*.ipynb")) if p.stem != "index")]
PAGES += [p.stem for p in sorted((ROOT / "book").glob("*.md"))]
SCHEMES, WIDTHS = ("light", "dark"), (1280, 390)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def missing(reason: str) -> None:
    """Skip with a reason that is shown; where CI is set, what is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing(f"no browser was found: none of {', '.join(names)} is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*FLAGS, "--disable-sync"])
        yield started
        started.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Serve the built pages; return their address."""
    if not (HTML / "index.html").exists():
        missing("the pages are not built: make book")
    handler = functools.partial(_Quiet, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def labels(chapter: str) -> list[list[str]]:
    """Return the frames of each view of sliders in a chapter, in words, as the notebook holds them.

    That text is compared with a new computation whenever the chapters are tested.
    """
    path = ROOT / "book" / f"{chapter}.ipynb"
    if not path.exists():
        return []
    texts = [
        output["data"].get("text/plain", "")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    return [text.splitlines()[1:] for text in texts if text.startswith("A figure with ")]


WITH_SLIDERS = [name for name in PAGES if labels(name)]


@contextmanager
def opened(browser: Browser, site: str, name: str, scheme: str, width: int) -> Iterator[tuple[Page, list[str]]]:
    """Open a page; yield it with the list of what goes wrong in it. All that would leave the machine is refused."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        has_touch=width < 500,
    )
    troubles: list[str] = []

    def guard(route: Route, request: Request) -> None:
        if request.url.startswith((site, "data:", "blob:")):
            route.continue_()
        else:
            troubles.append(f"asked for {request.url}")
            route.abort()

    context.route("**/*", guard)
    page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("response", lambda r: troubles.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.goto(f"{site}book/{name}.html", wait_until="networkidle")
    if name in WITH_SLIDERS:
        page.locator(".ep-sliders .noUi-handle").first.wait_for()
    yield page, troubles
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(browser: Browser, site: str, name: str, scheme: str, width: int) -> None:
    with opened(browser, site, name, scheme, width) as (page, troubles):
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
    shown = [frame for frame in view.locator("svg.ep-frame").all() if frame.is_visible()]
    assert len(shown) == 1, "there must be one frame to see"
    label = shown[0].get_attribute("aria-label")
    assert label
    return label


def check_view(view: Locator, known: list[str]) -> str:
    """Hold the frame that is shown against what the sliders say, and against the computation; return its label."""
    label = visible_label(view)
    assert label in known
    said = []
    for handle in view.locator(".noUi-handle").all():
        said.append(f"{handle.get_attribute('aria-label')} {handle.get_attribute('aria-valuetext')}")
    assert label.startswith(", ".join(said) + ": ")
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
            seen = {check_view(view, frames)}
            for handle in view.locator(".noUi-handle").all():
                for key in ("End", "Home"):
                    handle.focus()
                    page.keyboard.press(key)
                    page.wait_for_timeout(60)
                    seen.add(check_view(view, frames))
                track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
                box = track.bounding_box()
                assert box
                page.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + box["height"] / 2)
                page.wait_for_timeout(60)
                moved = check_view(view, frames)
                assert handle.get_attribute("aria-valuenow") not in ("0", "0.0"), "the mouse has not moved the slider"
                seen.add(moved)
            assert len(seen) >= 3
        assert troubles == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible(browser: Browser, site: str, name: str, scheme: str) -> None:
    with opened(browser, site, name, scheme, 1280) as (page, _):
        found = Axe().run(page).response["violations"]
        serious = [
            (v["id"], v["help"], [node["target"] for node in v["nodes"]][:3])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == []


CELL = """
from eprop_nb.display import sliders, svg

def draw(height):
    panel = svg.Panel((0, 1), (0, 3)).line([0, 1], [0, height])
    return svg.figure([panel], result=f"a line that ends at {height}")

sliders.view(draw, height=[1, 2, 3])
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Start JupyterLab on the loopback address with a notebook of one slider; return the notebook's address."""
    cell = nbformat.v4.new_code_cell(CELL.strip())
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), tmp_path / "slider.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--allow-root")
    private = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", *options, f"--ServerApp.root_dir={tmp_path}"],
        env=os.environ | private,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=5):
                break
            time.sleep(0.25)
        yield f"{address}/lab/tree/slider.ipynb"
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_the_same_sliders_work_in_jupyterlab(browser: Browser, lab: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(lab)
    editor = page.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    editor.wait_for(timeout=90_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=90_000, state="attached")
    view = page.locator(".jp-OutputArea-output .ep-sliders").first
    for _ in range(5):  # a cell that is run before its kernel listens may get no answer
        editor.click()
        page.keyboard.press("Shift+Enter")
        with contextlib.suppress(NotInTimeError):
            view.wait_for(timeout=20_000)
            break
    assert visible_label(view) == "height 1: a line that ends at 1"
    view.locator(".noUi-handle").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    assert visible_label(view) == "height 3: a line that ends at 3"
    context.close()
