"""Figures in one style: drawing functions for axes, so that a chapter says what is shown and not how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from eprop_nb.parameters import Parameters

FloatArray: TypeAlias = NDArray[np.floating[Any]]

# Okabe and Ito's palette, which colour-blind readers can tell apart.
INPUT = "#555555"
LIF = "#0072B2"
ALIF = "#D55E00"
THIRD = "#009E73"
FOURTH = "#CC79A7"
DIVERGING = "PuOr_r"  # orange above zero, purple below, white at zero


def use_style() -> None:
    """Set the style of all figures: wide enough for a page, large enough in print for a phone."""
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.2),
            "figure.dpi": 130,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.prop_cycle": cycler(color=[LIF, ALIF, THIRD, FOURTH, INPUT]),
            "lines.linewidth": 1.6,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "image.interpolation": "none",
        }
    )


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
    fired = [times(parameters)[column > 0] for column in array(spikes).T]
    ax.eventplot(fired, lineoffsets=range(len(fired)), linelengths=0.75, linewidths=1.8, colors=list(colors))
    ax.set_yticks(range(len(fired)), names)
    ax.set_ylim(len(fired) - 0.4, -0.6)
    ax.set_xlim(-parameters.dt, parameters.duration)
    ax.tick_params(axis="y", length=0)


def time_map(
    ax: Axes, parameters: Parameters, values: torch.Tensor, names: Sequence[str], limit: float | None = None
) -> AxesImage:
    """Draw `values` [time, neuron] as a heat map over time, on a diverging scale symmetric about 0.

    Returns the image, for a colour bar. `limit` is the end of the scale: the largest absolute value unless given.
    """
    shown = array(values).T
    bound = np.abs(shown).max() if limit is None else limit
    image = ax.imshow(
        shown,
        aspect="auto",
        cmap=DIVERGING,
        vmin=-bound,
        vmax=bound,
        extent=(-parameters.dt / 2, parameters.duration - parameters.dt / 2, len(shown) - 0.5, -0.5),
    )
    ax.set_yticks(range(len(shown)), names)
    ax.tick_params(axis="y", length=0)
    return image


def matrix(ax: Axes, values: torch.Tensor | ArrayLike, limit: float) -> AxesImage:
    """Draw a weight matrix [pre, post], or a gradient of it, on a diverging scale from −`limit` to `limit`."""
    shown = array(values)
    image = ax.imshow(shown, cmap=DIVERGING, vmin=-limit, vmax=limit)
    ax.set_xticks(range(shown.shape[1]), [str(j + 1) for j in range(shown.shape[1])])
    ax.set_yticks(range(shown.shape[0]), [str(i + 1) for i in range(shown.shape[0])])
    ax.tick_params(length=0)
    ax.set_xlabel("to neuron")
    ax.spines[:].set_visible(False)
    return image
