"""Small pictures as SVG text: a few axes, lines, spikes, heat maps and bars.

For the frames of sliders, of which a page holds hundreds. Lengths are integers in tenths of a pixel of a frame 400
pixels wide, and lines are written as steps from point to point: few digits, which compress well. Colours and strokes
are classes, whose meaning (`STYLE`) stands once beside the frames and follows the light or dark theme of the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from eprop_nb.display import plots

WIDTH = 4000
LETTER = 70  # the width of a letter, on average, in a wide font
EDGE = 130  # room on the right, for half of the last number of an axis
LINE = 150  # the height of a line of text
LEVELS = 12  # shades of a heat map on either side of 0

# The colours of `plots` by the name of their class, and their brighter twins for dark pages.
COLORS = {
    plots.TEXT: ("text", "currentColor"),
    plots.INPUT: ("input", "#b0b0b0"),
    plots.LIF: ("lif", "#5bb8f0"),
    plots.ALIF: ("alif", "#ff9a4d"),
    plots.SIGNAL: ("signal", "#35cfa2"),
    plots.TRACE: ("trace", "#f0a5cd"),
    plots.PLUS: ("plus", "#f0c040"),
    plots.MINUS: ("minus", "#b19cff"),
}
_LIGHT = ";".join(f"--ep-{name}:{'currentColor' if name == 'text' else light}" for light, (name, _) in COLORS.items())
_DARK = ";".join(f"--ep-{name}:{dark}" for name, dark in COLORS.values())
_CLASSES = "".join(f".ep-frame .{name}{{color:var(--ep-{name})}}" for name, _ in COLORS.values())

# The themes say that they are dark in different ways: the book's pages, JupyterLab and Notebook, VS Code.
VARIABLES = f""":root{{{_LIGHT}}}
[data-theme=dark],[data-jp-theme-light=false],.vscode-dark{{{_DARK}}}"""
STYLE = f"""{VARIABLES}
.ep-frame{{display:block;width:100%;max-width:640px;height:auto;color:inherit;overflow:visible}}
.ep-frame text{{fill:currentColor;font:120px system-ui,sans-serif}}
@container (min-width:520px){{.ep-frame text{{font-size:100px}}}}
.ep-frame .title{{font-weight:600}}
.ep-frame .mid{{text-anchor:middle}}
.ep-frame .end{{text-anchor:end}}
.ep-frame path{{fill:none;stroke:currentColor;stroke-width:16;stroke-linejoin:round}}
.ep-frame .dash{{stroke-dasharray:50 30}}
.ep-frame .axis{{stroke-width:8;opacity:.6}}
.ep-frame .fill{{fill:currentColor;stroke:none;shape-rendering:crispEdges}}
{_CLASSES}
"""

Number: TypeAlias = float | int
Integers: TypeAlias = NDArray[np.int64]


class Frame(NamedTuple):
    """A picture, and in words what is to be seen in it."""

    body: str
    height: int
    result: str

    def svg(self, values: str = "") -> str:
        """Return the picture as an `<svg>` whose text alternative is `values`, then the result."""
        label = escape(f"{values}: {self.result}" if values else self.result)
        start = f'<svg class="ep-frame" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {self.height}">'
        return f"{start}{self.body}</svg>"


class _Place(NamedTuple):
    """Where a panel is drawn, and how its data come there."""

    left: int
    top: int
    width: int
    height: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, values: ArrayLike) -> Integers:
        return self._along(values, self.x_range, self.left, self.width)

    def y(self, values: ArrayLike) -> Integers:
        return self._along(values, self.y_range, self.top + self.height, -self.height)

    @staticmethod
    def _along(values: ArrayLike, ends: tuple[float, float], start: int, length: int) -> Integers:
        shown = np.asarray(values, dtype=np.float64)
        if not np.isfinite(shown).all():
            raise ValueError("a value to be drawn is not finite")
        share = (np.clip(shown, min(ends), max(ends)) - ends[0]) / (ends[1] - ends[0])
        return np.rint(start + length * share).astype(np.int64)


def number(value: float) -> str:
    """Return a number in few letters, with a true minus sign: 0.25, −3e-05."""
    return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"


def span(*values: ArrayLike | torch.Tensor) -> tuple[float, float]:
    """Return ends for an axis that holds 0 and all these values with a little room; of zeros too."""
    low = min(0.0, *(plots.array(each).min() for each in values))
    high = max(0.0, *(plots.array(each).max() for each in values))
    room = 0.05 * (high - low) or 1.0
    return float(low - room), float(high + room)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most `most` round numbers between two values, at a distance of 1, 2 or 5 times a power of ten."""
    low, high = min(low, high), max(low, high)
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20, 50)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [k * step for k in range(first, last + 1)]


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}"{f" class={kind!r}" if kind else ""}>{escape(words)}</text>'.replace("'", '"')


