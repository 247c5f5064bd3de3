"""The two drawings that the chapters point at: the network, and one neuron unrolled over three steps of time.

Lengths are points (1/72 inch) of a figure that is `plots.WIDTH` wide, so that a circle has room for its letter.
"""

from __future__ import annotations

from collections.abc import Collection
from math import cos, hypot, pi, sin

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from eprop_nb.display import plots

NETWORK_HEIGHT = 2.05  # inches
UNROLLED_HEIGHT = 3.65

_WIDTH = 72 * plots.WIDTH
_RADIUS = 11.0  # of a node with one letter in it

Point = tuple[float, float]


def _canvas(ax: Axes, height: float) -> None:
    """Make one unit of `ax` a point, and show nothing of its frame."""
    ax.set(xlim=(0, _WIDTH), ylim=(0, 72 * height), aspect="equal")
    ax.set_axis_off()


def _node(ax: Axes, at: Point, letter: str, color: str = plots.TEXT) -> None:
    ax.add_patch(Circle(at, _RADIUS, fill=False, edgecolor=color, linewidth=1.4))
    _text(ax, at, letter, color)


def _text(ax: Axes, at: Point, words: str, color: str = plots.TEXT, ha: str = "center", weight: str = "normal") -> None:
    ax.text(*at, words, color=color, ha=ha, va="center_baseline", weight=weight)


def _box(ax: Axes, low: Point, high: Point, color: str = plots.INPUT) -> None:
    """Draw the outline of a box with round corners."""
    style = "round,pad=0,rounding_size=8"
    size = high[0] - low[0], high[1] - low[1]
    ax.add_patch(FancyBboxPatch(low, *size, boxstyle=style, fill=False, edgecolor=color, linewidth=1.2))


def _shade(ax: Axes, low: Point, high: Point) -> None:
    """Shade a box with round corners."""
    style = "round,pad=0,rounding_size=8"
    size = high[0] - low[0], high[1] - low[1]
    ax.add_patch(FancyBboxPatch(low, *size, boxstyle=style, facecolor=plots.INPUT, edgecolor="none", alpha=0.12))


