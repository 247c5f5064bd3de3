"""Figures in one style: drawing functions for axes, so that a chapter says what is shown and not how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import torch
from cycler import cycler
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, Normalize, SymLogNorm, to_rgb
from matplotlib.image import AxesImage
from matplotlib.scale import LogScale, register_scale
from matplotlib.ticker import LogFormatterSciNotation
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike, NDArray

from eprop_nb import _checks
from eprop_nb.display._marks import number
from eprop_nb.parameters import Parameters

FloatArray: TypeAlias = NDArray[np.floating[Any]]

# One colour, one meaning, in all of the book. The first three are from Okabe and Ito's palette, which colour-blind
# readers can tell apart; the others were chosen to go with them. A page gives each a brighter twin in the dark.
TEXT = "#000000"  #: the colour of the page's text: gradients, frames, whatever is not one of the following
INPUT = "#6b6b6b"  #: input neurons; BPTT beside e-prop; what only serves to compare
LIF = "#0072b2"  #: LIF neurons
ALIF = "#d55e00"  #: ALIF neurons, their adaptation and their moving threshold
SIGNAL = "#009e73"  #: learning signals, and the ways that they take
TRACE = "#b5528a"  #: eligibility traces, and the ways that they take
PLUS = "#b98900"  #: cells of a heat map above 0
MINUS = "#7b5fd0"  #: cells of a heat map below 0


def _signed(plus: str, minus: str) -> LinearSegmentedColormap:
    """Return a colour map whose middle is transparent, so that 0 is the page's own colour, light or dark."""
    ends = [(*to_rgb(minus), 1.0), (*to_rgb(minus), 0.0), (*to_rgb(plus), 0.0), (*to_rgb(plus), 1.0)]
    return LinearSegmentedColormap.from_list("signed", list(zip([0, 0.5, 0.5, 1], ends, strict=True)), N=257)


DIVERGING = _signed(PLUS, MINUS)
WIDTH = 4.2  #: inches: at this width the text below has 11 px and more on a phone


class _PlainPowers(LogFormatterSciNotation):
    """Writes 10⁻³ in letters of one size: what matplotlib sets as an exponent is too small to read on a phone."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return number(x) if super().__call__(x, pos) else ""


class _PlainLogScale(LogScale):
    """The logarithmic scale with such numbers, under the name of the one that it replaces."""

    name = "log"

    def __init__(self, *axis_or_nothing: Any, **options: Any) -> None:  # what matplotlib passes hangs on its version
        super().__init__(*axis_or_nothing, **options)

    def set_default_locators_and_formatters(self, axis: Axis) -> None:
        super().set_default_locators_and_formatters(axis)
        axis.set_major_formatter(_PlainPowers(self.base))
        axis.set_minor_formatter(_PlainPowers(self.base, labelOnlyBase=self.subs is not None))


def use_style() -> None:
    """Set the style of all figures: as wide as a phone's column, as SVG that a page can colour as its theme is."""
    register_scale(_PlainLogScale)
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, 2.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 9.5,
            "axes.prop_cycle": cycler(color=[TEXT, INPUT, LIF, ALIF, SIGNAL, TRACE]),
            "xtick.labelsize": 9.5,
            "ytick.labelsize": 9.5,
            "lines.linewidth": 1.6,
            "legend.frameon": False,
            "legend.fontsize": 9.5,
            "image.interpolation": "none",
            "svg.fonttype": "none",  # letters stay letters: a page sets their font, and one can search and copy them
            "svg.hashsalt": "eprop_nb",  # else the names inside a picture would differ from run to run
        }
    )
    if get_ipython() is not None:
        set_matplotlib_formats("svg", bbox_inches=None, metadata={"Date": None})


def array(values: torch.Tensor | ArrayLike) -> FloatArray:
    """Return a tensor, on whatever device and in whatever graph, as a NumPy array of float64."""
    plain = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    return np.array(plain, dtype=np.float64)


def times(parameters: Parameters) -> FloatArray:
    """Return the time of each step in ms, [time]."""
    return np.arange(parameters.n_steps) * parameters.dt


def neuron_names(parameters: Parameters) -> list[str]:
    """Return a name for each recurrent neuron: LIF 1, LIF 2, …, ALIF 1, …."""
    return [f"LIF {j + 1}" for j in range(parameters.n_lif)] + [f"ALIF {j + 1}" for j in range(parameters.n_alif)]


def neuron_colors(parameters: Parameters) -> list[str]:
    """Return the colour of each recurrent neuron."""
    return [LIF] * parameters.n_lif + [ALIF] * parameters.n_alif


