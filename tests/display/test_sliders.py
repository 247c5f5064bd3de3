"""Sliders without a browser: the frames at every point, their labels, and bad grids."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
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
        values, _, result = label.partition(": ")
        assert frame.startswith("<svg ")
        assert f'role="img" aria-label="{values}"' in frame
        assert frame.endswith(f'</svg><p class="ep-result">{result}</p>')
        assert frame.count(result) == 1  # else a screen reader would say it twice


def test_a_result_that_is_asked_for_stands_behind_a_button_and_nowhere_else() -> None:
    frame = svg.figure([svg.Panel((0, 1), (0, 1))], result="off by 0.25", asked="Show <it>").html("rule 1")
    picture, _, rest = frame.partition("</svg>")
    assert "0.25" not in picture
    assert rest == '<details><summary>Show &lt;it&gt;</summary><p class="ep-result">off by 0.25</p></details>'


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
        ({"x": []}, ValueError, ("the grid x must have a value, got none",)),
        ({"x": "abc"}, TypeError, ("the grid x must be a sequence", "abc")),
        ({"x": 3}, TypeError, ("the grid x must be a sequence", "3")),
        ({"x": {1.0, 2.0}}, TypeError, ("the grid x must be a sequence", "{1.0, 2.0}")),
        ({"x": np.array(3.0)}, TypeError, ("the grid x must be a sequence", "array(3.)")),
        ({"x": [[1.0, 2.0]]}, TypeError, ("the grid x must hold numbers or words", "[1.0, 2.0]")),
        ({"x": [None]}, TypeError, ("the grid x must hold numbers or words", "None")),
        # refused: the wrong type is what is tested
        ({"x": sliders.Grid([1.0], label=3)}, TypeError, ("the grid x must have texts", "3")),  # type: ignore[arg-type]
        ({"x": [1.0, 1.0]}, ValueError, ("the grid x must show each value once, got 1 ",)),
        ({"x": [1.0, 1.0000001]}, ValueError, ("the grid x must show each value once, got 1 ",)),
        ({"x": sliders.Grid([1.0], start=3.0)}, ValueError, ("the grid x must start at one of its values, got 3.0",)),
        ({"x": sliders.Grid([1.0], start=np.ones(2))}, TypeError, ("the grid x must hold numbers or words", "array")),
        ({"x": [float(k) for k in range(101)]}, ValueError, ("the grid x must have at most 100 values",)),
        ({"x": [float(k) for k in range(11)], "word": list("abcdefghij")}, ValueError, ("at most 100 points", "110")),
    ],
)
def test_bad_grids(grids: dict[str, Any], kind: type[Exception], parts: tuple[str, ...]) -> None:
    def never(**_: Any) -> svg.Frame:
        raise AssertionError("a grid is refused before anything is drawn")

    with pytest.raises(kind, match=says(*parts)):
        sliders.view(never, **grids)


@pytest.mark.parametrize(
    "endless",
    [itertools.count(), range(10**15), (x for x in itertools.count(0.5))],
    ids=["count", "range", "generator"],
)
def test_a_grid_without_end_is_refused_at_once(endless: Iterable[float]) -> None:
    with pytest.raises(ValueError, match=says("the grid x must have at most 100 values")):
        sliders.view(draw, x=endless)


def test_a_grid_may_be_an_array_or_a_tensor() -> None:
    kinds = (np.array([1.0, 2.0]), torch.tensor([1.0, 2.0]), (x for x in (1.0, 2.0)))
    views = [sliders.view(draw, x=sliders.Grid(each, start=np.float64(2))) for each in kinds]
    assert [view.points for view in views] == [[{"x": 1.0}, {"x": 2.0}]] * 3
    assert all(type(point["x"]) is float for view in views for point in view.points)


def test_what_draws_must_be_a_function() -> None:
    with pytest.raises(TypeError, match=says("draw must be a function", "None")):
        sliders.view(None, x=[1.0])  # type: ignore[arg-type]  # the point of the test


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
    with pytest.raises(sliders.GridPointError, match="must be finite numbers"):
        sliders.view(draw, x=[float("nan")])


def test_the_package_does_not_import_the_widgets() -> None:
    code = "import sys, eprop_nb; sys.exit('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
