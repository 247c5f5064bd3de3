"""The PDF of the whole book, and chapters as a browser prints them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml
from browsing import HTML, ROOT, WITH_SLIDERS, missing, opened
from bs4 import BeautifulSoup
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


@pytest.mark.parametrize("name", [*WITH_SLIDERS[:2], "notation", "ledger"])
def test_a_printed_chapter_is_whole(browser: Browser, site: str, name: str) -> None:
    with opened(browser, site, name, "dark", 1280) as (page, troubles):
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 720, "height": 1000})
        page.wait_for_timeout(0)
        cut = page.evaluate(
            """() => [...document.querySelectorAll("article pre, article table, article svg.ep-figure")]
                .filter((each) => each.checkVisibility() && (each.scrollWidth > each.clientWidth + 1
                    || each.getBoundingClientRect().right > innerWidth + 1))
                .map((each) => each.tagName + " " + each.textContent.slice(0, 60))"""
        )
        assert cut == []
        for chrome in (".bd-sidebar-primary", ".header-article-items", "button.copybtn"):
            for part in page.locator(chrome).all():
                assert not part.is_visible()
        color = page.evaluate("getComputedStyle(document.body).color")
        assert max(map(int, re.findall(r"\d+", color)[:3])) < 128  # dark letters, though the screen was dark
        assert not troubles
