"""The built book in a real browser: the pages are served on the loopback address, and nothing else can be reached.

No test may hang on how fast the machine is. So pages stand still (no transitions), what has to happen is waited for
and never slept for, and the limits on waiting are far beyond what even a busy machine takes.
"""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import nbformat
import pytest
from browser import FLAGS, NAMES, PATIENCE, STILL, executable
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

ROOT = Path(__file__).parent.parent
HTML = ROOT / "_build" / "html"
PAGES = ["index", *(p.stem for p in sorted((ROOT / "book").glob("*.ipynb")) if p.stem != "index")]
PAGES += [p.stem for p in sorted((ROOT / "book").glob("*.md"))]
PAGES += [f"book/api/{p.stem}" for p in sorted((ROOT / "book" / "api").glob("*.md"))]
OF_SPHINX = ["search", "genindex", "py-modindex"]  # pages that it makes at the root of the site
ALL_SLIDERS = """(count) => count ===
  [...document.querySelectorAll(".ep-sliders")].filter((view) => view.querySelector(".noUi-handle")).length"""
SCHEMES, WIDTHS = ("light", "dark"), (1280, 390)

_Value = TypeVar("_Value")


def missing(reason: str) -> None:
    """Skip with a reason that is shown; where CI is set, what is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started() -> Iterator[Browser]:
    """Start the machine's own Chromium; with BROWSER=no in the environment the pages are left out, whatever CI says."""
    if os.environ.get("BROWSER") == "no":
        pytest.skip("BROWSER=no: the pages are not looked at in a browser")
    path = executable()
    if path is None:
        missing(f"no browser was found: none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, "--disable-sync"], timeout=PATIENCE)
        yield browser
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the built pages; yield their address."""
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


def address_of(site: str, name: str) -> str:
    """Return the address of a page: of a chapter by its name alone, of the others by their path."""
    return f"{site}{name}.html" if "/" in name or name in OF_SPHINX else f"{site}book/{name}.html"


@contextmanager
def opened(browser: Browser, site: str, name: str, scheme: str, width: int) -> Iterator[tuple[Page, list[str]]]:
    """Open a page; yield it with the list of what goes wrong in it. All that would leave the machine is refused."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        has_touch=width < 500,
    )
    context.set_default_timeout(PATIENCE)
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
    page.goto(address_of(site, name))
    page.add_style_tag(content=STILL)
    page.wait_for_function("window.MathJax?.startup?.promise?.then(() => true) ?? true")
    if name in WITH_SLIDERS:
        page.wait_for_function(ALL_SLIDERS, arg=len(labels(name)))
    yield page, troubles
    context.close()


def until(page: Page, found: Callable[[], _Value], fits: Callable[[_Value], bool]) -> _Value:
    """Return what `found` finds once it fits; fail with what it found last."""
    for _ in range(PATIENCE // 50):
        value = found()
        if fits(value):
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"waited in vain; last seen: {value!r}")
