"""Figures in the page: in its colours, with their text alternative, and with no name that another figure has."""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from docutils import nodes
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eprop_nb.display import plots, themes

LABEL = 'A line that rises, and "1 < 2" in quotes.'
# The backgrounds of a page, as its theme has them: pydata-sphinx-theme, --pst-color-background.
WHITE, DARK = "#ffffff", "#14181e"


def load() -> ModuleType:
    path = Path(__file__).parent.parent.parent / "tools" / "inline_figures.py"
    spec = importlib.util.spec_from_file_location("inline_figures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


inline_figures = load()


def drawn(draw: Any) -> str:
    """Return what matplotlib writes for what `draw` draws, in the style of the book."""
    with mpl.rc_context():
        plots.use_style()
        figure = Figure()
        draw(figure.subplots())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def all_colors(ax: Axes) -> None:
    for color, (name, _) in themes.COLORS.items():
        ax.plot([0, 1], [0, 1], "o-", color=color, mfc="white", label=name)
    ax.legend()
    ax.set(title="All colours", xlabel="x (ms)")
    ax.text(0.5, 0.5, "words", color=plots.LIF)


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314  # drawn here, a moment ago


def shown(text: str, prefix: str = "a-", label: str = LABEL) -> ElementTree.Element:
    return parsed(inline_figures.inline(text, label, prefix))


def test_a_figure_has_its_text_alternative_and_keeps_its_shape() -> None:
    root = shown(drawn(all_colors))
    assert root.tag == "svg"
    assert root.attrib == {"class": "ep-figure", "role": "img", "viewBox": "0 0 302.4 187.2", "aria-label": LABEL}
    assert {"metadata", "style", "title"}.isdisjoint(element.tag for element in root.iter())
    assert "All colours" in [text.text for text in root.iter("text")]


def test_a_figure_without_a_text_alternative_is_not_given_one() -> None:
    assert "aria-label" not in shown(drawn(all_colors), label="").attrib


def test_every_color_follows_the_theme_and_nothing_is_white() -> None:
    text = inline_figures.inline(drawn(all_colors), LABEL, "a-")
    assert not re.search(r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|black|white", re.sub(r"#a-\w+", "", text))
    for name, _ in themes.COLORS.values():
        assert ("currentColor" if name == "text" else f"var(--ep-{name})") in text
        assert f"--ep-{name}:" in themes.VARIABLES
    assert "var(--ep-page)" in text  # the insides of the markers


def test_the_backgrounds_are_gone_and_no_more_than_they() -> None:
    before, after = parsed(drawn(all_colors)), shown(drawn(all_colors))
    paths = [sum(element.tag.endswith("path") for element in root.iter()) for root in (before, after)]
    assert paths[0] - paths[1] == 2  # that of the figure, and that of its axes


def test_no_letter_has_a_font_of_its_own() -> None:
    text = inline_figures.inline(drawn(all_colors), LABEL, "a-")
    assert "font-family" not in text
    assert "font-size:9.5px" in text


def test_two_figures_of_a_page_share_no_name_and_every_reference_is_to_a_name() -> None:
    one, two = (shown(drawn(all_colors), prefix) for prefix in ("a-", "b-"))
    names = [{element.get("id") for element in root.iter() if element.get("id")} for root in (one, two)]
    assert names[0]
    assert names[0].isdisjoint(names[1])
    for root, known in zip((one, two), names, strict=True):
        assert set(re.findall(r"#([ab]-\w+)", ElementTree.tostring(root, encoding="unicode"))) == known


def test_a_heat_map_stays_a_picture_with_bare_cells_at_0() -> None:
    cells = np.array([[-1.0, 0.0, 1.0]])
    text = drawn(lambda ax: ax.imshow(cells, cmap=plots.DIVERGING, vmin=-1, vmax=1))
    (image,) = shown(text).iter("image")
    assert image.get("href", "").startswith("data:image/png;base64,")
    assert (image.get("width"), image.get("height")) == ("3", "1")  # a pixel for each cell: the page draws them sharp
    assert plots.DIVERGING(0.5)[3] == 0.0


def test_a_color_that_no_theme_knows_is_refused() -> None:
    with pytest.raises(inline_figures.UnknownColorError, match="#123456"):
        shown(drawn(lambda ax: ax.plot([0, 1], color="#123456")))


class App:
    """As much of a Sphinx application as the extension asks for."""

    def __init__(self, folder: Path) -> None:
        self.srcdir = folder
        self.builder = type("Builder", (), {"format": "html"})


def test_only_what_a_cell_has_drawn_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "figure.svg").write_text(drawn(all_colors), encoding="utf-8")
    output = nodes.container("", nodes.image(uri="/figure.svg", alt=LABEL), nb_element="cell_code_output")
    output += nodes.image(uri="/photograph.png", alt="A photograph")
    logo = nodes.paragraph("", "", nodes.image(uri="/figure.svg", alt="A logo"))
    document = nodes.document(None, None, "", output, logo)
    inline_figures.replace(App(tmp_path), document, "chapter")
    assert [image["alt"] for image in document.findall(nodes.image)] == ["A photograph", "A logo"]
    (figure,) = document.findall(nodes.raw)
    assert figure.astext().startswith('<svg class="ep-figure"')


def luminance(color: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    parts = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", [color for color in themes.COLORS if color != plots.TEXT])
def test_every_color_stands_out_from_both_pages(color: str) -> None:
    assert contrast(color, WHITE) >= 3
    assert contrast(themes.COLORS[color][1], DARK) >= 3
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
