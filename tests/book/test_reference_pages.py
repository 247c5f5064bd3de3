"""The reference as built: nothing public is missing, and what leads from a page to another one arrives."""

from __future__ import annotations

import re
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import docstring_links
import equations
import nbformat
import pytest
from browsing import HTML, PAGES, ROOT, SCHEMES, WIDTHS, opened
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Locator

import eprop_nb as ep

CHAPTERS = [path.stem for path in sorted((ROOT / "book").glob("*.ipynb"))]
LOOKED_UP = ["equations", "glossary", "differences", *(name for name in PAGES if name.startswith("book/api/"))]


@cache
def built(name: str) -> BeautifulSoup:
    path = HTML / f"{name}.html" if "/" in name else HTML / "book" / f"{name}.html"
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def page_of(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def documented() -> dict[str, str]:
    """Return the Python names that the built pages have an entry for, with the page and the anchor of each."""
    head, body = (HTML / "objects.inv").read_bytes().split(b"zlib.\n", 1)
    assert head.startswith(b"# Sphinx inventory version 2")
    lines = re.findall(r"^(\S+) py:\w+ \S+ (\S+) ", zlib.decompress(body).decode(), flags=re.MULTILINE)
    return {name: address.replace("$", name) for name, address in lines}


def code_cells(chapter: str) -> list[str]:
    cells = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def test_no_public_name_is_missing(site: str) -> None:
    assert site
    names = documented()
    for module, name in (("eprop_nb", name) for name in ep.__all__):
        assert f"{module}.{name}" in names
    missing = sorted(docstring_links.public().keys() - names.keys())
    assert missing == []


def test_an_entry_has_its_signature_and_leads_to_its_source(site: str) -> None:
    assert site
    for name, value in docstring_links.public().items():
        path, _, anchor = documented()[name].partition("#")
        signature = page_of(HTML / path).find(id=anchor)
        assert isinstance(signature, Tag)
        assert name.rpartition(".")[2] in signature.get_text()
        if not callable(value):
            continue
        source = signature.select_one("a:has(> .viewcode-link)")
        assert source is not None, name
        module, _, place = str(source["href"]).partition("#")
        assert page_of(((HTML / path).parent / module).resolve()).find(id=place) is not None, name


@pytest.mark.parametrize("name", ["simulate", "Parameters", "compare", "previous_spikes", "adapt_feedback", "step"])
def test_reference_and_chapters_lead_to_one_another(site: str, name: str) -> None:
    assert site
    path, _, anchor = documented()[f"eprop_nb.{name}"].partition("#")
    entry = page_of(HTML / path).find(id=anchor)
    assert isinstance(entry, Tag)
    line = entry.find_parent("dl").select_one(":scope > dd > p.ep-uses")  # type: ignore[union-attr]  # it is in a list
    used = {Path(str(link["href"]).partition("#")[0]).stem for link in line.select("a")} if line else set()
    uses = {c for c in CHAPTERS if any(re.search(rf"\bep\.{name}\b", source) for source in code_cells(c))}
    assert used == uses
    for chapter in uses:
        links = built(chapter).select(f'.cell_input a.sphinx-codeautolink-a[href$="{anchor}"]')
        cells = [source for source in code_cells(chapter) if re.search(rf"\bep\.{name}\b", source)]
        assert len(links) == len(cells)
        assert {link.get_text() for link in links} == {f"ep.{name}"}


@pytest.mark.parametrize("name", LOOKED_UP)
def test_every_link_arrives(site: str, name: str) -> None:
    assert site
    path = HTML / f"{name}.html" if "/" in name else HTML / "book" / f"{name}.html"
    article = built(name).find("article")
    assert isinstance(article, Tag)
    links = [str(link["href"]) for link in article.select("a[href]")]
    assert links
    for link in links:
        assert not link.startswith(("http:", "https:")), link
        page, _, anchor = unquote(link).partition("#")
        target = (path.parent / page).resolve() if page else path
        assert target.is_file(), link
        assert not anchor or page_of(target).find(id=anchor) is not None, link


def test_the_index_leads_to_the_very_equation(site: str) -> None:
    assert site
    found = set()
    for link in built("equations").select('article a[href*="#eq-"]'):
        page, _, anchor = str(link["href"]).partition("#")
        equation = page_of(HTML / "book" / page).find(id=anchor)
        assert isinstance(equation, Tag)
        block = equation if "math" in equation.get_attribute_list("class") else equation.find_next(class_="math")
        assert isinstance(block, Tag)
        assert rf"\tag{{{anchor.removeprefix('eq-')}}}" in str(block.select_one("math")["data-tex"])  # type: ignore[index]  # there is one
        found.add((Path(page).stem, anchor.removeprefix("eq-")))
    tags = {
        (chapter, tag)
        for chapter in CHAPTERS
        for tag in re.findall(
            r"\\tag\{([^}]+)\}", (ROOT / "book" / f"{chapter}.ipynb").read_text().replace("\\\\", "\\")
        )
    }
    assert found == tags
    assert len(tags) > 30


def row(number: str) -> str:
    """Return what the index says of an equation of the paper."""
    for cells in (line.find_all("td") for line in built("equations").select("article tr")):
        if cells and cells[0].get_text().startswith(f"({number})"):
            return str(cells[1])
    raise AssertionError(f"({number}) is not in the index")


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("P1", ["learning_signals.html#eq-P1", "#eprop_nb.true_learning_signal", "ledger.html#test-identity"]),
        ("P6", ["simulation.html#eq-P6", "#eprop_nb.step", "#eprop_nb.evidence.oracles.simulate"]),
        ("P12", ["oracles.html#", "#eprop_nb.low_pass"]),
        ("P24", ["eligibility.html#eq-P24", "#eprop_nb.eligibility_traces", "ledger.html#test-memory"]),
        ("P28", ["#eprop_nb.fast.broadcast_gradients", "ledger.html#test-nest", "ledger.html#test-symmetric"]),
        ("S1", ["gradients.html#eq-S1", "ledger.html#test-split"]),
        ("P27", ["not in this book"]),
    ],
)
def test_a_row_of_the_index(site: str, number: str, parts: list[str]) -> None:
    assert site
    for part in parts:
        assert part in row(number)


