"""The frames of sliders as markup: what is drawn, and what is refused with the name of the argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers import says

from eprop_nb.display import plots, svg, themes

NAN = float("nan")


def panel(**options: Any) -> svg.Panel:
    return svg.Panel((0, 10), (0, 1), **options)


def markup(*rows: svg.Panel | list[svg.Panel]) -> str:
    frame = svg.figure(rows, result="what is to be seen").html("x 1")
    return frame.partition("</svg>")[0] + "</svg>"


def test_a_frame_is_sound_markup_whatever_it_is_called() -> None:
    bad = '<&">'
    drawn = panel(title=bad, x_label=bad, y_label=bad, y_ticks=[bad]).line([0, 10], [0, 1], name=bad).text(1, 0, bad)
    root = ElementTree.fromstring(markup(drawn))  # noqa: S314  # made here
    assert sum("".join(text.itertext()).count(bad) for text in root.iter("text")) == 6


def test_every_color_of_the_book_can_be_drawn_and_its_class_has_a_variable() -> None:
    for color, (name, _) in themes.COLORS.items():
        assert f'class="{name}"' in markup(panel().line([0, 10], [0, 1], color))
        assert f".ep-frame .{name}{{color:var(--ep-{name})}}" in svg.STYLE
        assert themes.VARIABLES.count(f"--ep-{name}:") == 2  # light and dark


def test_a_line_is_drawn_from_point_to_point_and_clipped_at_the_border() -> None:
    (path,) = re.findall(
        r'<path class="lif" d="M(\d+) (\d+)l([^"]*)"', markup(panel().line([0, 10], [0, 5], plots.LIF))
    )
    left, bottom, steps = int(path[0]), int(path[1]), path[2]
    across, up = map(int, re.findall(r"-?\d+", steps))
    assert (left + across, bottom + up) == (svg.WIDTH - svg.EDGE, bottom - 900)


def test_a_heat_map_is_symmetric_about_zero_and_bare_at_zero() -> None:
    drawn = markup(svg.Panel((0, 3), (0, 1)).heat([[-2.0, 0.0, 2.0]]))
    cells = re.findall(r'<path class="fill (plus|minus)" opacity="1" d="(M[^"]*)"', drawn)
    assert [sign for sign, _ in cells[:2]] == ["minus", "plus"]
    assert 'opacity="0"' not in drawn
    assert "−2</text>" in drawn


def shades(values: list[float], **options: Any) -> list[tuple[str, float]]:
    """Return sign and strength of each cell that is not bare, without those of the key."""
    heat = svg.Panel((0, 1), (0, 1), x_ticks=[], y_ticks=[]).heat([values], **options)
    drawn = markup(heat).partition('<path class="axis"')[0]
    found = re.findall(r'class="fill (\w+)" opacity="([^"]*)" d="M(\d+)', drawn)
    return [(sign, float(opacity)) for sign, opacity, _ in sorted(found, key=lambda cell: int(cell[2]))]


def test_a_limit_makes_frames_comparable() -> None:
    assert shades([0.5, 1.0]) == [("plus", 0.5), ("plus", 1.0)]
    assert shades([0.5, 1.0], limit=2.0) == [("plus", 0.25), ("plus", 0.5)]
    assert shades([0.0, 0.0], limit=0.0) == []


def test_logarithmic_shades_show_what_differs_by_powers_of_ten_and_the_key_says_so() -> None:
    values = [1.0, -1e-1, 1e-2, -1e-3, 1e-9, 0.0]
    assert len(shades(values)) == 2  # on a linear scale the small ones are bare
    found = shades(values, decades=4)
    assert [sign for sign, _ in found] == ["plus", "minus", "plus", "minus"]
    assert [strength for _, strength in found] == [1.0, 0.75, 0.5, 0.25]
    heat = svg.Panel((0, 1), (0, 1)).heat([values], decades=4)
    assert "logarithmic, bare below 10⁻⁴</text>" in markup(heat)


def test_a_tensor_in_a_graph_is_drawn_like_an_array() -> None:
    values = torch.tensor([0.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert markup(panel().line([0, 10], values)) == markup(panel().line([0, 10], np.array([0.0, 0.5])))


def test_an_axis_holds_zero_and_all_values() -> None:
    assert svg.span([1.0, 2.0], torch.tensor([[-1.0]])) == pytest.approx((-1.15, 2.15))
    assert svg.span([0.0]) == (-1.0, 1.0)
    with pytest.raises(ValueError, match="values must be finite numbers"):
        svg.span([NAN])


@pytest.mark.parametrize(
    ("make", "kind", "parts"),
    [
        (lambda: svg.Panel((0, 0), (0, 1)), ValueError, ("x must be two different numbers", "(0, 0)")),
        (lambda: svg.Panel((0, NAN), (0, 1)), ValueError, ("x must be finite",)),
        (lambda: svg.Panel((0, 1), (1, float("inf"))), ValueError, ("y must be finite",)),
        # refused: wrong types are what is tested, here and below
        (lambda: svg.Panel((0, 1, 2), (0, 1)), ValueError, ("x must be two different numbers", "(0, 1, 2)")),  # type: ignore[arg-type]
        (lambda: svg.Panel(3, (0, 1)), ValueError, ("x must be finite numbers [end]", "shape ()")),  # type: ignore[arg-type]
        (lambda: svg.Panel(("a", "b"), (0, 1)), TypeError, ("x must be finite numbers",)),  # type: ignore[arg-type]
        (lambda: svg.Panel((0, 5e-324), (0, 1)), ValueError, ("x must be two different numbers",)),
        (lambda: svg.Panel((-1e308, 1e308), (0, 1)), ValueError, ("x must be two different numbers",)),
        (lambda: svg.Panel((0, 1), (0, 1), log=True), ValueError, ("x must be positive on a logarithmic axis",)),
        (lambda: panel(height=0), ValueError, ("height must be a whole number of at least 1", "0")),
        (lambda: panel(height=90.5), TypeError, ("height must be a whole number", "90.5")),
        (lambda: panel(title=3), TypeError, ("title must be a text, got 3",)),
        (lambda: panel(x_ticks=[0, 11]), ValueError, ("x_ticks must lie between the ends", "11")),
        (lambda: panel(y_ticks=["a", "b", "c"]), ValueError, ("y_ticks must lie between the ends", "'c'")),
        (lambda: panel(y_ticks=["a", 1]), TypeError, ("y_ticks must be numbers or names",)),
        (lambda: panel(y_ticks="ab"), TypeError, ("y_ticks must be a sequence of numbers or names", "'ab'")),
        (lambda: panel(x_ticks=3), TypeError, ("x_ticks must be a sequence of numbers or names", "3")),
        (lambda: panel(x_ticks=[NAN]), ValueError, ("x_ticks must be finite",)),
        (lambda: panel().line([0, 1], [0, NAN]), ValueError, ("y must be finite numbers [point]",)),
        (lambda: panel().line([0, 1], [0, 1, 2]), ValueError, ("x and y must have one length", "2 and 3")),
        (lambda: panel().line([0], [0]), ValueError, ("two or more points", "1 and 1")),
        (lambda: panel().line([0, 1], [[0, 1]]), ValueError, ("y must be finite numbers [point]", "(1, 2)")),
        (lambda: panel().line([0, 1], [0, 1], "red"), ValueError, ("color must be a colour", "plots.LIF", "'red'")),
        (lambda: panel().line([0, 1], [0, 1], "#0072B2"), ValueError, ("color must be a colour", "'#0072B2'")),
        # refused
        (lambda: panel().line([0, 1], [0, 1], name=1), TypeError, ("name must be a text",)),  # type: ignore[arg-type]
        (lambda: panel().line([0, 1], [[0], [1, 2]]), TypeError, ("y must be finite numbers",)),
        (
            lambda: panel().line([0, 1], [0, 1j]),
            TypeError,
            ("y must be finite numbers", "list that is no array of real"),
        ),
        (lambda: panel().spikes([NAN]), ValueError, ("x must be finite numbers [spike]",)),
        (lambda: panel().spikes([1.0], NAN), ValueError, ("at must be finite",)),
        (lambda: panel().spikes([1.0], size=0), ValueError, ("size must be a finite number greater than 0",)),
        (lambda: panel().heat([1.0, 2.0]), ValueError, ("values must be finite numbers [row, column]", "(2,)")),
        (lambda: panel().heat(torch.eye(2).to_sparse()), TypeError, ("values must be finite numbers", "no array")),
        (lambda: panel().heat(torch.ones(2, 2, device="meta")), TypeError, ("values must be finite numbers", "Tensor")),
        (lambda: panel().heat(np.ma.array([[1.0]], mask=True)), ValueError, ("values must be", "masked")),
        # refused
        (lambda: panel().line([0, 1], None), TypeError, ("y must be finite numbers", "NoneType")),  # type: ignore[arg-type]
        (lambda: panel().heat(np.zeros((0, 3))), ValueError, ("values must be", "at least one", "(0, 3)")),
        (lambda: panel().heat([[NAN]]), ValueError, ("values must be finite",)),
        (lambda: panel().heat([[1.0]], -1.0), ValueError, ("limit must be a finite number of at least 0", "-1")),
        (lambda: panel().heat([[1.0]], decades=0), ValueError, ("decades must be a finite number greater than 0",)),
        (lambda: panel().heat([[1.0]]).heat([[1.0]]), ValueError, ("a panel must have one heat map",)),
        (lambda: panel().bars([1.0], []), ValueError, ("must be as many", "1 values, 0 colors")),
        (lambda: panel().bars([1.0], plots.LIF), TypeError, ("colors must be a sequence of colours", plots.LIF)),
        (lambda: panel().bars([1.0], [plots.LIF], "a"), TypeError, ("texts must be a sequence of texts", "'a'")),
        (lambda: panel().bars([1.0], ["blue"]), ValueError, ("colors must be a colour", "'blue'")),
        (lambda: panel().text(NAN, 0, "a"), ValueError, ("x must be finite",)),
        (lambda: panel().text(0, 0, 3), TypeError, ("words must be a text",)),  # type: ignore[arg-type]  # refused
        (
            lambda: svg.Panel((1, 10), (0, 1), log=True).line([0, 1], [0, 1]),
            ValueError,
            ("x must be positive on a logarithmic axis, got 0",),
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(
    make: Callable[[], svg.Panel], kind: type[Exception], parts: tuple[str, ...]
) -> None:
    with pytest.raises(kind, match=says(*parts)):
        make()


@pytest.mark.parametrize(
    ("rows", "result", "kind", "word"),
    [
        ([], "r", ValueError, "rows"),
        ([[]], "r", ValueError, "rows"),
        (["a panel"], "r", TypeError, "rows"),
        ([["a panel"]], "r", ValueError, "rows"),
        (panel(), "r", TypeError, "rows"),
        ([[panel() for _ in range(12)]], "r", ValueError, "room"),
        ([panel()], " ", ValueError, "result"),
        ([panel()], 3, TypeError, "result"),
    ],
)
def test_a_figure_needs_panels_and_a_result(rows: Any, result: Any, kind: type[Exception], word: str) -> None:
    with pytest.raises(kind, match=word):
        svg.figure(rows, result=result)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"),
        (0.25, 3, "0.25"),
        (-0.0283, 2, "−0.028"),
        (1500.0, 3, "1500"),
        (99999.0, 3, "10⁵"),
        (1e4, 3, "10⁴"),
        (-1e-16, 3, "−10⁻¹⁶"),
        (-3.14159e-5, 2, "−3.1·10⁻⁵"),
        (2e8, 3, "2·10⁸"),
    ],
)
def test_numbers_are_written_in_few_letters(value: float, digits: int, text: str) -> None:
    assert svg.number(value, digits) == text


def test_an_axis_may_be_thousands_of_steps_long() -> None:
    drawn = svg.figure([svg.Panel((0, 9600), (0, 1)).line([0, 9600], [0, 1])], result="a line")
    assert ">8000</text>" in drawn.body or ">9000</text>" in drawn.body
