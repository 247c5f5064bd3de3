"""The pages where no script runs, and while the scripts are on their way: nothing that they say is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser import PATIENCE, STILL
from browsing import PAGES, WIDTHS, WITH_SLIDERS, address_of, labels, until
from playwright.sync_api import Browser, Locator, Page, Route

LATE = re.compile(r"/(mathjax|html-manager)/[\w-]+\.js")  # what sets equations, and what makes sliders
FIRST = ".ep-first svg.ep-frame"


@contextmanager
def without_scripts(browser: Browser, address: str, width: int) -> Iterator[Page]:
    """Open a page in a browser that runs no scripts, on a system that is set to dark."""
    size = {"width": width, "height": 900}
    # a viewport is a mapping
    context = browser.new_context(java_script_enabled=False, viewport=size, color_scheme="dark")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def rows(view: Locator) -> list[str]:
    """Return the results in the table below sliders as the notebook words them: "duration 20 ms, …: result"."""
    names = view.locator("th").all_inner_texts()[:-1]
    found = []
    for row in view.locator("tbody tr").all():
        *values, result = row.locator("td").all_inner_texts()
        found.append(", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True)) + f": {result}")
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_without_scripts(browser: Browser, site: str, name: str, width: int) -> None:
    with without_scripts(browser, address_of(site, name), width) as page:
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"), "the page scrolls sideways"
        assert not re.search(r"\\[(\[]|\$\$", page.locator("body").inner_text())

        equations = page.locator("article .math").all()
        assert page.locator("article .math > math").count() == len(equations)
        shown = page.locator("article .math > math").evaluate_all(
            "all => all.filter((math) => !math.closest('details:not([open])'))"
            ".map((math) => math.getBoundingClientRect().height > 3)"
        )
        assert all(shown)

        links = page.locator(".bd-sidebar-primary a").all()
        assert len(links) >= len(PAGES) - 1
        assert all(link.is_visible() for link in links)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_sliders_leave_their_first_frame_and_all_results(browser: Browser, site: str, name: str, width: int) -> None:
    with without_scripts(browser, address_of(site, name), width) as page:
        views, known = page.locator(".ep-first").all(), labels(name)
        assert len(views) == len(known) > 0
        for view, table, frames in zip(views, page.locator(".ep-all").all(), known, strict=True):
            assert view.locator("svg.ep-frame").count() == 1
            box = view.locator("svg.ep-frame").bounding_box()
            assert box
            assert box["width"] > 300
            assert box["height"] > 100
            stands = ", ".join(view.locator(".ep-stand").all_inner_texts())
            assert view.locator("svg.ep-frame").get_attribute("aria-label") == stands
            assert "Without JavaScript" in view.inner_text()
            if view.locator("summary").count():  # the reader is to guess first
                assert table.get_attribute("open") is None
                view.locator("summary").click()
                table.locator("summary").click()
            first = view.locator(".ep-result")
            assert first.is_visible()
            assert f"{stands}: {first.inner_text()}" in frames
            assert rows(table) == frames
            assert all(cell.is_visible() for cell in table.locator("td").all())


@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_folded_code_opens_without_scripts(browser: Browser, site: str, name: str) -> None:
    with without_scripts(browser, address_of(site, name), 390) as page:
        folded = page.locator("details:has(> .cell_input)").first
        assert not folded.locator("pre").first.is_visible()
        folded.locator("summary").click()
        assert folded.locator("pre").first.is_visible()


def test_the_search_says_that_it_needs_scripts(browser: Browser, site: str) -> None:
    with without_scripts(browser, f"{site}search.html", 390) as page:
        assert "JavaScript" in page.locator("body").inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_a_page_can_be_read_while_its_scripts_load_and_its_sliders_move_nothing(
    browser: Browser, site: str, name: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    held: list[Route] = []
    context.route(LATE, lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks the function
    page = context.new_page()
    page.goto(address_of(site, name), wait_until="commit")
    until(page, lambda: len(held), lambda count: count == 2)
    page.add_style_tag(content=STILL)
    page.locator(".bd-footer, footer").first.wait_for(state="attached")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme

    views = page.locator(".cell_output:has(> .ep-first)")
    assert views.count() == len(labels(name))
    assert all(frame.is_visible() for frame in page.locator(FIRST).all())
    assert page.locator("article .math > math").count() == page.locator("article .math").count()
    assert "Without JavaScript" not in page.locator("body").inner_text()
    places = [view.element_handle() for view in views.all()]
    before = [place.evaluate("view => view.getBoundingClientRect().height") for place in places]

    for route in held:
        route.continue_()
    page.locator(".ep-first").last.wait_for(state="detached")
    until(page, page.locator(".ep-first").count, lambda count: count == 0)
    page.wait_for_function("window.MathJax?.startup?.promise?.then(() => true)")
    assert page.locator("article math[data-tex]").count() == 0
    after = [place.evaluate("view => view.getBoundingClientRect().height") for place in places]
    assert after == pytest.approx(before, abs=2)
    context.close()
