"""What a term means stands behind its link, for eyes and for ears."""

from __future__ import annotations

from types import SimpleNamespace

import terms
from docutils import nodes
from sphinx import addnodes

LINK = '<a class="reference internal" href="{}#term-near-miss"><span class="xref std std-term">near-misses</span></a>'
KNOWN = {"term-near-miss": 'A "step" <b>.'}


def test_a_link_to_the_glossary_is_described_by_what_the_term_means() -> None:
    link = LINK.format("glossary.html")
    page = terms.explained(f"<p>{link} and {link}</p>", KNOWN)
    for number in (1, 2):
        assert page.count(f'aria-describedby="ep-tip-{number}"') == page.count(f'id="ep-tip-{number}"') == 1
    assert page.count('class="reference internal ep-term"') == 2
    assert page.count("A &quot;step&quot; &lt;b&gt;.</span>") == 2


def test_other_links_are_left_alone() -> None:
    for page in (LINK.format("notation.html"), LINK.format(""), LINK.format("glossary.html").replace("near", "far")):
        assert terms.explained(page, KNOWN) == page


def test_of_a_definition_the_first_sentence_is_kept() -> None:
    definition = nodes.definition("", nodes.paragraph("", "A step, e.g. this\none. See more. "))
    names = [nodes.term("", "near-miss", ids=["term-near-miss"]), nodes.term("", "miss", ids=["term-miss"])]
    entry = nodes.definition_list_item("", *names, definition)
    document = nodes.document(None, None)
    document += addnodes.glossary("", nodes.definition_list("", entry))
    env = SimpleNamespace()
    document.settings = SimpleNamespace(env=env)
    terms.collect(None, document)  # type: ignore[arg-type]  # the application is not asked
    assert terms.meanings(env) == dict.fromkeys(("term-near-miss", "term-miss"), "A step, e.g. this one.")  # type: ignore[arg-type]  # nor is the environment
