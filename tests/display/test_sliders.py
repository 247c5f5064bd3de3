"""Sliders without a browser: the frames at every point, their labels, and bad grids."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from helpers import says

from eprop_nb.display import sliders, svg


def draw(x: float, word: str = "") -> svg.Frame:
    panel = svg.Panel((0, 1), (0, 10)).line([0, 1], [0, x])
    return svg.figure([panel], result=f"a line that ends at {x:g}{word}")


def test_there_is_a_frame_for_every_point_with_its_values_and_its_result() -> None:
    view = sliders.view(draw, x=sliders.Grid([1.0, 2.5], "height", "mm"), word=["!", "?"])
    assert view.points == [{"x": x, "word": w} for x in (1.0, 2.5) for w in ("!", "?")]
    assert view.labels[0] == "height 1 mm, word !: a line that ends at 1!"
    assert view.labels[-1] == "height 2.5 mm, word ?: a line that ends at 2.5?"
    for label, frame in zip(view.labels, view.frames, strict=True):
        assert frame.startswith("<svg ")
        assert 'role="img"' in frame
        assert f'aria-label="{label}"' in frame


def test_the_text_of_a_view_lists_all_frames() -> None:
    view = sliders.view(draw, x=[1.0, 2.0])
    text = view._repr_mimebundle_()["text/plain"]
    assert text.splitlines()[1:] == view.labels


def test_drawing_twice_gives_the_same_markup() -> None:
    one, two = (sliders.view(draw, x=[1.0, 2.0]) for _ in range(2))
    assert one.frames == two.frames


@pytest.mark.parametrize(
    ("grids", "kind", "parts"),
    [
        ({}, ValueError, ("there must be one grid or two", "0")),
        ({"x": [1.0], "a": [1], "b": [2]}, ValueError, ("there must be one grid or two", "3")),
        ({"x": []}, ValueError, ("the grid x is empty",)),
        ({"x": "abc"}, TypeError, ("the grid x must be a sequence", "abc")),
        ({"x": [1.0, 1.0]}, ValueError, ("the grid x has 1 more than once",)),
        ({"x": sliders.Grid([1.0], start=3.0)}, ValueError, ("the grid x cannot start at 3.0",)),
        ({"x": [float(k) for k in range(101)]}, ValueError, ("101 points", "at most 100 frames")),
    ],
)
def test_bad_grids(grids: dict[str, Any], kind: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(kind, match=says(*parts)):
        sliders.view(draw, **grids)


def test_a_drawing_that_fails_at_one_point_raises_at_once_and_names_it() -> None:
    def fails(x: float) -> svg.Frame:
        return draw(1 / x)

    with pytest.raises(sliders.GridPointError, match=says("at x=0.0", "ZeroDivisionError")) as caught:
        sliders.view(fails, x=[1.0, 0.0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_drawing_that_returns_no_frame_is_refused() -> None:
    with pytest.raises(sliders.GridPointError, match=says("returned str at x=1.0")):
        sliders.view("{x}".format, x=[1.0])  # type: ignore[arg-type]  # the point of the test


def test_what_is_not_finite_is_not_drawn() -> None:
    with pytest.raises(sliders.GridPointError, match="not finite"):
        sliders.view(draw, x=[float("nan")])


def test_a_heat_map_is_symmetric_about_zero() -> None:
    frame = svg.figure([svg.Panel((0, 2), (0, 1)).heat([[-2.0, 1.0]])], result="two cells").svg()
    assert "plus" in frame
    assert "minus" in frame


def test_the_package_does_not_import_the_widgets() -> None:
    code = "import sys, eprop_nb; sys.exit('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
