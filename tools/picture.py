"""Take the README's picture of the built book, light and dark: the contents, and the figure of the identity.

python tools/picture.py _build/html assets

Each picture carries, as text of its file, what can be read in it: the contents, what the figure says and what is
printed below it. So a test can tell, without a browser, that a picture shows another book than the present one. It is
written only where it shows something else than before.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
STILL = "*,*::before,*::after{transition:none!important;animation:none!important;scroll-behavior:auto!important}"
PATIENCE = 120_000  # ms
WIDTH, HEIGHT, SHARPNESS = 1280, 800, 1.5  # CSS pixels, and pixels of the picture for each of them
KEY = "Shows"
FIGURE = "svg.ep-figure[aria-label*='the gradient by BPTT']"
# Scroll to the paragraph above the figure; return where the output below it ends, and where the last chapter is listed.
FRAME = f"""() => {{
  const cell = document.querySelector("{FIGURE}").closest(".cell"), last = list => [...list].at(-1);
  const bottom = e => Math.ceil(e.getBoundingClientRect().bottom);
  scrollBy(0, cell.previousElementSibling.getBoundingClientRect().top - 56);
  const links = [...document.querySelectorAll(".bd-links a.reference")];
  const chapters = links.filter(e => /^\\s*\\d+\\. /.test(e.textContent));
  return [bottom(cell), bottom(last(chapters))];
}}"""
READ = f"""() => {{
  const words = e => e.textContent.replace(/\\s+/g, " ").trim(), figure = document.querySelector("{FIGURE}");
  const all = [...document.querySelectorAll(".bd-links .caption-text, .bd-links a.reference")];
  const entries = all.filter(e => e.getBoundingClientRect().bottom < innerHeight);
  return {{
    title: words(document.querySelector(".logo__title")),
    contents: entries.map(e => words(e).replace(/^\\d+\\. /, "")),
    figure: figure.getAttribute("aria-label"),
    printed: figure.closest(".cell").querySelector("pre:not(.cell_input pre)").textContent.trim().split("\\n"),
  }};
}}"""


def prepared(browser: Browser, index: Path, scheme: str) -> Page:
    """Return the start page with the figure in view, tall enough for what it prints and for all chapters."""
    dark_or_light = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=SHARPNESS,
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    dark_or_light.set_default_timeout(PATIENCE)
    page = dark_or_light.new_page()
    page.goto(index.resolve().as_uri())
    page.add_style_tag(content=STILL)
    page.wait_for_function("window.MathJax?.startup?.promise?.then(() => true) ?? true")
    page.evaluate("document.fonts.ready.then(() => true)")
    feet = page.evaluate(FRAME)
    page.set_viewport_size({"width": WIDTH, "height": max(int(foot) for foot in feet) + 24})
    page.evaluate(FRAME)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    return page


def write(picture: bytes, shows: str, target: Path) -> bool:
    """Write a picture with what it shows, unless the file has both already; return whether it was written."""
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    if target.exists():
        with Image.open(target) as old:
            same = old.size == image.size and old.info.get(KEY) == shows
            if same and ImageChops.difference(old.convert("RGB"), image.convert("RGB")).getbbox() is None:
                return False
    text = PngInfo()
    text.add_itxt(KEY, shows)
    image.save(target, optimize=True, pnginfo=text)
    return True


def main(html: Path, folder: Path) -> None:
    """Take both pictures."""
    index = html / "book" / "index.html"
    if not index.exists():
        sys.exit(f"there is no book in {html}: `make book` builds it")
    own = next(filter(None, map(shutil.which, NAMES)), None)  # else the one that Playwright has installed, if it has
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=own, args=FLAGS, timeout=PATIENCE)
        for scheme in ("light", "dark"):
            page = prepared(browser, index, scheme)
            target = folder / f"page-{scheme}.png"
            shows = json.dumps(page.evaluate(READ), ensure_ascii=False, indent=1)
            print(f"{target}: {'written' if write(page.screenshot(), shows, target) else 'unchanged'}")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
