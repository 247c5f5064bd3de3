"""The PDF of the whole book, and chapters as a browser prints them."""

from __future__ import annotations

import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml
from browsing import HTML, ROOT, WITH_SLIDERS, missing, opened
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser
from pypdf import PdfReader

PDF = HTML / "e-prop.pdf"


@pytest.fixture(scope="module")
def pdf() -> PdfReader:
    if not PDF.exists():
        missing("there is no PDF of the book: make pdf, where there is a Chromium")
    return PdfReader(PDF)


@pytest.fixture(scope="module")
def words(pdf: PdfReader) -> str:
    text = " ".join(" ".join(page.extract_text().split()) for page in pdf.pages)
    return unicodedata.normalize("NFKC", text)  # a ligature is two letters


def chapters() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(each["file"] for part in toc["parts"] for each in part["chapters"])]


def titles(name: str) -> list[str]:
    """Return the titles of a page and of its sections."""
    page = BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    for each in page.select("article .headerlink"):
        each.decompose()
    return [" ".join(each.get_text().split()) for each in page.select("article h1, article h2")]


def outline(entries: Iterable[Any]) -> Iterator[str]:
    """Yield the titles of an outline, which is made of destinations and of lists of them, to any depth."""
    for entry in entries:
        if isinstance(entry, list):
            yield from outline(entry)
        else:
            yield " ".join(str(entry.title).split())


def test_the_pdf_is_tagged_and_has_an_outline_of_all_chapters_and_sections(pdf: PdfReader) -> None:
    root: Any = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/StructTreeRoot"]
    assert root["/Lang"]
    found = set(outline(pdf.outline))
    for name in chapters():
        assert [title for title in titles(name) if title not in found] == [], name


def test_the_text_of_each_chapter_is_there_and_nothing_that_only_a_screen_needs(words: str) -> None:
    for name in chapters():
        assert titles(name)[0] in words, name
    assert "Show the code" not in words
    assert r"\(" not in words.replace(r"\(\)", "")
    assert "The results at every position" in words  # of the sliders


def alternatives(pdf: PdfReader) -> Counter[str]:
    """Count the text alternatives of the pictures: figures, frames of sliders, equations."""
    found: Counter[str] = Counter()
    waiting: list[Any] = [pdf.root_object["/StructTreeRoot"]]
    while waiting:
        element = waiting.pop().get_object()
        if isinstance(element, list):
            waiting += element
        elif isinstance(element, dict):
            if "/Alt" in element:
                found[" ".join(str(element["/Alt"]).split())] += 1
            waiting += [element["/K"]] if "/K" in element else []
    return found


def test_no_figure_and_no_equation_is_lost(pdf: PdfReader) -> None:
    found, equations = alternatives(pdf), 0
    for name in chapters():
        article = BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf-8"), "html.parser").find("article")
        assert isinstance(article, Tag)
        for figure in article.select("svg[role=img]"):
            assert " ".join(str(figure["aria-label"]).split()) in found, name
        for equation in article.select("math[data-tex]"):
            tex = str(equation["data-tex"]).strip()[2:-2]
            assert " ".join(tex.split()) in found, (name, tex)
            equations += 1
    assert equations > 500


def test_links_lead_to_places_of_the_document(pdf: PdfReader) -> None:
    known, inside = set(pdf.named_destinations), 0
    for page in pdf.pages:
        for each in page.get("/Annots", []):
            annotation = each.get_object()
            target = annotation.get("/Dest") or annotation.get("/A", {}).get("/D")
            if isinstance(target, str):
                assert target in known or target.lstrip("/") in {name.lstrip("/") for name in known}
                inside += 1
    assert inside > 200


def test_the_pages_lead_to_the_pdf(pdf: PdfReader) -> None:
    assert len(pdf.pages) > 100
    for name in ("book/index", "book/api/fast"):
        link = BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf-8"), "html.parser").select_one(".ep-pdf a")
        assert link is not None
        assert (HTML / f"{name}.html").parent.joinpath(str(link["href"])).resolve() == PDF.resolve()


# What of a printed page lies beyond the column, or is cut where it would have to be scrolled for.
CUT = """() => [...document.querySelectorAll("article :is(p, li, pre, table, svg.ep-figure, mjx-container > svg)")]
  .filter((each) => each.checkVisibility() && (each.getBoundingClientRect().right > innerWidth + 1
    || (each.localName !== "svg" && each.scrollWidth > each.clientWidth + 1)))
  .map((each) => each.localName + ": " + each.textContent.trim().slice(0, 60))"""
FOLDED = (
    """() => [...document.querySelectorAll("article :is(details:not([open]):not(.ep-all), .toggle-hidden)")].length"""
)
SCREEN = (
    ".bd-sidebar-primary, .bd-sidebar-secondary, .header-article, .prev-next-area, button, .headerlink, .noUi-handle"
)


@pytest.mark.parametrize("name", [*WITH_SLIDERS, "index", "notation", "ledger", "book/api/parameters"])
def test_a_printed_chapter_is_whole(browser: Browser, site: str, name: str) -> None:
    with opened(browser, site, name, "dark", 1280) as (page, troubles):
        folded = page.evaluate(FOLDED)
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 680, "height": 1000})  # A4 without the margins that browsers have
        page.wait_for_function("document.documentElement.dataset.theme === 'light'")
        assert page.evaluate(CUT) == []
        assert page.evaluate(FOLDED) == 0
        assert page.locator(SCREEN).filter(visible=True).all_text_contents() == []
        assert page.locator("article h1").first.is_visible()
        if name in WITH_SLIDERS:  # they show what the reader has chosen, and its result
            assert page.locator(".ep-sliders .ep-frame").filter(visible=True).count() >= 1
            for value in page.locator(".ep-sliders .widget-readout").all():
                assert value.is_visible()
        page.emulate_media(media="screen")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        assert page.evaluate(FOLDED) == folded
        assert not troubles


def test_a_chapter_comes_out_of_the_printer_light_and_unfolded(browser: Browser, site: str) -> None:
    with opened(browser, site, "parameters", "dark", 1280) as (page, troubles):
        printed = PdfReader(io.BytesIO(page.pdf(format="A4", print_background=True)))
        text = unicodedata.normalize("NFKC", " ".join(each.extract_text() for each in printed.pages))
        assert "from eprop_nb.display import" in text  # in a folded cell
        assert "half-life" in text  # in a folded answer
        assert "Show the code" not in text
        assert not troubles
