"""The pages for those who read by other means: all that axe finds, and the way through a page by keyboard."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import OF_SPHINX, PAGES, SCHEMES, opened
from playwright.sync_api import Browser, Page

LOOKS = tuple(zip(SCHEMES, (1280, 390), strict=True))  # colours belong to a scheme, what is there to a width

# What has the focus: its name, whether it can be seen where it is, and how it looks, so that a change shows.
FOCUSED = """() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const box = at.getBoundingClientRect();
  const style = (each) => { const s = getComputedStyle(each);
    return [s.outlineStyle === "none" ? "" : s.outlineWidth + s.outlineColor, s.boxShadow, s.borderColor,
            s.textDecorationLine, s.textDecorationThickness, s.backgroundColor, s.color].join("|"); };
  const focused = style(at);
  at.blur();
  const plain = style(at);
  at.focus();
  return {
    name: (at.getAttribute("aria-label") || at.title || at.textContent || at.id).trim().slice(0, 60),
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    marked: focused !== plain,
  };
}"""


def found(page: Page) -> list[tuple[str, str, list[object]]]:
    """Return all that axe objects to."""
    violations = Axe().run(page).response["violations"]
    return [(each["id"], each["impact"], [node["target"] for node in each["nodes"]][:3]) for each in violations]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("name", [*PAGES, *OF_SPHINX])
def test_axe_finds_nothing(browser: Browser, site: str, name: str, scheme: str, width: int) -> None:
    with opened(browser, site, name, scheme, width) as (page, _):
        assert found(page) == []


def test_what_is_only_moderate_or_minor_is_found_too(browser: Browser, site: str) -> None:
    with opened(browser, site, "notation", "light", 1280) as (page, _):
        page.evaluate(
            """document.querySelector("article section").insertAdjacentHTML("beforeend",
                "<h6>A heading far below</h6><table><tr><th></th><td>1</td></tr></table>")"""
        )
        assert {(name, impact) for name, impact, _ in found(page)} == {
            ("heading-order", "moderate"),
            ("empty-table-header", "minor"),
        }


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["index", "simulation", "glossary", "book/api/gradients"])
def test_the_focus_can_be_seen_at_every_stop(browser: Browser, site: str, name: str, scheme: str) -> None:
    with opened(browser, site, name, scheme, 1280) as (page, _):
        stops = []
        for _ in range(400):
            page.keyboard.press("Tab")
            stop = page.evaluate(FOCUSED)
            if stop is None:
                break
            stops.append(stop)
        assert len(stops) > 30
        assert stops[0]["name"] == "Skip to main content"
        lost = [(stop["name"], stop["seen"], stop["marked"]) for stop in stops if not (stop["seen"] and stop["marked"])]
        print(lost)
        assert lost == []


def test_the_skip_link_leads_to_the_text(browser: Browser, site: str) -> None:
    with opened(browser, site, "simulation", "light", 1280) as (page, _):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
