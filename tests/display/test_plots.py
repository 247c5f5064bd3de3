"""Figures: one style, heat maps that are bare at 0 and nowhere else, keys that say what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from helpers import says
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import eprop_nb as ep
from eprop_nb.display import plots

PARAMETERS = ep.Parameters(n_lif=1, n_alif=2, duration=4.0)
NAMES = plots.neuron_names(PARAMETERS)
VALUES = torch.tensor([[0.0, 1e-3, 2.0], [0.5, -1.0, 0.0], [0.0, 0.0, 0.0], [1e-6, 0.0, -2.0]], dtype=torch.float64)


@pytest.fixture
def ax() -> Iterator[Axes]:
    with mpl.rc_context():
        plots.use_style()
        figure = Figure()
        FigureCanvasSVG(figure)
        yield figure.subplots()


def shown(image: AxesImage) -> Any:
    """Return the colours [row, column, RGBA] that a heat map has on the page."""
    return image.to_rgba(np.asarray(image.get_array()))


def test_the_style_is_that_of_a_page() -> None:
    with mpl.rc_context():
        plots.use_style()
        assert mpl.rcParams["figure.figsize"][0] == plots.WIDTH
        assert mpl.rcParams["svg.fonttype"] == "none"
        sizes = [mpl.rcParams[name] for name in ("font.size", "axes.labelsize", "xtick.labelsize", "legend.fontsize")]
        assert min(sizes) / (72 * plots.WIDTH) * 358 >= 11  # pixels, in the column of a phone


@pytest.mark.parametrize("decades", [None, 3.0])
def test_a_heat_map_is_bare_at_zero_gold_above_and_violet_below(ax: Axes, decades: float | None) -> None:
    image = plots.time_map(ax, PARAMETERS, VALUES, NAMES, decades=decades)
    colors = shown(image)
    assert colors.shape == (3, 4, 4)  # a row for each neuron
    bare = (VALUES.T == 0).numpy()
    assert (colors[bare][:, 3] == 0).all()
    np.testing.assert_allclose(colors[2, 0], mpl.colors.to_rgba(plots.PLUS))
    np.testing.assert_allclose(colors[2, 3], mpl.colors.to_rgba(plots.MINUS))


def test_a_logarithmic_scale_shows_what_a_linear_one_does_not(ax: Axes) -> None:
    strength = [
        shown(plots.time_map(ax, PARAMETERS, VALUES, NAMES, decades=decades))[1, 0, 3] for decades in (None, 4.0)
    ]
    assert strength[0] < 0.01
    assert strength[1] > 0.2


def test_a_map_of_zeros_is_bare_everywhere(ax: Axes) -> None:
    for limit in (None, 0.0):
        assert not shown(plots.matrix(ax, np.zeros((2, 2)), limit))[..., 3].any()
        assert not shown(plots.time_map(ax, PARAMETERS, 0 * VALUES, NAMES, limit))[..., 3].any()


@pytest.mark.parametrize(
    ("decades", "texts"), [(None, ["−0.028", "0", "0.028"]), (2.0, ["−0.028", "−2.8·10⁻⁴", "2.8·10⁻⁴", "0.028"])]
)
def test_a_key_says_what_its_colors_stand_for(ax: Axes, decades: float | None, texts: list[str]) -> None:
    image = plots.time_map(ax, PARAMETERS, VALUES, NAMES, 0.0283, decades=decades)
    bar = plots.key(image, "dE/dz")
    assert isinstance(ax.figure, Figure)
    ax.figure.draw_without_rendering()
    labels = bar.ax.get_xticklabels()
    assert [label.get_text() for label in labels] == texts
    assert bar.ax.get_xlabel() == "dE/dz"
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert bar.ax.get_window_extent().y1 < ax.get_window_extent().y0  # it is below


def test_a_raster_has_a_tick_for_each_spike(ax: Axes) -> None:
    spikes = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    plots.raster(ax, PARAMETERS, spikes, NAMES, plots.neuron_colors(PARAMETERS))
    drawn: list[Any] = list(ax.collections)
    assert [len(each.get_positions()) for each in drawn] == [2, 0, 2]


@pytest.mark.parametrize(
    ("draw", "kind", "parts"),
    [
        (lambda ax: plots.time_map(ax, PARAMETERS, VALUES.T, NAMES), ValueError, ("(4, 3) = [time, neuron]", "(3, 4)")),
        (lambda ax: plots.time_map(ax, PARAMETERS, VALUES, NAMES[:2]), ValueError, ("(4, 2)", "as many as names")),
        (lambda ax: plots.raster(ax, PARAMETERS, VALUES[0], NAMES, NAMES), ValueError, ("spikes", "(3,)")),
        (lambda ax: plots.matrix(ax, VALUES[0]), ValueError, ("values must be a matrix [pre, post]", "(3,)")),
        (lambda ax: plots.matrix(ax, VALUES / 0), ValueError, ("values must be finite",)),
        (lambda ax: plots.matrix(ax, VALUES, -1.0), ValueError, ("limit must be a finite number", "-1")),
        (lambda ax: plots.matrix(ax, VALUES, decades=0), ValueError, ("decades must be a finite number", "0")),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    ax: Axes, draw: Callable[[Axes], object], kind: type[Exception], parts: tuple[str, ...]
) -> None:
    with pytest.raises(kind, match=says(*parts)):
        draw(ax)


def test_the_numbers_of_a_logarithmic_axis_have_one_size(ax: Axes) -> None:
    ax.loglog([1e-9, 1e-3], [0.2, 0.9])
    assert isinstance(ax.figure, Figure)
    ax.figure.draw_without_rendering()
    across, up = ([label.get_text() for label in axis.get_ticklabels(which="both")] for axis in (ax.xaxis, ax.yaxis))
    assert "10⁻⁵" in across
    assert "0.4" in up  # of less than a decade, numbers between its ends are written too
    assert not any("$" in text for text in (*across, *up))
