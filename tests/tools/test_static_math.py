"""Equations as MathML: what they say is there, what MathJax needs is kept, and what has no MathML is reported."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest
import static_math

BOOK = Path(__file__).parent.parent.parent / "book"
SCRIPTS = {"msub": 1, "msup": 1, "msubsup": 2, "munder": 1, "munderover": 2}  # indices and exponents of an element
# As Sphinx and MyST write them: in a line, on a line of its own, with a label, and with an environment of amsmath.
SHAPES = [
    '<span class="math notranslate nohighlight">\\({}\\)</span>',
    '<div class="math notranslate nohighlight">\n\\[{}\\]</div>',
    '<div class="math notranslate nohighlight" id="e">\n<span class="eqno">(1)<a href="#e">#</a></span>\\[{}\\]</div>',
    '<div class="amsmath math notranslate nohighlight">\n\\[{}\\]</div>',
]


def read(tex: str, *, block: bool = True) -> ElementTree.Element:
    return ElementTree.fromstring(static_math.mathml(tex, block=block))  # noqa: S314  # made here, a moment ago


def said(tex: str) -> str:
    """Return the letters of an equation, without its gaps."""
    return re.sub(r"\s", "", "".join(read(tex).itertext()))


@pytest.mark.parametrize(
    ("tex", "letters"),
    [
        (r"e_{ij}(t) = \psi_j(t)\, \bigl(\epsilon_{v,ij}(t) - \beta_j\bigr)", "eij(t)=ψj(t)(ϵv,ij(t)−βj)"),
        (r"\begin{equation*}\begin{aligned} a &= b \\ & + c \end{aligned}\end{equation*}", "a=b+c"),
        (r"\begin{gathered} a, \qquad b \\ c \end{gathered}", "a,bc"),
        (r"\begin{pmatrix} \alpha & 0 \\ \psi & \rho \end{pmatrix}", "(α0ψρ)"),
        (r"a < b \text{ and } c", "a<bandc"),
        (r"\operatorname{sign} \mathrm{d}x \underbrace{y}_{z} \bar e \hat\epsilon \lvert u \rvert", "signdxy⏟ze¯ϵ^|u|"),
    ],
)
def test_an_equation_keeps_its_letters_in_their_order(tex: str, letters: str) -> None:
    assert said(tex) == letters


def test_lines_stand_below_one_another_and_are_aligned() -> None:
    table = read(r"\begin{aligned} a &= b \\ & + c \\ d &= f \end{aligned}").find(".//mtable")
    assert table is not None
    rows = table.findall("mtr")
    assert [[cell.get("columnalign") for cell in row.findall("mtd")] for row in rows] == [["right", "left"]] * 3


def test_a_tag_stands_behind_its_equation() -> None:
    last = [each.text for each in read(r"\begin{equation*} a = b \tag{4.a} \end{equation*}").iter("mtext")]
    assert last == ["(4.a)"]
    assert said(r"a = b \tag{P22}") == "a=b(P22)"


@pytest.mark.parametrize("block", [True, False])
def test_an_equation_knows_whether_it_stands_in_a_line(block: bool) -> None:
    assert read("a", block=block).get("display") == ("block" if block else "inline")


@pytest.mark.parametrize(
    "tex",
    [
        r"\unheardof x",
        r"\frac{a}{",
        r"a & b",
        r"a \\ b",
        r"\begin{unheardof} a \end{unheardof}",
        r"\begin{gather} a \\ b \end{gather}",
    ],
)
def test_what_the_converter_does_not_know_is_not_passed_on(tex: str) -> None:
    with pytest.raises(static_math.NotConvertedError) as caught:
        static_math.mathml(tex, block=True)
    assert str(caught.value) == tex


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tex", [r"x_{ij} < 1 \text{ and } y > 'z'", r'\text{"quoted"}'])
def test_mathjax_gets_its_source_back_letter_by_letter(shape: str, tex: str) -> None:
    before = shape.format(html.escape(tex, quote=False))
    after, failed = static_math.with_mathml(f"<p>{before}</p><p>{before}</p>")
    assert failed == []
    # what book pages do when MathJax has come: each <math> is replaced by its data-tex
    given_back = re.sub(r'<math data-tex="([^"]*)".*?</math>', lambda m: m[1].replace("&quot;", '"'), after)
    assert given_back == f"<p>{before}</p><p>{before}</p>"
    assert after.count("<math ") == 2


def test_an_equation_without_mathml_stays_and_is_named() -> None:
    good, bad = (SHAPES[0].format(tex) for tex in ("a", r"\unheardof"))
    after, failed = static_math.with_mathml(good + bad)
    assert failed == [r"\unheardof"]
    assert after.endswith(bad)
    assert after.startswith('<span class="math notranslate nohighlight"><math data-tex="\\(a\\)"')


def test_code_that_looks_like_an_equation_is_left_alone() -> None:
    code = '<pre><span class="s">\\(a\\)</span></pre><code class="docutils">\\[b\\]</code>'
    assert static_math.with_mathml(code) == (code, [])


def equations() -> list[Any]:
    """Return the displayed equations of the chapters, each once."""
    found = {}
    for path in sorted(BOOK.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                for match in re.finditer(
                    r"\$\$(.+?)\$\$|(\\begin\{equation\*?\}.+?\\end\{equation\*?\})", cell.source, re.S
                ):
                    found.setdefault((match[1] or match[2]).strip(), path.stem)
    return [pytest.param(tex, id=f"{name}-{k}") for k, (tex, name) in enumerate(found.items())]


@pytest.mark.parametrize("tex", equations())
def test_every_index_and_every_row_of_the_book_is_there(tex: str) -> None:
    root = read(tex)
    scripts = sum(len(list(root.iter(name))) * size for name, size in SCRIPTS.items())
    assert scripts == len(re.findall(r"[_^]", tex)) + tex.count("'")
    fractions = len(re.findall(r"\\t?frac", tex))
    assert len(list(root.iter("mfrac"))) == fractions
    lines = len(re.findall(r"\\\\", tex)) + len(re.findall(r"\\begin\{(?:aligned|gathered|pmatrix)\}", tex))
    assert len(list(root.iter("mtr"))) == lines
