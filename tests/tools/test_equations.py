"""The index of equations: what it reads out of tags, docstrings and claims, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import equations
import pytest
from docutils import nodes
from sphinx.errors import ExtensionError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(P1), (P3)", ["P1", "P3"]),
        ("(P13), (P14), (P22) to (P25)", ["P13", "P14", "P22", "P23", "P24", "P25"]),
        ("(S1), (P3)", ["S1", "P3"]),
        ("(6) to (8)", ["P6", "P7", "P8"]),
        ("—", []),
    ],
)
def test_the_numbers_of_a_list(text: str, found: list[str]) -> None:
    assert equations.numbers(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Bellec et al. (2020), equation (4), for a loss of half the sum.", ["P4"]),
        (
            "Bellec et al. (2020), equations (22) to (25), and (13) and (14) for any\nmodel.",
            ["P22", "P23", "P24", "P25", "P13", "P14"],
        ),
        ("Bellec et al. (2020), equations (3), (6) to (8), (24) and (25)", ["P3", "P6", "P7", "P8", "P24", "P25"]),
        ("Bellec et al. (2020), supplement, equations (5) to (7).", ["S5", "S6", "S7"]),
        (
            "Bellec et al. (2020), equation (28); with B the gradient of the supplement's\nequation (17).",
            ["P28", "S17"],
        ),
        # what is compared with, and what another paragraph speaks of, is not what the function is about
        ("Bellec et al. (2020), equation (22). A simplification, (26), leaves out a term.", ["P22"]),
        ("It has the form of equation (3).\n\nBellec et al. (2020), supplement, equation (18).", ["S18"]),
        ("The sum of (1) and (2).", []),
        ('Bellec et al. (2020), Methods, "Gradient descent for RSNNs".', ["Methods"]),
        ("Bellec et al. (2020), supplement, Note 2: the weights decay.", ["S Note 2"]),
    ],
)
def test_the_equations_of_a_docstring(text: str, found: list[str]) -> None:
    assert equations.of_docstring(text) == found


def test_the_claims_in_the_source_of_their_tests() -> None:
    source = (
        '@pytest.mark.claim("it", statement="so", equation="(P1), (S1)", chapter="c", at_most=1.0)\ndef test(): ...'
    )
    assert list(equations.claims(source)) == [("it", "(P1), (S1)")]


def test_every_equation_of_the_paper_is_listed_once() -> None:
    listed = [n for key in equations.PAPER for n in equations.numbers(" to ".join(f"({p})" for p in key.split(" to ")))]
    assert [number for number in listed if number[0] == "P"] == [f"P{n}" for n in range(1, 38)]
    assert len(set(listed)) == len(listed)


def test_a_number_that_is_not_listed_is_refused() -> None:
    assert equations.key_of("P17") == "P15 to P21"
    with pytest.raises(ExtensionError, match="P38 must be listed"):
        equations.key_of("P38")


def page(name: str, *blocks: nodes.Node, suffix: str = ".ipynb") -> nodes.document:
    document = nodes.document(None, None)
    document += nodes.section("", *blocks, ids=["top"])
    env = SimpleNamespace(docname=name, doc2path=lambda name: name + suffix, ep_equations={}, titles={})
    document.settings = SimpleNamespace(env=env)
    return document


def formula(tag: str) -> nodes.math_block:
    return nodes.math_block("", rf"a = b \tag{{{tag}}}")


def collected(document: nodes.document) -> Any:
    equations.collect(None, document)  # type: ignore[arg-type]  # the application is not asked
    return document.settings.env


def test_an_equation_with_a_number_gets_an_anchor_the_first_of_a_page() -> None:
    document = page("book/one", formula("P1"), formula("4.a"), formula("P1"), nodes.math_block("", "a = b"))
    collected(document)
    assert [block["ids"] for block in document.findall(nodes.math_block)] == [["eq-P1"], ["eq-4.a"], [], []]


def test_the_index_leads_to_equation_function_and_claim_and_says_what_is_not_there() -> None:
    inner = nodes.section("", nodes.paragraph("", "as in (P12) and (P15) to (P17)"), ids=["inner"])
    env = collected(page("book/one", formula("P1"), inner))
    env.titles["book/one"] = nodes.title("", "One")

    def function() -> None:
        """Bellec et al. (2020), equation (1)."""

    source = 'pytest.mark.claim("my-claim", statement="so", equation="(P1)", chapter="one", at_most=1.0)'
    text = equations.index(env, ["book/none", "book/one"], {"eprop_nb.it": function}, source)
    rows = {line.split(" ")[1]: line for line in text.splitlines() if line.startswith("| (")}
    for part in (
        'Equation: <a href="one.html#eq-P1">One</a>',
        "Function: {py:obj}`it <eprop_nb.it>`",
        'Claim: <a href="ledger.html#test-my-claim">my claim</a>',
    ):
        assert part in rows["(P1)"]
    assert 'Mentioned: <a href="one.html#inner">One</a>' in rows["(P12)"]
    assert 'Mentioned: <a href="one.html#inner">One</a>' in rows["(P15)"]
    assert "not in this book" in rows["(P5)"]
    assert "not in this book" not in rows["(P1)"]


def test_a_page_that_is_no_chapter_mentions_nothing() -> None:
    env = collected(page("book/one", nodes.paragraph("", "(P12)"), suffix=".md"))
    assert env.ep_equations == {"book/one": ({}, {})}
