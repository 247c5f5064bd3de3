"""What is on a page fits its place, and what the ledger links to is there."""

from __future__ import annotations

import re

import pytest
from browsing import HTML, PAGES, WIDTHS, opened
from playwright.sync_api import Browser

# What is cut off, and by how many pixels: an element or one of the boxes around it scrolls sideways.
CUT_OFF = """where => [...document.querySelectorAll(where)]
  .filter(e => e.getClientRects().length)
  .flatMap(e => {
    for (let box = e, k = 0; box && k < 3; box = box.parentElement, k++)
      if (box.scrollWidth > box.clientWidth + 2 && getComputedStyle(box).overflowX !== "visible")
        return [`${box.scrollWidth - box.clientWidth} px: ${e.textContent.trim().slice(0, 80)}`];
    return [];
  })"""
PLACES = ("article div.cell_input pre", "article div.cell_output pre", "article table", "article div.math")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_code_outputs_tables_and_equations_fit(browser: Browser, site: str, name: str, width: int) -> None:
    with opened(browser, site, name, "light", width) as (page, _):
        cut = {place: found for place in PLACES if (found := page.evaluate(CUT_OFF, place))}
        assert cut == {}


def test_something_that_does_not_fit_is_noticed(browser: Browser, site: str) -> None:
    with opened(browser, site, "index", "light", 1280) as (page, _):
        page.evaluate("document.querySelector('article div.cell_input pre').style.whiteSpace = 'pre'")
        page.evaluate("document.querySelector('article div.cell_input pre').append('x'.repeat(200))")
        assert len(page.evaluate(CUT_OFF, PLACES[0])) == 1


def test_the_ledger_leads_to_the_cell_and_to_the_test_of_every_claim(site: str) -> None:
    assert site
    ledger = (HTML / "book" / "ledger.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(\w*(?:\.html)?)#((?:claim|test)-[\w-]+)"', ledger)
    assert len(links) > 30
    for target, anchor in links:
        text = (HTML / "book" / target).read_text(encoding="utf-8") if target else ledger
        assert f'id="{anchor}"' in text, f"{target}#{anchor}"
