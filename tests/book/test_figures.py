"""Figures and the frames of sliders as a reader sees them: every text can be read, and nothing is light in the dark."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from browsing import PAGES, ROOT, WITH_SLIDERS, labels, opened
from PIL import Image
from playwright.sync_api import Browser

SMALLEST = 11.0  # px, of a letter's body
LIGHT = 0.3  # of a figure's pixels in the dark may be light: its letters, lines and bars; of a plate most are

# All figures, and all frames: those that a slider has not chosen are in the page as data alone, and are measured in the
# place of the one that it has. Of each text: what it says, its place, and how high its letters are.
TEXTS = """() => {
  const shrunk = (text, size) => {  // without the empty strips above and below its letters
    const { left, right, top, bottom } = text.getBoundingClientRect();
    const upright = Math.abs(text.getScreenCTM().b) > Math.abs(text.getScreenCTM().a);
    const [across, up] = upright ? [0.2 * size, 0] : [0, 0.2 * size];
    return [left + across, right - across, top + up, bottom - up];
  };
  const measured = (svg) => {
    const { left, right, top, bottom } = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim()).map((text) => {
      const { a, b } = text.getScreenCTM();
      const heights = [text, ...text.querySelectorAll('tspan')]
        .map((part) => Math.hypot(a, b) * parseFloat(getComputedStyle(part).fontSize));
      return { words: text.textContent, height: Math.min(...heights), box: shrunk(text, Math.max(...heights)) };
    });
    return { label: svg.getAttribute('aria-label'), box: [left, right, top, bottom], texts };
  };
  const found = [...document.querySelectorAll('svg.ep-figure')].map(measured);
  const data = document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]');
  const place = document.querySelector('.ep-frames svg.ep-frame')?.parentElement;
  for (const { state } of data ? Object.values(JSON.parse(data.textContent).state) : []) {
    if (!state.value?.includes?.('class="ep-frame"')) continue;
    place.innerHTML = state.value;
    found.push(measured(place.querySelector('svg')));
  }
  return found;
}"""
# Everything that is folded is opened, so that what is in it has a size.
OPEN = "() => document.querySelectorAll('details').forEach((each) => { each.open = true; })"


def figures_of(name: str) -> int:
    """Return how many figures the cells of a chapter have drawn."""
    path = ROOT / "book" / f"{name}.ipynb"
    if not path.exists():
        return 0
    cells = nbformat.read(path, as_version=4).cells
    return sum("image/svg+xml" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


def overlaps(one: list[float], other: list[float]) -> bool:
    """Return whether two boxes (left, right, top, bottom) share more than a hair."""
    shared = [min(one[k + 1], other[k + 1]) - max(one[k], other[k]) for k in (0, 2)]
    return min(shared) > 1.5


def faults(figure: dict[str, Any], width: int) -> list[str]:
    """Return what is wrong with the texts of a figure, in words."""
    left, right, top, bottom = figure["box"]
    texts = figure["texts"]
    found = []
    for k, text in enumerate(texts):
        words, box = text["words"], text["box"]
        if text["height"] < SMALLEST:
            found.append(f"{words!r} is {text['height']:.1f} px high")
        if min(box[0] - left, right - box[1], box[2] - top, bottom - box[3]) < -1 or box[0] < 0 or box[1] > width:
            found.append(f"{words!r} is cut off: {[round(x) for x in box]} in {[round(x) for x in figure['box']]}")
        found += [f"{words!r} lies over {each['words']!r}" for each in texts[:k] if overlaps(box, each["box"])]
    return [f"{fault} (in: {figure['label'][:60]})" for fault in found]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("name", PAGES)
def test_every_text_of_a_figure_can_be_read(browser: Browser, site: str, name: str, scheme: str, width: int) -> None:
    with opened(browser, site, name, scheme, width) as (page, _):
        page.evaluate(OPEN)
        assert page.locator("svg.ep-figure").count() == figures_of(name)
        assert page.locator("article img[src$='.svg']").count() == 0
        measured = page.evaluate(TEXTS)
        assert len(measured) == figures_of(name) + sum(len(frames) for frames in labels(name))
        assert [fault for figure in measured for fault in faults(figure, width)] == []


def light_share(picture: bytes) -> float:
    """Return the share of light pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    return float((pixels.min(axis=2) > 180).mean())


@pytest.mark.parametrize("name", PAGES)
def test_no_figure_is_a_light_plate_in_the_dark(browser: Browser, site: str, name: str) -> None:
    with opened(browser, site, name, "dark", 1280) as (page, _):
        page.evaluate(OPEN)
        figures = page.locator("svg.ep-figure:visible, svg.ep-frame:visible").all()
        shares = {figure.get_attribute("aria-label"): light_share(figure.screenshot()) for figure in figures}
        assert {label: share for label, share in shares.items() if share > LIGHT} == {}


@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_what_a_slider_found_is_below_its_frame_and_said_once(browser: Browser, site: str, name: str) -> None:
    with opened(browser, site, name, "light", 390) as (page, _):
        page.locator(".ep-frames[aria-live=polite]").first.wait_for()
        for view in page.locator(".ep-sliders").all():
            (frame,) = view.locator("svg.ep-frame:visible").all()
            result = frame.locator("xpath=..").locator(".ep-result")
            words = result.text_content() or ""
            assert words
            assert words not in (frame.get_attribute("aria-label") or "")
            summary = frame.locator("xpath=..").locator("summary")
            if summary.count():  # to be asked for: by keyboard
                assert not result.is_visible()
                summary.focus()
                page.keyboard.press("Enter")
            result.wait_for()
            box, above = result.bounding_box(), frame.bounding_box()
            assert box is not None
            assert above is not None
            assert box["y"] >= above["y"] + above["height"]


def test_the_checks_of_this_file_can_fail(browser: Browser, tmp_path: Path) -> None:
    picture = """<svg class="ep-figure" role="img" aria-label="bad" viewBox="0 0 300 100" width="358">
      <rect width="300" height="100" fill="white"/>
      <text x="10" y="20" font-size="10">one</text><text x="12" y="22" font-size="10">two</text>
      <text x="290" y="50" font-size="10">three</text><text x="100" y="80" font-size="7">four</text></svg>"""
    (tmp_path / "page.html").write_text(f"<body style='background:black'>{picture}</body>", encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 300})
    page.goto((tmp_path / "page.html").as_uri())
    (figure,) = page.evaluate(TEXTS)
    found = faults(figure, 390)
    assert [fault.split(" (in")[0].split(":")[0] for fault in found] == [
        "'two' lies over 'one'",
        "'three' is cut off",
        "'four' is 8.4 px high",
    ]
    assert light_share(page.locator("svg").screenshot()) > LIGHT
    page.close()
