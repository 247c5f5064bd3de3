"""The search of the book, in a browser: the right section first, with the sentence that matches."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from browser import PATIENCE
from browsing import HTML
from playwright.sync_api import Browser


class Hit(NamedTuple):
    """What the search shows of a section."""

    title: str
    address: str
    sentence: str


def search(browser: Browser, start: str, words: str) -> tuple[str, list[Hit]]:
    """Search for some words; return what the page says of the result, and the hits in their order."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(start + "search.html")
    page.locator('#search-results, input[name="q"]').first.wait_for(state="attached")
    field = page.locator('.bd-search-container input[name="q"]')
    field.fill(words)
    field.press("Enter")
    page.locator("#search-results [role=status]").wait_for()
    hits = []
    for item in page.locator(".ep-hits > li").all():
        link = item.locator("a")
        sentence = item.locator("p").inner_text()
        hits.append(Hit(link.inner_text(), link.get_attribute("href") or "", sentence))
    status = page.locator("#search-results [role=status]").inner_text()
    context.close()
    assert troubles == []
    return status, hits


@pytest.mark.parametrize("words", ["closed form", "refractory period", "learning signal", "symmetric e-prop"])
def test_the_first_hit_has_the_words_in_its_title_and_its_sentence_too(browser: Browser, site: str, words: str) -> None:
    _, hits = search(browser, site, words)
    assert words in hits[0].title.lower()
    assert sum(words in hit.sentence.lower() for hit in hits[:3]) >= 2
    for hit in hits:
        assert ".ipynb" not in hit.sentence
        assert "Contents" not in hit.sentence
        assert len(hit.sentence) < 300


@pytest.mark.parametrize(
    "words", ["eprop_gradients", "ep.compare", "fast.broadcast_gradients", "VacuousComparisonError"]
)
def test_the_entry_of_a_name_in_the_reference_is_among_the_first_hits(browser: Browser, site: str, words: str) -> None:
    _, hits = search(browser, site, words)
    name = words.rpartition(".")[2]
    assert [hit for hit in hits[:3] if hit.address.startswith("book/api/") and hit.address.endswith(f".{name}")]


def test_a_hit_leads_to_a_section_that_is_there(browser: Browser, site: str) -> None:
    _, hits = search(browser, site, "eligibility trace")
    assert len(hits) > 5
    for hit in hits:
        page, _, anchor = hit.address.partition("#")
        assert f'id="{anchor}"' in (HTML / page).read_text(encoding="utf-8")


def test_the_search_works_in_a_folder_without_a_server(browser: Browser, site: str) -> None:
    assert site.startswith("http")  # the pages are built
    _, hits = search(browser, HTML.as_uri() + "/", "closed form")
    assert hits


def test_words_that_are_nowhere_and_markup_are_taken_as_they_are(browser: Browser, site: str) -> None:
    status, hits = search(browser, site, "<img src=x onerror=alert(1)> zzzyyyxxx")
    assert "No section" in status or hits
    status, hits = search(browser, site, "zzzyyyxxx")
    assert status.startswith("No section")
    assert hits == []


def test_every_section_of_every_page_can_be_found(site: str) -> None:
    assert site
    text = (HTML / "sections.js").read_text(encoding="utf-8")
    sections = json.loads(text.partition("=")[2].rstrip().rstrip(";"))
    pages = {section["page"] for section in sections}
    built = {path.relative_to(HTML).as_posix() for path in (HTML / "book").rglob("*.html")}
    assert built <= pages
    assert sum(len(section["sentences"]) for section in sections) > 1000
