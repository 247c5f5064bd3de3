"""The two drawings: colours that a page knows, text that can be read and that nothing lies over."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.text import Annotation, Text

from eprop_nb.display import plots, schematic

DRAWINGS: dict[str, tuple[Callable[[Axes], None], float]] = {
    "network": (schematic.network, schematic.NETWORK_HEIGHT),
    "network with feedback": (lambda ax: schematic.network(ax, feedback=True), schematic.NETWORK_HEIGHT),
    "unrolled": (schematic.unrolled, schematic.UNROLLED_HEIGHT),
    "unrolled, the trace": (lambda ax: schematic.unrolled(ax, highlight=["trace"]), schematic.UNROLLED_HEIGHT),
}


def drawn(name: str) -> Axes:
    draw, height = DRAWINGS[name]
    with mpl.rc_context():
        plots.use_style()
        figure, ax = plt.subplots(figsize=(plots.WIDTH, height))
        draw(ax)
        figure.draw_without_rendering()
    plt.close(figure)
    return ax


def words(ax: Axes) -> list[Text]:
    return [text for text in ax.texts if text.get_text() and not isinstance(text, Annotation)]


def arrows(ax: Axes) -> list[str]:
    found = [text.arrow_patch for text in ax.texts if isinstance(text, Annotation)]
    return [to_hex(patch.get_edgecolor()) for patch in found if patch is not None]


@pytest.mark.parametrize("name", DRAWINGS)
def test_text_is_large_and_nothing_lies_over_it(name: str) -> None:
    ax = drawn(name)
    page = ax.figure.bbox
    boxes = {text.get_text() + str(text.get_position()): text.get_window_extent() for text in words(ax)}
    assert min(float(text.get_fontsize()) for text in words(ax)) >= 9.5
    for one, other in combinations(boxes, 2):
        assert not boxes[one].overlaps(boxes[other]), (one, other)
    for what, box in boxes.items():
        assert page.x0 <= box.x0, what
        assert box.x1 <= page.x1, what
        assert page.y0 <= box.y0, what
        assert box.y1 <= page.y1, what


@pytest.mark.parametrize("name", DRAWINGS)
def test_one_unit_is_one_point(name: str) -> None:
    ax = drawn(name)
    (x0, y0), (x1, y1) = ax.transData.transform([(0, 0), (1, 1)])
    assert x1 - x0 == pytest.approx(ax.figure.dpi / 72, rel=0.05)  # the layout leaves a little room at the border
    assert y1 - y0 == pytest.approx(x1 - x0)


@pytest.mark.parametrize("name", DRAWINGS)
def test_all_colours_are_colours_of_the_book(name: str) -> None:
    ax = drawn(name)
    known = {plots.TEXT, plots.INPUT, plots.LIF, plots.ALIF, plots.SIGNAL, plots.TRACE}
    used = {to_hex(text.get_color()) for text in words(ax)} | set(arrows(ax))
    used |= {to_hex(line.get_color()) for line in ax.lines}
    for patch in ax.patches:
        assert isinstance(patch, Circle | FancyBboxPatch) or not patch.get_fill()
        used |= {to_hex(patch.get_edgecolor())} if patch.get_edgecolor()[-1] else set()
        used |= {to_hex(patch.get_facecolor())} if patch.get_fill() else set()
    assert used <= known


def test_the_graph_has_the_arrows_of_the_model() -> None:
    # 3 steps: W·pre → v, v → z, b → z, and 2 each of v → v, b → b, own → b: of the trace. Of the signal: to the
    # readout and to the others from 3 steps, 2 resets, and from the 4 groups of others to the readout.
    found = arrows(drawn("unrolled"))
    assert found.count(plots.TRACE) == 3 * 3 + 3 * 2
    assert found.count(plots.SIGNAL) == 2 * 3 + 2 + 4
    assert len(found) == 27


def test_what_is_not_highlighted_is_grey() -> None:
    found = arrows(drawn("unrolled, the trace"))
    assert found.count(plots.TRACE) == 15
    assert found.count(plots.INPUT) == 12


def test_feedback_is_there_when_asked_for() -> None:
    plain, with_feedback = drawn("network"), drawn("network with feedback")
    assert plots.SIGNAL not in arrows(plain)
    assert plots.SIGNAL in arrows(with_feedback)
    assert len(words(with_feedback)) == len(words(plain)) + 1


def test_an_unknown_highlight_is_refused() -> None:
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="trace"):
        schematic.unrolled(ax, highlight=["reset"])
    with pytest.raises(ValueError, match="trace"):
        schematic.unrolled(ax, highlight="trace")  # letters, not words
    plt.close()
