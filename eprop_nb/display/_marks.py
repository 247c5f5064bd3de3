"""The marks that a small picture is made of, as SVG text: words, lines, rectangles; and round numbers for its axes.

Lengths are integers in tenths of a pixel of a frame 400 pixels wide, and lines are written as steps from point to
point: few digits, which compress well. What the classes mean stands in `eprop_nb.display.svg.STYLE`.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

LETTER = 80  # the width of a digit in a wide font
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LEVELS = 12  # shades of a heat map on either side of 0

Integers: TypeAlias = NDArray[np.int64]


class Place(NamedTuple):
    """Where a panel is drawn, and how its data come there."""

    left: int
    top: int
    width: int
    height: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, values: ArrayLike) -> Integers:
        """Return how far to the right these values lie."""
        return self._along(values, self.x_range, self.left, self.width)

    def y(self, values: ArrayLike) -> Integers:
        """Return how far down these values lie."""
        return self._along(values, self.y_range, self.top + self.height, -self.height)

    @staticmethod
    def _along(values: ArrayLike, ends: tuple[float, float], start: int, length: int) -> Integers:
        shown = np.clip(np.asarray(values, dtype=np.float64), min(ends), max(ends))
        return np.rint(start + length * (shown - ends[0]) / (ends[1] - ends[0])).astype(np.int64)


def number(value: float, digits: int = 3) -> str:
    """Return a number in few letters, rounded to so many digits, with a true minus sign: 0.25, 1500, −3·10⁻⁵."""
    rounded = float(f"{value:.{digits}g}")
    plain = f"{rounded:g}"
    if rounded and not 1e-3 <= abs(rounded) < 1e4:
        factor, _, power = f"{rounded:e}".partition("e")
        times = {1.0: "10", -1.0: "-10"}.get(float(factor), f"{float(factor):g}·10")
        plain = times + str(int(power)).translate(_RAISED)
    return plain.replace("-", "−")


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most `most` round numbers between two values, at a distance of 1, 2 or 5 times a power of ten."""
    low, high = min(low, high), max(low, high)
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20, 50)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [k * step for k in range(first, last + 1)]


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return words at a point: from it on, around it ("mid") or up to it ("end")."""
    as_class = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{as_class}>{escape(words)}</text>'


def line(x: Integers, y: Integers, kind: str) -> str:
    """Return a line through points, as steps; points on the way straight ahead are left out."""
    dx, dy = np.diff(x), np.diff(y)
    moves = (dx != 0) | (dy != 0)
    dx, dy = dx[moves], dy[moves]
    turns = np.ones(len(dx), dtype=bool)  # does the line turn, or turn back, after this step?
    turns[:-1] = (dx[:-1] * dy[1:] != dy[:-1] * dx[1:]) | (dx[:-1] * dx[1:] + dy[:-1] * dy[1:] < 0)
    ends = np.flatnonzero(turns)
    sums = np.diff(np.stack((np.cumsum(dx), np.cumsum(dy)))[:, ends], prepend=0, axis=1).T.ravel().tolist()
    steps = "".join(f"{n}" if n < 0 else f" {n}" for n in sums).strip()
    return f'<path class="{kind}" d="M{x[0]} {y[0]}l{steps}"/>' if sums else ""


def cells(place: Place, shades: NDArray[np.int64]) -> str:
    """Return a rectangle for each cell of `shades` [row, column]; neighbours in a row of one shade share one."""
    x = np.rint(np.linspace(place.left, place.left + place.width, shades.shape[1] + 1)).astype(int).tolist()
    y = np.rint(np.linspace(place.top, place.top + place.height, shades.shape[0] + 1)).astype(int).tolist()
    drawn: dict[int, str] = {}
    for row, levels in enumerate(shades.tolist()):
        start = 0
        for column in range(1, len(levels) + 1):
            if column == len(levels) or levels[column] != levels[start]:
                width, height = x[column] - x[start], y[row + 1] - y[row]
                rectangle = f"M{x[start]} {y[row]}h{width}v{height}h-{width}z"
                drawn[levels[start]] = drawn.get(levels[start], "") + rectangle
                start = column
    return "".join(_shade(level, path) for level, path in sorted(drawn.items()))


def _shade(level: int, path: str) -> str:
    if level == 0:
        return ""
    sign = "plus" if level > 0 else "minus"
    return f'<path class="fill {sign}" opacity="{abs(level) / LEVELS:.2g}" d="{path}"/>'


def key(limit: float, middle: float, y: int, room: int) -> str:
    """Return the key of a heat map: its colours, with the values at both ends, or with ± where there is no room."""
    low, high = number(-limit, 2), number(limit, 2)
    beside = LETTER * len(low) + 40
    wide = room > 2 * beside + 600
    if not wide:
        low, high, beside = "", f"±{high}", (beside + 40) // 2
    step = min(1200, room - 2 * beside) // (2 * LEVELS + 1)
    left = round(middle) - step * (2 * LEVELS + 1) // 2 - (0 if wide else beside)
    right = left + step * (2 * LEVELS + 1)
    drawn = "".join(
        _shade(level, f"M{left + step * (level + LEVELS)} {y - 80}h{step}v80h-{step}z")
        for level in range(-LEVELS, LEVELS + 1)
    )
    drawn += f'<path class="axis" d="M{left} {y - 80}H{right}v80H{left}z"/>{text(right + 40, y, high)}'
    return drawn + (text(left - 40, y, low, "end") if wide else "")


def finite(name: str, value: Any, axes: str) -> NDArray[np.float64]:
    """Return `value` as an array with these axes, e.g. "[row, column]", or any; raise if it is not finite."""
    allowed = f"{name} must be finite numbers {axes}".rstrip()
    try:
        array = np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
        if array.dtype.kind not in "biuf":
            raise TypeError
    except (TypeError, ValueError, RuntimeError):  # of lists of lists of unequal length, of sparse tensors, …
        raise TypeError(f"{allowed}, got {type(value).__name__} that is no array of real numbers") from None
    if axes and array.ndim != axes.count(",") + 1:
        raise ValueError(f"{allowed}, got the shape {array.shape}")
    if np.ma.is_masked(value):
        raise ValueError(f"{allowed}, got masked entries")
    real = array.astype(np.float64)
    if not np.isfinite(real).all():
        raise ValueError(f"{allowed}, got NaN or infinite entries")
    return real
