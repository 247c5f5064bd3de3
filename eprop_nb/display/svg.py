"""Small pictures as SVG text, for the frames of sliders, of which a page holds hundreds.

Chapters need `Panel` and `figure`, and at times `span` and `number`. Colours and strokes are classes, whose meaning
(`STYLE`) stands once beside the frames and follows the light or dark theme of the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike

from eprop_nb import _checks
from eprop_nb.display import _marks, plots
from eprop_nb.display._marks import LETTER, LEVELS, Place, finite, number, ticks
from eprop_nb.display.themes import COLORS, VARIABLES

__all__ = ["STYLE", "Frame", "Panel", "figure", "number", "span"]

WIDTH = 4000  # of a frame; see `_marks` for the unit
EDGE = 130  # room on the right, for half of the last number of an axis
LINE = 150  # the height of a line of text

_CLASSES = "".join(f".ep-frame .{name}{{color:var(--ep-{name})}}" for name, _ in COLORS.values())

# Letters: 125 of 4000 are 11 px in a column of 358 px, as a phone has; on a desktop 100 are 16 px.
STYLE = f"""{VARIABLES}
.ep-frame{{display:block;width:100%;max-width:640px;height:auto;color:inherit;overflow:visible}}
.ep-frame text{{fill:currentColor;font:125px system-ui,sans-serif}}
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

Values: TypeAlias = ArrayLike | torch.Tensor
Ends: TypeAlias = tuple[float, float]
Marks: TypeAlias = Sequence[float] | Sequence[str]


class Frame(NamedTuple):
    """A picture, and in words what is to be seen in it; `asked`, if any, is what a reader presses to see the words."""

    body: str
    height: int
    result: str
    asked: str = ""

    def html(self, values: str) -> str:
        """Return the picture and its result below it, as they stand in a page.

        The text alternative is where the sliders stand, `values`. The result is not in it: it is text of the page, so
        that nobody hears it twice, and nobody hears it before having asked.
        """
        result = f'<p class="ep-result">{escape(self.result)}</p>'
        if self.asked:
            result = f"<details><summary>{escape(self.asked)}</summary>{result}</details>"
        head = f'<svg class="ep-frame" role="img" aria-label="{escape(values)}" viewBox="0 0 {WIDTH} {self.height}">'
        return f"{head}{self.body}</svg>{result}"


def span(*values: Values) -> Ends:
    """Return ends for an axis that holds 0 and all these values with a little room; of zeros too."""
    shown = np.concatenate([[0.0], *(finite("values", each, "").ravel() for each in values)])
    room = 0.05 * float(shown.max() - shown.min()) or 1.0
    return float(shown.min() - room), float(shown.max() + room)


def _ends(name: str, value: Any, log: bool) -> Ends:
    ends = finite(name, value, "[end]").tolist()
    if len(ends) != 2 or not 1e-300 < abs(ends[1] - ends[0]) < 1e300:
        raise ValueError(f"{name} must be two different numbers, the ends of the axis, got {value!r}")
    low, high = ends
    if log and min(low, high) <= 0:
        raise ValueError(f"{name} must be positive on a logarithmic axis, got {value!r}")
    return (math.log10(low), math.log10(high)) if log else (low, high)


def _color(name: str, color: object) -> str:
    if not isinstance(color, str) or color not in COLORS:
        known = ", ".join(sorted(f"plots.{kind.upper()}" for kind, _ in COLORS.values()))
        raise ValueError(f"{name} must be a colour of eprop_nb.display.plots ({known}), got {color!r}")
    return COLORS[color][0]


