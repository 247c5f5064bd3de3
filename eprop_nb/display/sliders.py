"""Sliders that work without a kernel: every frame is computed when the cell runs, and the page only switches them.

The one function that chapters need is `view`. `eprop_nb` itself does not import this module, nor ipywidgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import islice, product
from math import prod
from typing import Any, NamedTuple

import ipywidgets as widgets

from eprop_nb.display.svg import STYLE, Frame

MAX_FRAMES = 100  #: of one view: at some 2 to 4 KB gzipped each, more would weigh more than the rest of a page

# ipywidgets 8 has a widget that shows one of its children. In version 7 it is that of tabs, without its bar.
_Stack = getattr(widgets, "Stack", widgets.Tab)

# What a slider looks like: its name above it, a handle that a thumb can hold, colours of the theme it stands in.
_SLIDER_STYLE = """
.ep-sliders{max-width:640px;margin:.5rem 0;overflow:hidden}
.ep-sliders.jupyter-widgets,.ep-sliders .jupyter-widgets{color:inherit}
.ep-frames{container-type:inline-size}
.ep-sliders .widget-slider{display:flex;flex-wrap:wrap;gap:0 .6em;width:auto;height:auto;margin:0}
.ep-sliders .widget-label,.ep-sliders .widget-readout{flex:none;width:auto!important;max-width:100%;height:auto}
.ep-sliders .widget-label,.ep-sliders .widget-readout{text-align:left;white-space:normal;overflow-wrap:anywhere}
.ep-sliders .widget-label,.ep-sliders .widget-readout{font-size:1rem;line-height:1.4;color:inherit}
.ep-sliders .slider-container{order:1;flex:none;width:100%;height:44px;margin:0}
.ep-sliders .widget-readout{min-width:0;margin:0;padding:0;border:0;background:none}
.ep-sliders .widget-readout{font-weight:600;font-variant-numeric:tabular-nums}
.ep-sliders .widget-html,.ep-sliders .widget-html-content{width:100%;height:auto;margin:0;color:inherit}
.ep-sliders .widget-html-content{line-height:normal;font-size:inherit;overflow:visible}
.ep-style{display:none}
.ep-sliders .ep-result{margin:.2rem 0 .6rem;font-size:1rem;line-height:1.4}
.ep-sliders summary{padding:.6rem 2px;font-size:1rem;font-weight:600;cursor:pointer}
.ep-sliders .noUi-horizontal{height:6px;margin:19px 16px;border:0;border-radius:3px;background:currentColor}
.ep-sliders .noUi-horizontal{box-shadow:none;opacity:1;touch-action:none}
.ep-sliders .noUi-horizontal .noUi-handle{width:28px;height:28px;right:-14px;top:-11px;border-radius:50%}
.ep-sliders .noUi-horizontal .noUi-handle{background:var(--ep-lif);border:3px solid #fff;cursor:grab}
.ep-sliders .noUi-horizontal .noUi-handle{box-shadow:0 0 0 1px #0006,0 1px 4px #0006}
.ep-sliders .noUi-handle::before,.ep-sliders .noUi-handle::after{display:none}
.ep-sliders [role=slider]:focus-visible{outline:3px solid var(--ep-alif);outline-offset:3px}
.ep-sliders .noUi-touch-area{position:absolute;inset:-8px;width:auto;height:auto}
.ep-sliders .jupyter-widgets.widget-tab>.p-TabBar{display:none}
.ep-sliders .jupyter-widgets.widget-tab>.widget-tab-contents{padding:0;border:0;background:none;color:inherit}
.ep-sliders .slider-container .ui-slider{width:auto;height:6px;margin:19px 16px;border:0;border-radius:3px}
.ep-sliders .slider-container .ui-slider{background:currentColor}
.ep-sliders .ui-slider .ui-slider-handle{width:28px;height:28px;margin:0 0 0 -14px;top:-11px;border-radius:50%}
.ep-sliders .ui-slider .ui-slider-handle{background:var(--ep-lif);border:3px solid #fff;cursor:grab}
.ep-sliders .ui-slider .ui-slider-handle{box-shadow:0 0 0 1px #0006,0 1px 4px #0006}
"""

# What the widgets leave out, for those who have the page read to them: a handle has no name, and tells its index and
# not its value; and what the frame shows is to be read out when it changes. No setting of a widget reaches there, in a
# page, in JupyterLab or elsewhere; but wherever the rules above are loaded, so is this.
_NAMES = """
const view = this.closest('.ep-sliders');
const set = (element, name, value) => element.getAttribute(name) === value || element.setAttribute(name, value);
const describe = () => {
  for (const slider of view.querySelectorAll('.widget-slider')) {
    const [handle, label, readout] = ['.noUi-handle,.ui-slider-handle', '.widget-label', '.widget-readout']
      .map((name) => slider.querySelector(name));
    if (!handle || !label || !readout) continue;
    readout.removeAttribute('contenteditable');
    set(handle, 'role', 'slider');
    set(handle, 'aria-label', label.textContent);
    set(handle, 'aria-valuetext', readout.textContent);
  }
  view.querySelectorAll('.ep-frames').forEach((frames) => set(frames, 'aria-live', 'polite'));
};
const options = { subtree: true, childList: true, characterData: true, attributeFilter: ['aria-valuetext'] };
new MutationObserver(describe).observe(view, options);
describe();
"""


class Grid(NamedTuple):
    """The values of one slider, its name on the page, its unit, and the value it starts at (else the first)."""

    values: Iterable[Any]
    label: str = ""
    unit: str = ""
    start: Any = None


class GridPointError(RuntimeError):
    """The drawing function failed at a point of the grid, or returned no frame; the message names the point."""


class SliderView(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no type annotations
    """Sliders above the frame that they choose, as `view` makes it.

    Where widgets cannot be shown, it is a text with the label of every frame. The text is also what a notebook is
    committed with, so that a test which runs the notebook compares every point of the grid.
    """

    points: list[dict[str, Any]]
    """The values at each frame, the last slider first to change."""
    labels: list[str]
    """Each frame in words: the values, then the result."""
    frames: list[str]
    """The markup of each frame: the picture, and its result below it."""

    _ipython_display_ = None  # ipywidgets 7 has one, which would come first, with another text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        title = f"A figure with {len(self.points[0])} slider{'s'[: len(self.points[0]) > 1]}; its frames:"
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": "\n".join([title, *self.labels]), "application/vnd.jupyter.widget-view+json": view}


class _Slider(NamedTuple):
    """A grid, checked: its name in the code, its values, and how the page writes them."""

    name: str
    values: list[Any]
    texts: list[str]
    label: str
    start: int

    @classmethod
    def of(cls, name: str, given: Grid | Iterable[Any]) -> _Slider:
        grid = given if isinstance(given, Grid) else Grid(given)
        try:  # a grid may have no end, and a set has no order
            if isinstance(grid.values, (str, bytes, set, frozenset)):
                raise TypeError
            values = [_plain(value) for value in islice(grid.values, MAX_FRAMES + 1)]
        except (TypeError, RuntimeError):  # a RuntimeError comes from a tensor without data
            raise TypeError(f"the grid {name} must be a sequence of values, got {grid.values!r}") from None
        if not (isinstance(grid.label, str) and isinstance(grid.unit, str)):
            raise TypeError(f"the grid {name} must have texts as label and unit, got {grid.label!r} and {grid.unit!r}")
        if not values:
            raise ValueError(f"the grid {name} must have a value, got none")
        if len(values) > MAX_FRAMES:
            raise ValueError(f"the grid {name} must have at most {MAX_FRAMES} values, got more")
        start = values[0] if grid.start is None else _plain(grid.start)
        for value in (*values, start):
            if not isinstance(value, (int, float, str)):
                raise TypeError(f"the grid {name} must hold numbers or words, got {value!r}")
        unit = f" {grid.unit}" if grid.unit else ""
        texts = [(f"{value:g}" if isinstance(value, float) else str(value)) + unit for value in values]
        repeated = [text for k, text in enumerate(texts) if text in texts[:k]]
        if repeated:
            raise ValueError(f"the grid {name} must show each value once, got {repeated[0]} more than once")
        if start not in values:
            raise ValueError(f"the grid {name} must start at one of its values, got {grid.start!r}")
        return cls(name, values, texts, grid.label or name, values.index(start))

    def widget(self) -> Any:
        return widgets.SelectionSlider(
            options=list(zip(self.texts, range(len(self.texts)), strict=True)),
            index=self.start,
            description=self.label,
            style={"description_width": "initial"},
            layout={"width": "100%"},
        )


def _plain(value: Any) -> Any:
    """Return a number that NumPy or PyTorch holds as Python holds it, and anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def _frames(draw: Callable[..., Frame], grids: list[_Slider]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield the values, the words and the markup of each frame."""
    for indices in product(*(range(len(grid.values)) for grid in grids)):
        point = {grid.name: grid.values[k] for grid, k in zip(grids, indices, strict=True)}
        at = ", ".join(f"{name}={value!r}" for name, value in point.items())
        try:
            frame = draw(**point)
        except Exception as error:
            raise GridPointError(f"the drawing function failed at {at}: {type(error).__name__}: {error}") from error
        if not isinstance(frame, Frame):
            raise GridPointError(f"the drawing function returned {type(frame).__name__} at {at}, and not a Frame")
        values = ", ".join(f"{grid.label} {grid.texts[k]}" for grid, k in zip(grids, indices, strict=True))
        yield point, f"{values}: {frame.result}", frame.html(values)


def view(draw: Callable[..., Frame], **grids: Grid | Iterable[Any]) -> SliderView:
    """Draw a frame at every point of one or two grids, and return sliders that switch between the frames.

    The switching is done by the page: in JupyterLab, and in a published page with no kernel behind it.

    Parameters
    ----------
    draw
        Is called with one value of each grid, by name, and returns a frame, as `eprop_nb.display.svg.figure` makes it.
    **grids
        The values of each slider, numbers or words: a sequence, or a `Grid` with a label, a unit and a start.

    Returns
    -------
    SliderView
        The view, to be displayed; its `points`, `labels` and `frames` are for tests.

    Raises
    ------
    GridPointError
        If `draw` fails at a point, which the message names and whose error is the cause, or returns no frame.
    TypeError, ValueError
        If there is no grid or more than two, if one is empty, has a value twice or holds what is neither number nor
        word, or if there are more than `MAX_FRAMES` points. All of this is found before anything is drawn.
    """
    if not callable(draw):
        raise TypeError(f"draw must be a function that returns a frame, got {draw!r}")
    if not 1 <= len(grids) <= 2:
        raise ValueError(f"there must be one grid or two, got {len(grids)}")
    checked = [_Slider.of(name, grid) for name, grid in grids.items()]
    count = prod(len(grid.values) for grid in checked)
    if count > MAX_FRAMES:
        raise ValueError(f"the grids must have at most {MAX_FRAMES} points together, got {count}")
    drawn = list(_frames(draw, checked))  # all of them, before there is anything to display

    # The frames share one layout and one style, which would otherwise weigh as much as a small frame.
    frames = [widgets.HTML(drawn[0][2], layout={"width": "100%"})]
    frames += [widgets.HTML(svg, layout=frames[0].layout, style=frames[0].style) for *_, svg in drawn[1:]]
    handles = [grid.widget() for grid in checked]
    stack = _stack(frames, checked[-1].start)
    if len(checked) == 2:
        columns = len(checked[1].values)
        inner = [_stack(frames[k : k + columns], checked[1].start) for k in range(0, count, columns)]
        for each in inner:
            widgets.jslink((handles[1], "index"), (each, "selected_index"))
        stack = _stack(inner, checked[0].start)
    widgets.jslink((handles[0], "index"), (stack, "selected_index"))
    script = escape(" ".join(_NAMES.split()))
    rules = widgets.HTML(f'<style onload="{script}">{STYLE}{_SLIDER_STYLE}</style>')
    rules.add_class("ep-style")
    shown = SliderView([rules, *handles, stack], layout={"width": "auto"})
    shown.add_class("ep-sliders")
    stack.add_class("ep-frames")
    shown.points = [point for point, _, _ in drawn]
    shown.labels = [label for _, label, _ in drawn]
    shown.frames = [svg for _, _, svg in drawn]
    return shown


def _stack(children: list[Any], start: int) -> Any:
    return _Stack(children, selected_index=start, layout={"width": "100%"})