def test_every_claim_about_an_equation_is_in_the_index(site: str) -> None:
    assert site
    source = (ROOT / "tests" / "test_claims.py").read_text(encoding="utf-8")
    names = set(re.findall(r'claim\(\s*"([\w-]+)",\s*statement=[^\n]*\s*equation="(?!—)', source))
    links = {str(link["href"]) for link in built("equations").select('article a[href*="#test-"]')}
    assert {f"ledger.html#test-{name}" for name in names} == links
    assert len(names) > 20


def shown_tip(term: Locator) -> Locator:
    return term.locator("xpath=following-sibling::*[1][@role='tooltip']")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_a_term_means_is_shown_on_the_page_and_goes_away(
    browser: Browser, site: str, scheme: str, width: int
) -> None:
    with opened(browser, site, "learning_signals", scheme, width) as (page, troubles):
        terms = page.locator("a.ep-term").all()
        assert len(terms) > 5
        for term in terms:
            tip = shown_tip(term)
            assert term.get_attribute("aria-describedby") == tip.get_attribute("id")
            assert not tip.is_visible()
            term.hover()
            assert tip.is_visible()
            box, below = tip.bounding_box(), term.bounding_box()
            assert box
            assert below
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert 0 <= box["y"] - (below["y"] + below["height"]) < 12
            tip.hover()  # it stays, so that one can read it
            assert tip.is_visible()
            page.keyboard.press("Escape")
            assert not tip.is_visible()
            page.mouse.move(0, 0)
        first = terms[0]
        page.keyboard.press("Tab")  # from here on the page takes the keyboard's word for where the focus is
        first.focus()
        assert shown_tip(first).is_visible()
        assert troubles == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_linked_code_looks_like_code_until_one_comes_to_it(browser: Browser, site: str, scheme: str) -> None:
    with opened(browser, site, "index", scheme, 1280) as (page, _):
        link = page.locator("a.sphinx-codeautolink-a:visible").first

        def style(name: str) -> Any:
            return link.evaluate(f"link => getComputedStyle(link).{name}")

        assert style("textDecorationLine") == "none"
        around = link.evaluate("link => getComputedStyle(link.parentElement).color")
        assert style("color") == around
        page.keyboard.press("Tab")
        link.focus()
        assert style("textDecorationLine") == "underline"


def test_the_tools_are_those_of_this_book() -> None:
    assert Path(str(sys.modules["equations"].__file__)).parent == ROOT / "tools"
    assert equations.CLAIMS.is_file()