def _word(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {value!r} of type {type(value).__name__}")
    return value


def _several(name: str, values: Any, what: str) -> list[Any]:
    """Return a sequence as a list; a text is none, although Python can take it for one of letters."""
    try:
        if isinstance(values, (str, bytes)):
            raise TypeError
        return list(values)
    except TypeError:
        raise TypeError(f"{name} must be a sequence of {what}, got {values!r}") from None


class Panel:
    """One pair of axes. Its methods add to it what is to be drawn; `figure` puts panels together to a frame.

    Each method returns the panel, so that calls can be chained. What lies outside the axes is drawn on their border.

    Parameters
    ----------
    x, y
        The values at the ends of the axes: left and right, bottom and top.
    title
        What is shown, with its unit. The names of lines come after it.
    x_label, y_label
        What the axes are, with their units.
    x_ticks, y_ticks
        Where to write numbers, or names at 0, 1, 2, …; round numbers unless given, and none if empty.
    height
        The height of the plot in pixels of a frame that is 400 pixels wide.
    log
        Whether the x axis is logarithmic.

    Raises
    ------
    TypeError, ValueError
        If the ends of an axis are not two different finite numbers, positive on a logarithmic axis; if a tick lies
        outside them; if `height` is not a whole number above 0, or a title or label is no text. The methods raise
        for what is not finite, has another shape than they say, or a colour that is not one of `plots`.
    """

    def __init__(
        self,
        x: Ends,
        y: Ends,
        *,
        title: str = "",
        x_label: str = "",
        y_label: str = "",
        x_ticks: Marks | None = None,
        y_ticks: Marks | None = None,
        height: int = 90,
        log: bool = False,
    ) -> None:
        self.log = bool(log)
        self.x, self.y = _ends("x", x, self.log), _ends("y", y, log=False)
        self.title, self.x_label, self.y_label = (
            _word(name, value) for name, value in (("title", title), ("x_label", x_label), ("y_label", y_label))
        )
        self.height = 10 * _checks.whole("height", height, 1)
        if x_ticks is None:
            x_ticks = [10.0**power for power in ticks(*self.x) if power == round(power)] if self.log else ticks(*self.x)
        if y_ticks is None:
            y_ticks = ticks(*self.y, max(2, self.height // 220))
        self.x_marks = self._ticks("x_ticks", x_ticks, self.x, self._x)
        self.y_marks = self._ticks("y_ticks", y_ticks, self.y, finite)
        self.key = ""  # the text below a heat map's colours
        self.limit: float | None = None  # of a heat map
        self._names: list[str] = []
        self._draw: list[Callable[[Place], str]] = []

    @staticmethod
    def _ticks(name: str, given: Marks, ends: Ends, places: Callable[..., Any]) -> list[tuple[float, str]]:
        """Return where the ticks of an axis are, and what is written there."""
        marks = _several(name, given, "numbers or names")
        words = [mark for mark in marks if isinstance(mark, str)]
        if words and len(words) < len(marks):
            raise TypeError(f"{name} must be numbers or names, and not both, got {given!r}")
        at = [float(k) for k in range(len(words))] if words else places(name, marks, "[tick]").tolist()
        margin = 1e-9 * abs(ends[1] - ends[0])
        if not all(min(ends) - margin <= place <= max(ends) + margin for place in at):
            raise ValueError(f"{name} must lie between the ends of the axis, got {given!r}")
        return list(zip(at, words or [number(float(mark)) for mark in marks], strict=True))

    def _x(self, name: str, values: Any, axes: str) -> plots.FloatArray:
        """Return values along the x axis, as they are drawn there."""
        shown = finite(name, values, axes)
        if self.log and (shown <= 0).any():
            raise ValueError(f"{name} must be positive on a logarithmic axis, got {shown.min():g}")
        return np.log10(shown) if self.log else shown

    def line(
        self,
        x: Values,
        y: Values,
        color: str = plots.INPUT,
        *,
        name: str = "",
        dashed: bool = False,
        steps: bool = False,
    ) -> Panel:
        """Add a line through points; `steps` keeps each value up to the next point. `name` goes beside the title."""
        across, up = self._x("x", x, "[point]"), finite("y", y, "[point]")
        if across.shape != up.shape or len(across) < 2:
            raise ValueError(f"x and y must have one length, of two or more points, got {len(across)} and {len(up)}")
        if steps:
            across, up = np.repeat(across, 2)[1:], np.repeat(up, 2)[:-1]
        kind = _color("color", color)
        if _word("name", name):
            sample = f'<tspan class="{kind} title" dx="90">{"- -" if dashed else "—"}</tspan>'
            self._names.append(f'{sample}<tspan dx="35">{escape(name)}</tspan>')
        drawn_as = kind + (" dash" if dashed else "")
        self._draw.append(lambda place: _marks.line(place.x(across), place.y(up), drawn_as))
        return self

    def spikes(self, x: Values, at: float = 0.0, color: str = plots.INPUT, *, size: float = 0.75) -> Panel:
        """Add a tick at each of the times `x` [spike], at height `at`, `size` high; both in units of the y axis."""
        fired, kind = self._x("x", x, "[spike]"), _color("color", color)
        (middle,) = finite("at", [at], "[height]")
        half = _checks.real("size", size) / 2

        def draw(place: Place) -> str:
            top, bottom = sorted(place.y([middle - half, middle + half]).tolist())
            path = "".join(f"M{across} {top}v{bottom - top}" for across in place.x(fired).tolist())
            return f'<path class="{kind}" d="{path}"/>' if path else ""

        self._draw.append(draw)
        return self

    def heat(self, values: Values, limit: float | None = None, *, decades: float | None = None) -> Panel:
        """Fill the panel with cells for `values` [row, column], first row on top, from −`limit` to `limit`.

        Gold is above 0, violet below, and 0 is bare. `limit` is the largest absolute value unless given; give it where
        frames are to be compared. With `decades` the shades are logarithmic: the faintest stands for values that many
        powers of ten below `limit`, what is smaller is bare, and the key says so.
        """
        if self.limit is not None:
            raise ValueError("a panel must have one heat map, as it has one key, got a second one")
        numbers = finite("values", values, "[row, column]")
        if not numbers.size:
            raise ValueError(
                f"values must be finite numbers [row, column], at least one, got the shape {numbers.shape}"
            )
        bound = float(np.abs(numbers).max()) if limit is None else _checks.real("limit", limit, zero_allowed=True)
        shares = np.clip(numbers / bound, -1, 1) if bound > 0 else np.zeros(numbers.shape)
        self.limit = bound
        if decades is not None:
            fall = _checks.real("decades", decades)
            with np.errstate(divide="ignore"):
                sizes = np.clip(1 + np.log10(np.abs(shares)) / fall, 0, 1)
            shares = np.sign(shares) * np.where(sizes > 0, np.maximum(sizes, 1 / LEVELS), 0)
            self.key = f"logarithmic, bare below {number(bound * 10**-fall)}"
        shades = np.rint(shares * LEVELS).astype(np.int64)
        self._draw.append(lambda place: _marks.cells(place, shades))
        return self

    def bars(self, values: Sequence[float], colors: Sequence[str], texts: Sequence[str] | None = None) -> Panel:
        """Add a bar for each value, from the left end of the axis, at the heights 0, 1, 2, …; a text follows each."""
        ends = self._x("values", values, "[bar]")
        shown = [number(float(value)) for value in values] if texts is None else _several("texts", texts, "texts")
        words = [_word("texts", word) for word in shown]
        kinds = [_color("colors", color) for color in _several("colors", colors, "colours")]
        if not len(ends) == len(words) == len(kinds):
            counts = f"{len(ends)} values, {len(kinds)} colors, {len(words)} texts"
            raise ValueError(f"values, colors and texts must be as many, got {counts}")

        def draw(place: Place) -> str:
            drawn = ""
            for k, (end, word, kind) in enumerate(zip(place.x(ends).tolist(), words, kinds, strict=True)):
                top, bottom = sorted(place.y([k - 0.32, k + 0.32]).tolist())
                drawn += f'<path class="fill {kind}" d="M{place.left} {top}H{end}V{bottom}H{place.left}z"/>'
                drawn += _marks.text(end + 40, (top + bottom) / 2 + 40, word)
            return drawn

        self._draw.append(draw)
        return self

    def text(self, x: float, y: float, words: str) -> Panel:
        """Write `words` from the point (x, y) on, in units of the axes."""
        across, up = self._x("x", [x], "[point]"), finite("y", [y], "[point]")
        written = _word("words", words)
        self._draw.append(lambda place: _marks.text(place.x(across)[0] + 30, place.y(up)[0] - 30, written))
        return self

    def _margin(self) -> int:
        letters = max((len(name) for _, name in self.y_marks), default=0)
        return LETTER * letters + (55 if letters else 20) + (LINE if self.y_label else 0)

    def _head(self) -> int:
        return LINE + 30 if self.title or self._names else 50

    def _foot(self) -> int:
        return 80 + LINE * (bool(self.x_marks) + bool(self.x_label) + (self.limit is not None) + bool(self.key))

    def _render(self, left: int, right: int, top: int) -> str:
        """Return the panel between two edges, from `top` down."""
        place = Place(left, top + self._head(), right - left, self.height, self.x, self.y)
        bottom, middle = place.top + place.height, (left + right) / 2
        parts = [draw(place) for draw in self._draw]
        x, y = place.x([at for at, _ in self.x_marks]).tolist(), place.y([at for at, _ in self.y_marks]).tolist()
        strokes = "".join(f"M{at} {bottom}v35" for at in x)
        if not (self.y_marks and self.limit is not None):  # the names beside a heat map need no ticks
            strokes += "".join(f"M{left} {at}h-35" for at in y)
        parts.append(f'<path class="axis" d="M{left} {place.top}V{bottom}H{right}{strokes}"/>')
        parts += [_marks.text(left - 55, at + 40, name, "end") for at, (_, name) in zip(y, self.y_marks, strict=True)]
        line = bottom + 35
        if self.x_marks:
            line += LINE - 20
            parts += [_marks.text(at, line, name, "mid") for at, (_, name) in zip(x, self.x_marks, strict=True)]
        if self.x_label:
            line += LINE
            parts.append(_marks.text(middle, line, self.x_label, "mid"))
        if self.y_label:
            turned = left - self._margin() + LINE - 20
            parts.append(
                f'<text class="mid" transform="translate({turned} {place.top + place.height // 2})rotate(-90)">'
                f"{escape(self.y_label)}</text>"
            )
        if self.limit is not None:
            parts.append(_marks.key(self.limit, middle, line + LINE, min(right - left, 1800)))
        if self.key:
            parts.append(_marks.text(middle, line + 2 * LINE, self.key, "mid"))
        if self.title or self._names:
            head = f'<tspan class="title">{escape(self.title)}</tspan>{"".join(self._names)}'
            parts.append(f'<text x="{left}" y="{top + LINE - 40}">{head}</text>')
        return "".join(parts)


def figure(rows: Sequence[Panel | Sequence[Panel]], *, result: str, asked: str = "") -> Frame:
    """Put panels below one another, or side by side where a row holds several.

    Parameters
    ----------
    rows
        From top to bottom: a panel, or panels from left to right.
    result
        What this frame shows, in one short sentence with its numbers. It is written below the picture, and it is what
        a test of the notebook compares.
    asked
        Hides the result until the reader asks for it, by pressing these words ("Show the error"). Titles and texts of
        the panels are shown at once in any case: they must not give the answer away.

    Returns
    -------
    Frame
        What a drawing function of `eprop_nb.display.sliders.view` returns.

    Raises
    ------
    TypeError, ValueError
        If there is no panel, or more in a row than have room; if there is no result, or it is no text.
    """
    grid = [
        [row] if isinstance(row, Panel) else _several("rows", row, "panels, or of rows of panels")
        for row in _several("rows", rows, "panels, or of rows of panels")
    ]
    if not grid or not all(row and all(isinstance(panel, Panel) for panel in row) for row in grid):
        raise ValueError(f"rows must hold panels, in each row at least one, got {rows!r}")
    if not _word("result", result).strip():
        raise ValueError("result must say in words what is to be seen, got an empty text")
    wide = max(row[0]._margin() for row in grid)  # one left edge for all rows, so that time axes agree
    body, top, gap = "", 0, 100
    for row in grid:
        share = (WIDTH - EDGE - wide - sum(panel._margin() + gap for panel in row[1:])) // len(row)
        if share < 500:
            raise ValueError(f"rows must have room for their panels and the names beside them, got {len(row)} in one")
        left = wide
        head = max(panel._head() for panel in row)
        for k, panel in enumerate(row):
            left += panel._margin() + gap if k else 0
            body += panel._render(left, left + share, top + head - panel._head())
            left += share
        top += head + max(panel.height + panel._foot() for panel in row)
    return Frame(body, top + 20, result, _word("asked", asked))