def _arrow(ax: Axes, start: Point, end: Point, color: str, trim: Point = (0, 0)) -> None:
    """Draw an arrow, shortened at its two ends by `trim`, which for a node is its radius."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    across, up = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    ax.annotate(
        "",
        xy=(end[0] - trim[1] * across, end[1] - trim[1] * up),
        xytext=(start[0] + trim[0] * across, start[1] + trim[0] * up),
        arrowprops={
            "arrowstyle": "-|>,head_length=0.5,head_width=0.25",
            "color": color,
            "linewidth": 1.4,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def _line(ax: Axes, one: Point, other: Point, trim: float) -> None:
    """Draw a thin line between two nodes of radius `trim`."""
    length = hypot(one[0] - other[0], one[1] - other[1])
    x, y = (trim * (one[k] - other[k]) / length for k in (0, 1))
    ax.plot([one[0] - x, other[0] + x], [one[1] - y, other[1] + y], color=plots.INPUT, linewidth=0.7)


def _number(ax: Axes, at: Point, number: int, color: str) -> None:
    """Write the number of a way in a ring."""
    ax.add_patch(Circle(at, 7, fill=False, edgecolor=color, linewidth=1.1))
    _text(ax, at, str(number), color, weight="bold")


def unrolled(ax: Axes, highlight: Collection[str] = ("trace", "signal")) -> None:
    """Draw what hangs on what in one ALIF neuron, over the steps t − 1, t and t + 1.

    A spike is two nodes of one value: as the neuron sends it, and as its own adaptation sees it. Its ways to the
    loss are numbered: 1 readout, 2 other neurons, 3 own reset, 4 own adaptation.

    Parameters
    ----------
    ax : Axes
        Of a figure of `plots.WIDTH` × `UNROLLED_HEIGHT` inches.
    highlight : collection of {"trace", "signal"}
        Which arrows have their colour: those inside the neuron, along which the eligibility trace is a derivative,
        and those that start at a sent spike, with which the learning signal begins. The others are grey.

    Raises
    ------
    ValueError
        If `highlight` has another word in it.

    Notes
    -----
    Bellec et al. (2020), equations (6) and (8) to (10); one such graph, for any hidden state, is behind (15) to (21).
    """
    if not set(highlight) <= {"trace", "signal"}:
        raise ValueError(f'highlight must be of "trace" and "signal", got {highlight!r}')
    trace = plots.TRACE if "trace" in highlight else plots.INPUT
    signal = plots.SIGNAL if "signal" in highlight else plots.INPUT
    _canvas(ax, UNROLLED_HEIGHT)

    pitch, to_spike, half = 98.0, 49.0, 19.0  # from step to step, from states to spike, half a spike's box
    row_b, row_z, row_v, row_others, row_loss = 42.0, 90.0, 138.0, 209.0, 248.0
    first = 28.0  # where the states of the first step stand

    _box(ax, (2, row_loss - 11), (_WIDTH - 2, row_loss + 11))
    _text(ax, (_WIDTH / 2, row_loss), "readout y, loss E")
    for k in range(-1, 3):  # the other neurons stand in the gaps between the arrows to the readout
        left, right = first + pitch * k + to_spike + 3, first + pitch * (k + 1) + to_spike - 15
        _box(ax, (left, row_others - 11), (right, row_others + 11))
        _arrow(ax, ((left + right) / 2, row_others + 11), ((left + right) / 2, row_loss - 11), signal)
    _text(ax, (first + pitch - 6, row_others), "other neurons")

    for k, when in enumerate(("t − 1", "t", "t + 1")):
        x, spike = first + pitch * k, first + pitch * k + to_spike
        _shade(ax, (x - 20, row_b - 20), (spike + half + 4, row_v + 16))
        _text(ax, ((x + spike) / 2, 10), when)
        _node(ax, (x, row_v), "v")
        _node(ax, (x, row_b), "b")
        for low, word, color in ((row_z, "sent", signal), (row_z - 17, "own", trace)):
            ax.add_patch(Rectangle((spike - half, low), 2 * half, 17, fill=False, edgecolor=color, linewidth=1.4))
            _text(ax, (spike, low + 8.5), f"z {word}", color)

        _text(ax, (x, row_v + 38), "W·pre")
        _arrow(ax, (x, row_v + 31), (x, row_v), trace, (0, _RADIUS))
        _arrow(ax, (x, row_v), (spike - half, row_z + 1), trace, (_RADIUS, 1))
        _arrow(ax, (x, row_b), (spike - half, row_z - 1), trace, (_RADIUS, 1))
        _arrow(ax, (spike - 6, row_z + 17), (spike - 6, row_loss - 11), signal)
        _arrow(ax, (spike + 6, row_z + 17), (spike + 20, row_others - 11), signal)
        if k < 2:
            _arrow(ax, (x, row_v), (x + pitch, row_v), trace, (_RADIUS, _RADIUS))
            _arrow(ax, (x, row_b), (x + pitch, row_b), trace, (_RADIUS, _RADIUS))
            _arrow(ax, (spike + half, row_z + 8.5), (x + pitch, row_v), signal, (0, _RADIUS))
            _arrow(ax, (spike + half, row_z - 8.5), (x + pitch, row_b), trace, (0, _RADIUS))

    x, spike = first + pitch, first + pitch + to_spike  # the factors and the ways, once: at t
    for at, factor in (
        ((x + 23, row_v + 7), "α"),
        ((x + 23, row_b - 8), "ρ"),
        ((x + 25, row_z + 28), "ψ"),
        ((x + 33, row_z - 31), "−βψ"),
    ):
        _text(ax, at, factor, trace)
    _number(ax, (spike - 18, row_v + 27), 1, signal)
    _number(ax, (spike + 26, row_v + 27), 2, signal)
    _number(ax, (spike + 41, row_z + 11), 3, signal)
    _number(ax, (spike + 41, row_z - 11), 4, trace)


def network(ax: Axes, feedback: bool = False) -> None:
    """Draw the network: inputs, LIF and ALIF neurons that all hear each other, a readout and its loss.

    Parameters
    ----------
    ax : Axes
        Of a figure of `plots.WIDTH` × `NETWORK_HEIGHT` inches.
    feedback : bool
        Draw the error of the output as well, as it comes back to the neurons through weights B.
    """
    _canvas(ax, NETWORK_HEIGHT)
    row, radius, ring = 73.0, 8.0, 44.0
    inputs, middle, output, loss = 14.0, 122.0, 222.0, (256.0, 300.0)

    places = [(middle + ring * cos(pi * (k + 0.5) / 4), row + ring * sin(pi * (k + 0.5) / 4)) for k in range(8)]
    for k, one in enumerate(places):
        for other in places[:k]:
            _line(ax, one, other, radius)
    for k, place in enumerate(places):  # anticlockwise from the right: the upper half, then the lower one
        ax.add_patch(Circle(place, radius, color=plots.LIF if k < 4 else plots.ALIF))
    _text(ax, (middle, row + 64), "LIF", plots.LIF)
    _text(ax, (middle, row - 64), "ALIF", plots.ALIF)

    for k in (-1, 0, 1):
        ax.add_patch(Circle((inputs, row + 30 * k), radius, color=plots.INPUT))
        _arrow(ax, (inputs, row + 30 * k), (middle - ring - 16, row + 12 * k), plots.INPUT, (radius, 0))
    _text(ax, (44, row + 40), "W in")
    _text(ax, (middle + ring + 8, row + 45), "W rec", ha="left")
    _text(ax, (0, row - 52), "inputs x", plots.INPUT, "left")

    _arrow(ax, (middle + ring + 14, row), (output, row), plots.INPUT, (0, _RADIUS))
    _text(ax, (193, row + 12), "W out")
    _node(ax, (output, row), "y")
    _text(ax, (output, row - 22), "readout")
    _arrow(ax, (output, row), (loss[0], row), plots.INPUT, (_RADIUS, 0))
    _box(ax, (loss[0], row - 11), (loss[1], row + 11), plots.TEXT)
    _text(ax, (sum(loss) / 2, row), "loss E")
    _text(ax, (sum(loss) / 2, row + 48), "target y*")
    _arrow(ax, (sum(loss) / 2, row + 39), (sum(loss) / 2, row + 11), plots.INPUT)
    if feedback:
        corner = (sum(loss) / 2, row - 50)
        ax.plot([corner[0], corner[0]], [row - 11, corner[1]], color=plots.SIGNAL, linewidth=1.4)
        _arrow(ax, corner, (middle + ring, corner[1]), plots.SIGNAL)
        _text(ax, (corner[0], corner[1] - 12), "L = B (y − y*)", plots.SIGNAL, "right")