def raster(ax: Axes, parameters: Parameters, spikes: torch.Tensor, names: Sequence[str], colors: Sequence[str]) -> None:
    """Draw one line for each neuron and a tick for each spike of `spikes`, [time, neuron]; the first is on top."""
    shown = _by_time("spikes", spikes, parameters, names)
    fired = [times(parameters)[row > 0] for row in shown]
    ax.eventplot(fired, lineoffsets=range(len(fired)), linelengths=0.75, linewidths=1.8, colors=list(colors))
    ax.set_yticks(range(len(fired)), names)
    ax.set_ylim(len(fired) - 0.4, -0.6)
    ax.set_xlim(-parameters.dt, parameters.duration)
    ax.tick_params(axis="y", length=0)


def time_map(
    ax: Axes,
    parameters: Parameters,
    values: torch.Tensor,
    names: Sequence[str],
    limit: float | None = None,
    *,
    decades: float | None = None,
) -> AxesImage:
    """Draw `values` [time, neuron] as a heat map over time: gold above 0, violet below, bare at 0.

    Returns the image, for `key`. `limit` is the end of the scale: the largest absolute value unless given. With
    `decades` the scale is logarithmic that many powers of ten down from `limit`, and linear about 0.
    """
    shown = _by_time("values", values, parameters, names)
    left, right = -parameters.dt / 2, parameters.duration - parameters.dt / 2
    image = ax.imshow(
        shown,
        aspect="auto",
        cmap=DIVERGING,
        norm=_scale(shown, limit, decades),
        extent=(left, right, len(shown) - 0.5, -0.5),
    )
    ax.set_yticks(range(len(shown)), names)
    ax.tick_params(axis="y", length=0)
    return image


def matrix(
    ax: Axes, values: torch.Tensor | ArrayLike, limit: float | None = None, *, decades: float | None = None
) -> AxesImage:
    """Draw a weight matrix [pre, post], or a gradient of it, on the scale that `time_map` describes."""
    shown = array(values)
    if shown.ndim != 2 or not shown.size:
        raise ValueError(f"values must be a matrix [pre, post], got the shape {shown.shape}")
    image = ax.imshow(shown, cmap=DIVERGING, norm=_scale(shown, limit, decades))
    ax.set_xticks(range(shown.shape[1]), [str(j + 1) for j in range(shown.shape[1])])
    ax.set_yticks(range(shown.shape[0]), [str(i + 1) for i in range(shown.shape[0])])
    ax.tick_params(length=0)
    ax.set_xlabel("to neuron")
    ax.spines[:].set_visible(False)
    return image


def key(image: AxesImage, label: str, axes: Axes | Sequence[Axes] | None = None) -> Colorbar:
    """Draw the key of a heat map below it: its colours, the numbers at their ends and at 0, and what they mean.

    `axes` are those that share it, from top to bottom; the image's own unless given.
    """
    over = image.axes if axes is None else axes
    bar = image.axes.figure.colorbar(image, ax=over, location="bottom", label=label, aspect=30, shrink=0.7)
    limit = image.get_clim()[1] or 0.0
    ends = [-limit, 0.0, limit]
    if isinstance(bar.norm, SymLogNorm):  # where the logarithm begins
        ends[1:2] = [-bar.norm.linthresh, bar.norm.linthresh]
    bar.set_ticks(ends, labels=[number(end, 2) for end in ends])
    bar.minorticks_off()
    return bar


def _by_time(name: str, values: torch.Tensor, parameters: Parameters, names: Sequence[str]) -> FloatArray:
    """Return `values` [time, neuron] as [neuron, time]; raise if they do not fit the parameters and the names."""
    shown = array(values)
    if shown.shape != (parameters.n_steps, len(names)):
        wanted = (parameters.n_steps, len(names))
        raise ValueError(f"{name} must have the shape {wanted} = [time, neuron], as many as names, got {shown.shape}")
    return shown.T


def _scale(values: FloatArray, limit: float | None, decades: float | None) -> Normalize:
    """Return a scale that is symmetric about 0, linear or logarithmic."""
    if not np.isfinite(values).all():
        raise ValueError("values must be finite numbers, got NaN or infinite entries")
    bound = float(np.abs(values).max()) if limit is None else _checks.real("limit", limit, zero_allowed=True)
    bound = bound or 1.0  # of zeros: any scale shows them bare, but one without length
    if decades is None:
        return Normalize(-bound, bound)
    return SymLogNorm(bound * 10 ** -_checks.real("decades", decades), vmin=-bound, vmax=bound)
