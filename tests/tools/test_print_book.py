"""How the pages become one document: names that stay apart, links that stay inside, nothing that is folded."""

from __future__ import annotations

import print_book
import pytest
from bs4 import BeautifulSoup, Tag

PAGES = ["book/one.html", "book/api/two.html"]


def article(inside: str, page: str = "book/one.html", site: str = "") -> Tag:
    return print_book.article(f"<main><article><h1>A</h1>{inside}</article></main>", page, PAGES, site)


def test_two_places_of_one_name_have_two_in_the_document() -> None:
    one, two = (article('<p id="here"></p>', page) for page in PAGES)
    names = [str(each.p["id"]) for each in (one, two) if each.p]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("#here", print_book.anchor("book/one.html", "here")),
        ("api/two.html#there", print_book.anchor("book/api/two.html", "there")),
        ("api/two.html", print_book.anchor("book/api/two.html")),
    ],
)
def test_a_link_to_a_page_becomes_one_inside_the_document(address: str, place: str) -> None:
    found = article(f'<a href="{address}">x</a>').a
    assert found is not None
    assert found["href"] == f"#{place}"


def test_a_link_to_the_outside_stays_and_one_to_what_is_not_there_becomes_words() -> None:
    found = article('<a href="https://doi.org/10.1">x</a><a href="../search.html">y</a>').find_all("a")
    assert [each.get("href") for each in found] == ["https://doi.org/10.1", None]
    (there,) = article('<a href="../search.html">y</a>', site="https://x.example/b/").find_all("a")
    assert there["href"] == "https://x.example/b/search.html"


def test_what_is_folded_is_open_and_buttons_are_gone() -> None:
    found = article(
        '<details class="hide"><summary>Show the code</summary><pre>x = 1</pre></details>'
        "<details><summary>Answer</summary><p>Yes.</p></details><button>Copy</button>"
    )
    assert "Show the code" not in found.get_text()
    assert "x = 1" in found.get_text()
    (answer,) = found.find_all("details")
    assert "open" in answer.attrs
    assert found.button is None


def test_an_equation_is_given_back_to_mathjax() -> None:
    assert r"\(x\)" in article(r'<span class="math"><math data-tex="\(x\)"><mi>x</mi></math></span>').get_text()


def test_a_page_without_an_article_is_refused() -> None:
    with pytest.raises(print_book.BookError, match=r"book/one\.html must have an article"):
        print_book.article("<main></main>", "book/one.html", PAGES)


def test_the_link_to_the_book_is_put_where_its_place_is_and_once() -> None:
    page = "<nav><!-- pdf ../e-prop.pdf --><!-- /pdf --></nav>"
    once = print_book.offer(page, "(3 pages)")
    link = BeautifulSoup(once, "html.parser").a
    assert link is not None
    assert link["href"] == "../e-prop.pdf"
    assert print_book.offer(once, "(3 pages)") == once
    assert print_book.offer("<nav></nav>", "(3 pages)") == "<nav></nav>"
