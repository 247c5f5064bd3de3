"""A Sphinx extension that shows in the place of a slider, until there is one, its first frame and its results as text.

What a widget shows stands in the page as data, which a script turns into a picture: without JavaScript, or while the
script is on its way, there would be nothing. Here the frame that the sliders start at is put before them, as high as
they will be, and `book/_extra/widgets.js` takes it away when they have come. The results at every position follow as a
table, for good: open where no script runs, else for whoever asks.
"""

from __future__ import annotations

import json
import re
from html import escape
from itertools import product
from typing import Any, NamedTuple

from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.util import logging

LOG = logging.getLogger(__name__)
VIEW = re.compile(r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.DOTALL)
REFERENCE = "IPY_MODEL_"
RULES = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
RESULT = re.compile(r'<p class="ep-result">(.*?)</p>', re.DOTALL)
CLOSE = "<script>document.currentScript.previousElementSibling.open = false;</script>"
NO_SCRIPT = (
    "<noscript><p>Without JavaScript the sliders stay here. The table below has the results at every position.</p>"
    "</noscript>"
)

Models = dict[str, dict[str, Any]]


class NoSlidersError(ValueError):
    """A widget is not what `eprop_nb.display.sliders.view` makes, so that nobody knows how to show it as it stands."""


class View(NamedTuple):
    """Sliders as the page holds them."""

    rules: str
    """What the frames look like, as CSS."""
    names: list[str]
    """What each slider is called."""
    texts: list[list[str]]
    """The values of each slider, as the page writes them."""
    starts: list[int]
    """Where each slider stands at first."""
    frames: list[str]
    """The markup of each frame, the last slider first to change."""

    @property
    def first(self) -> str:
        """The frame that is seen first."""
        at = 0
        for start, texts in zip(self.starts, self.texts, strict=True):
            at = at * len(texts) + start
        return self.frames[at]


def _children(models: Models, name: str) -> list[str]:
    return [child.removeprefix(REFERENCE) for child in models[name]["state"].get("children", [])]


def _leaves(models: Models, name: str) -> list[str]:
    """Return the markup of the frames below a stack, or that of a frame."""
    children = _children(models, name)
    if not children:
        return [models[name]["state"]["value"]]
    return [leaf for child in children for leaf in _leaves(models, child)]


def read(models: Models, name: str) -> View:
    """Return the sliders whose model has that name in the widgets' state.

    Raises
    ------
    NoSlidersError
        If the model is another widget.
    """
    if "ep-sliders" not in models.get(name, {}).get("state", {}).get("_dom_classes", []):
        raise NoSlidersError(name)
    style, *handles, stack = _children(models, name)
    rules = RULES.fullmatch(models[style]["state"]["value"])
    if rules is None:
        raise NoSlidersError(name)
    sliders = [models[handle]["state"] for handle in handles]
    return View(
        rules[1],
        [slider["description"] for slider in sliders],
        [list(slider["_options_labels"]) for slider in sliders],
        [slider["index"] for slider in sliders],
        _leaves(models, stack),
    )


def before(view: View) -> str:
    """Return what stands in the place of the sliders until they come: their values, and the first frame."""
    rows = "".join(
        f'<p class="ep-stand">{escape(name)} <b>{escape(texts[start])}</b></p>'
        for name, texts, start in zip(view.names, view.texts, view.starts, strict=True)
    )
    return f'<div class="ep-sliders ep-first">{rows}{NO_SCRIPT}<div class="ep-frames">{view.first}</div></div>'


def after(view: View) -> str:
    """Return the results at every position; closed, if a frame too shows its result only to who asks for it."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (*view.names, "result"))
    rows = ""
    for values, frame in zip(product(*view.texts), view.frames, strict=True):
        found = RESULT.search(frame)
        cells = "".join(f"<td>{escape(value)}</td>" for value in values)
        rows += f"<tr>{cells}<td>{found[1] if found else ''}</td></tr>"
    table = f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    asked = "<details" in view.first
    opened = "" if asked else " open"
    summary = "<summary>The results at every position</summary>"
    return f'<details class="ep-all"{opened}>{summary}{table}</details>{"" if asked else CLOSE}'


def with_first_frames(body: str, models: Models) -> tuple[str, list[str], list[str]]:
    """Return a page with what stands before and after its sliders, the rules for it, and widgets that are none."""
    rules: list[str] = []
    failed: list[str] = []

    def one(found: re.Match[str]) -> str:
        name = json.loads(found[1])["model_id"]
        try:
            view = read(models, name)
        except NoSlidersError:
            failed.append(name)
            return found[0]
        if view.rules not in rules:
            rules.append(view.rules)
        return before(view) + found[0] + after(view)

    return VIEW.sub(one, body), rules, failed


def put(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Put the first frames and the results into a page with sliders."""
    if app.builder.format != "html" or not VIEW.search(context.get("body", "")):
        return
    _, attributes = NbMetadataCollector.get_js_files(app.env, page)["ipywidgets_state"]
    models = json.loads(attributes["body"])["state"]
    context["body"], rules, failed = with_first_frames(context["body"], models)
    context["metatags"] = context.get("metatags", "") + "".join(f"<style>{each}</style>" for each in rules)
    for name in failed:
        LOG.warning("the widget %s of %s is no view of sliders: there is nothing to see without JavaScript", name, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("html-page-context", put)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