def _path(x: Integers, y: Integers, kind: str) -> str:
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


def _color(color: str) -> str:
    if color not in COLORS:
        raise ValueError(f"color must be one of {', '.join(COLORS)}, the colours of eprop_nb.plots; it is {color!r}")
    return COLORS[color][0]


class Panel:
    """One pair of axes. Its methods add to it what is to be drawn; `figure` puts panels together to a frame.

    Parameters
    ----------
    x, y
        The values at the ends of the axes: left and right, bottom and top. What lies outside is drawn on the border.
    title
        What is shown, with its unit. The names of lines come after it.
    x_label, y_label
        What the axes are, with their units.
    x_ticks, y_ticks
        Where to write numbers, or names at 0, 1, 2, …; round numbers unless given.
    height
        The height of the plot in pixels of a frame that is 400 pixels wide.
    log
        Whether the x axis is logarithmic.
    """

    def __init__(
        self,
        x: tuple[Number, Number],
        y: tuple[Number, Number],
        *,
        title: str = "",
        x_label: str = "",
        y_label: str = "",
        x_ticks: Sequence[Number] | Sequence[str] | None = None,
        y_ticks: Sequence[Number] | Sequence[str] | None = None,
        height: int = 90,
        log: bool = False,
    ) -> None:
        self.log = log
        self.x, self.y = (float(x[0]), float(x[1])), (float(y[0]), float(y[1]))
        for name, ends in (("x", self.x), ("y", self.y)):
            if not (math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] != ends[1]):
                raise ValueError(f"{name} must be two different finite numbers; it is {ends}")
        if log:
            if min(self.x) <= 0:
                raise ValueError(f"x must be positive on a logarithmic axis; it is {self.x}")
            decades = math.log10(self.x[0]), math.log10(self.x[1])
            x_ticks = (
                [10.0**power for power in ticks(*decades) if power == round(power)] if x_ticks is None else x_ticks
            )
            self.x = decades
        self.title, self.x_label, self.y_label, self.height = title, x_label, y_label, 10 * height
        self.x_marks = self._marks(x_ticks, self.x, 5)
        self.y_marks = self._marks(y_ticks, self.y, max(2, height // 22))
        self.limit: float | None = None
        self._names: list[str] = []
        self._draw: list[Callable[[_Place], str]] = []

    def _marks(self, given: Sequence[Any] | None, ends: tuple[float, float], most: int) -> list[tuple[float, str]]:
        marks = list(ticks(*ends, most)) if given is None else list(given)
        if marks and isinstance(marks[0], str):
            return [(float(k), str(name)) for k, name in enumerate(marks)]
        places = self._x(marks) if self.log and ends is self.x else np.asarray(marks, dtype=float)
        return [(float(place), number(mark)) for place, mark in zip(places, marks, strict=True)]

    def _x(self, values: ArrayLike | torch.Tensor) -> plots.FloatArray:
        shown = plots.array(values)
        return np.log10(np.maximum(shown, 1e-300)) if self.log else shown

    def line(
        self,
        x: ArrayLike | torch.Tensor,
        y: ArrayLike | torch.Tensor,
        color: str = plots.INPUT,
        *,
        name: str = "",
        dashed: bool = False,
        steps: bool = False,
    ) -> Panel:
        """Add a line through points; `steps` keeps each value up to the next point. `name` goes beside the title."""
        across, up = self._x(x), plots.array(y)
        if across.shape != up.shape or across.ndim != 1 or len(across) < 2:
            raise ValueError(f"x and y must have one shape [points], of two or more: {across.shape} and {up.shape}")
        if steps:
            across, up = np.repeat(across, 2)[1:], np.repeat(up, 2)[:-1]
        kind = _color(color) + (" dash" if dashed else "")
        if name:
            sample = f'<tspan class="{_color(color)} title" dx="90">{"- -" if dashed else "—"}</tspan>'
            self._names.append(f'{sample}<tspan dx="35">{escape(name)}</tspan>')
        self._draw.append(lambda place: _path(place.x(across), place.y(up), kind))
        return self

    def spikes(
        self, x: ArrayLike | torch.Tensor, at: float = 0.0, color: str = plots.INPUT, *, size: float = 0.75
    ) -> Panel:
        """Add a tick at each of the times `x`, at height `at`, `size` high; both in units of the y axis."""
        fired, kind = self._x(x), _color(color)

        def draw(place: _Place) -> str:
            top, bottom = sorted(place.y([at - size / 2, at + size / 2]).tolist())
            ticks = "".join(f"M{x} {top}v{bottom - top}" for x in place.x(fired).tolist())
            return f'<path class="{kind}" d="{ticks}"/>' if ticks else ""

        self._draw.append(draw)
        return self

    def heat(self, values: ArrayLike | torch.Tensor, limit: float | None = None) -> Panel:
        """Fill the panel with cells for `values` [row, column], first row on top, from −`limit` to `limit`.

        Gold is above 0, violet below, and 0 is bare. `limit` is the largest absolute value unless given.
        """
        cells = plots.array(values)
        if cells.ndim != 2 or not cells.size or not np.isfinite(cells).all():
            raise ValueError(f"values must be finite numbers [row, column]; they have the shape {cells.shape}")
        bound = float(np.abs(cells).max()) if limit is None else float(limit)
        shades = (
            np.rint(np.clip(cells / bound, -1, 1) * LEVELS).astype(int) if bound > 0 else np.zeros(cells.shape, int)
        )
        self.limit = bound

        def draw(place: _Place) -> str:
            x = np.rint(np.linspace(place.left, place.left + place.width, cells.shape[1] + 1)).astype(int).tolist()
            y = np.rint(np.linspace(place.top, place.top + place.height, cells.shape[0] + 1)).astype(int).tolist()
            drawn: dict[int, str] = {}
            for row, line in enumerate(shades.tolist()):
                start = 0
                for column in range(1, len(line) + 1):  # neighbours of one shade become one rectangle
                    if column == len(line) or line[column] != line[start]:
                        width, height = x[column] - x[start], y[row + 1] - y[row]
                        rectangle = f"M{x[start]} {y[row]}h{width}v{height}h-{width}z"
                        drawn[line[start]] = drawn.get(line[start], "") + rectangle
                        start = column
            return "".join(_shade(level, path) for level, path in sorted(drawn.items()))

        self._draw.append(draw)
        return self

    def bars(self, values: Sequence[float], colors: Sequence[str], texts: Sequence[str] | None = None) -> Panel:
        """Add a bar for each value, from the left end of the axis, at the heights 0, 1, 2, …; a text follows each."""
        ends = self._x(list(values))
        words = [number(value) for value in values] if texts is None else list(texts)
        kinds = [_color(color) for color in colors]

        def draw(place: _Place) -> str:
            drawn = ""
            for k, (end, word, kind) in enumerate(zip(place.x(ends).tolist(), words, kinds, strict=True)):
                top, bottom = sorted(place.y([k - 0.32, k + 0.32]).tolist())
                drawn += f'<path class="fill {kind}" d="M{place.left} {top}H{end}V{bottom}H{place.left}z"/>'
                drawn += _text(end + 40, (top + bottom) / 2 + 40, word)
            return drawn

        self._draw.append(draw)
        return self

    def text(self, x: float, y: float, words: str) -> Panel:
        """Write `words` from the point (x, y) on, in units of the axes."""
        at = self._x([x])
        self._draw.append(lambda place: _text(place.x(at)[0] + 30, place.y([y])[0] - 30, words))
        return self

    def _margin(self) -> int:
        letters = max((len(name) for _, name in self.y_marks), default=0)
        return LETTER * letters + (55 if letters else 20) + (LINE if self.y_label else 0)

    def _head(self) -> int:
        return LINE + 30 if self.title or self._names else 50

    def _foot(self) -> int:
        return 50 + LINE * (bool(self.x_marks) + bool(self.x_label) + (self.limit is not None))

    def _render(self, left: int, right: int, top: int) -> str:
        """Return the panel between two edges, from `top` down."""
        place = _Place(left, top + self._head(), right - left, self.height, self.x, self.y)
        bottom, middle = place.top + place.height, (left + right) / 2
        parts = [draw(place) for draw in self._draw]
        x, y = place.x([at for at, _ in self.x_marks]).tolist(), place.y([at for at, _ in self.y_marks]).tolist()
        strokes = "".join(f"M{at} {bottom}v35" for at in x)
        if not (self.y_marks and self.limit is not None):  # the names beside a heat map need no ticks
            strokes += "".join(f"M{left} {at}h-35" for at in y)
        parts.append(f'<path class="axis" d="M{left} {place.top}V{bottom}H{right}{strokes}"/>')
        line = bottom + 35
        if self.x_marks:
            line += LINE - 20
            parts += [_text(at, line, name, "mid") for at, (_, name) in zip(x, self.x_marks, strict=True)]
        parts += [_text(left - 55, at + 40, name, "end") for at, (_, name) in zip(y, self.y_marks, strict=True)]
        if self.x_label:
            line += LINE
            parts.append(_text(middle, line, self.x_label, "mid"))
        if self.y_label:
            turned = left - self._margin() + LINE - 20
            parts.append(
                f'<text class="mid" transform="translate({turned} {place.top + place.height // 2})rotate(-90)">'
                f"{escape(self.y_label)}</text>"
            )
        if self.limit is not None:
            parts.append(_scale(self.limit, middle, line + LINE, min(right - left, 1800)))
        if self.title or self._names:
            head = f'<tspan class="title">{escape(self.title)}</tspan>{"".join(self._names)}'
            parts.append(f'<text x="{left}" y="{top + LINE - 40}">{head}</text>')
        return "".join(parts)


def _shade(level: int, path: str) -> str:
    if level == 0:
        return ""
    sign = "plus" if level > 0 else "minus"
    return f'<path class="fill {sign}" opacity="{abs(level) / LEVELS:.2g}" d="{path}"/>'


def _scale(limit: float, middle: float, y: int, room: int) -> str:
    """Return the key of a heat map: its colours, with the values at both ends, or with ± where there is no room."""
    low, high = f"−{limit:.2g}", f"{limit:.2g}"
    beside = LETTER * len(low) + 40
    wide = room > 2 * beside + 600
    if not wide:
        low, high, beside = "", f"±{high}", (beside + 40) // 2
    step = min(1200, room - 2 * beside) // (2 * LEVELS + 1)
    left = round(middle) - step * (2 * LEVELS + 1) // 2 - (0 if wide else beside)
    right = left + step * (2 * LEVELS + 1)
    cells = [(level, left + step * (level + LEVELS)) for level in range(-LEVELS, LEVELS + 1)]
    drawn = "".join(_shade(level, f"M{x} {y - 80}h{step}v80h-{step}z") for level, x in cells)
    drawn += f'<path class="axis" d="M{left} {y - 80}H{right}v80H{left}z"/>{_text(right + 40, y, high)}'
    return drawn + (_text(left - 40, y, low, "end") if wide else "")


def figure(rows: Sequence[Panel | Sequence[Panel]], *, result: str) -> Frame:
    """Put panels below one another, or side by side where a row holds several.

    Parameters
    ----------
    rows
        From top to bottom: a panel, or panels from left to right.
    result
        What is to be seen, in words, with its numbers: the text alternative, and what a test compares.

    Returns
    -------
    Frame
        What a drawing function of `eprop_nb.display.sliders.view` returns.

    Raises
    ------
    ValueError
        If there is no panel, or no result.
    """
    grid = [[row] if isinstance(row, Panel) else list(row) for row in rows]
    if not grid or not all(grid):
        raise ValueError("a figure must have a panel in each of its rows, and a row")
    if not result.strip():
        raise ValueError("result must say in words what is to be seen")
    wide = max(row[0]._margin() for row in grid)  # one left edge for all rows, so that time axes agree
    body, top = "", 0
    for row in grid:
        gap = 100
        share = (WIDTH - EDGE - wide - sum(panel._margin() + gap for panel in row[1:])) // len(row)
        left = wide
        head = max(panel._head() for panel in row)
        for k, panel in enumerate(row):
            left += panel._margin() + gap if k else 0
            body += panel._render(left, left + share, top + head - panel._head())
            left += share
        top += head + max(panel.height + panel._foot() for panel in row)
    return Frame(body, top + 20, result)
