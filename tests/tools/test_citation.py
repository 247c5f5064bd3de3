"""How to cite the book, made from CITATION.cff."""

import citation
import pytest
import yaml

ONE = {"title": "A book: on e-prop", "version": "1.0", "authors": [{"name": "the x_y authors"}]}
TWO = ONE | {
    "authors": [{"family-names": "Bell", "given-names": "Ann"}, {"name": "a team"}],
    "date-released": "2030-04-01",
    "doi": "10.1/x",
}


def test_as_a_sentence() -> None:
    assert citation.sentence(ONE) == "The x_y authors. A book: on e-prop. Version 1.0."
    words = "Bell, Ann; a team (2030). A book: on e-prop. Version 1.0. https://doi.org/10.1/x https://pages.example/"
    assert citation.sentence(TWO, "https://pages.example/") == words


def test_for_bibtex() -> None:
    assert citation.bibtex(ONE).splitlines() == [
        "@software{eprop_nb,",
        r"  author  = {{the x\_y authors}},",
        "  title   = {{A book: on e-prop}},",
        "  version = {1.0}",
        "}",
    ]
    text = citation.bibtex(TWO, "https://pages.example/a_b/")
    assert "  author  = {Bell, Ann and {a team}},\n" in text
    assert "  year    = {2030},\n  doi     = {10.1/x},\n  url     = {https://pages.example/a_b/}\n" in text


@pytest.mark.parametrize("address", ["", "https://pages.example/"])
def test_of_this_book_neither_has_a_gap(address: str) -> None:
    cff = yaml.safe_load(citation.FILE.read_text(encoding="utf-8"))
    for text in (citation.sentence(cff, address), citation.bibtex(cff, address)):
        assert cff["title"] in text
        assert str(cff["version"]) in text
        assert "None" not in text
        assert "{}" not in text
        assert address in text
