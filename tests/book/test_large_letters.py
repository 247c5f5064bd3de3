"""A reader who has set letters of twice the size can read each slider's name and value, at every position."""

from __future__ import annotations

import pytest
from browsing import WIDTHS, WITH_SLIDERS, opened, until
from playwright.sync_api import Browser, Locator, Page

LARGE = "html{font-size:200%!important}"

# Names and values of sliders that reach beyond the box they stand in, or are higher than it.
CUT = """() => [...document.querySelectorAll(".ep-sliders")].flatMap((view) => {
  const edge = view.getBoundingClientRect();
  return [...view.querySelectorAll(".widget-slider > .widget-label, .widget-slider > .widget-readout")]
    .filter((word) => word.textContent.trim())
    .filter((word) => {
      const box = word.getBoundingClientRect();
      const outside = box.left < edge.left - 1 || box.right > edge.right + 1;
      const inside = word.scrollWidth > word.clientWidth + 1 || word.scrollHeight > word.clientHeight + 1;
      return outside || inside || !box.width || !box.height;
    })
    .map((word) => word.textContent);
})"""
# Sliders whose name or value covers another, or the track.
OVER = """() => [...document.querySelectorAll(".ep-sliders .widget-slider")].filter((slider) => {
  const boxes = [".widget-label", ".widget-readout", ".slider-container"]
    .map((name) => slider.querySelector(name).getBoundingClientRect());
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return meet(boxes[0], boxes[1]) || meet(boxes[0], boxes[2]) || meet(boxes[1], boxes[2]);
}).length"""


def check(page: Page) -> None:
    assert {"cut": page.evaluate(CUT), "over one another": page.evaluate(OVER)} == {"cut": [], "over one another": 0}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_names_and_values_of_sliders_are_whole(browser: Browser, site: str, name: str, width: int) -> None:
    with opened(browser, site, name, "light", width) as (page, _):
        until(page, page.locator(".ep-first").count, lambda count: count == 0)  # all sliders have come
        page.add_style_tag(content=LARGE)
        for word in page.locator(".ep-sliders .widget-slider .widget-label").all():
            assert word.evaluate("word => getComputedStyle(word).fontSize") == "32px"
        check(page)

        for handle in page.locator(".ep-sliders [role=slider]").all():

            def at(handle: Locator = handle) -> float:
                return float(handle.get_attribute("aria-valuenow") or "nan")

            last = float(handle.get_attribute("aria-valuemax") or "nan")
            assert last > 0
            handle.press("Home")
            for position in range(round(last) + 1):
                # mypy does not type the default of a lambda
                until(page, at, lambda now, position=position: now == position)  # type: ignore[misc]
                check(page)
                handle.press("ArrowRight")


def test_a_value_that_is_cut_and_one_that_covers_another_are_noticed(browser: Browser, site: str) -> None:
    with opened(browser, site, WITH_SLIDERS[0], "light", 390) as (page, _):
        page.locator(".ep-sliders .widget-readout").first.evaluate("word => { word.style.maxWidth = '5px'; }")
        assert len(page.evaluate(CUT)) == 1
        page.locator(".ep-sliders .widget-readout").first.evaluate("word => { word.style.margin = '0 0 0 -40px'; }")
        assert page.evaluate(OVER) == 1
