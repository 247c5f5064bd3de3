"""What stands in the place of sliders without JavaScript: made of the widgets' state, as a page holds it."""

from __future__ import annotations

import json
import re
from typing import Any

import first_frames
import ipywidgets
import pytest
from bs4 import BeautifulSoup, Tag

from eprop_nb.display import sliders, svg

# Sliders, and the values that they start at.
GRIDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"n": sliders.Grid([3, 5, 8], "count", "ms", start=8)}, {"n": 8}),
    ({"n": sliders.Grid([3, 5, 8], "a < b", start=5), "rate": ["slow", "fast & loud"]}, {"n": 5, "rate": "slow"}),
    ({"n": [3, 5], "rate": sliders.Grid([0.5, 1.25, 2.0], "rate", "Hz", start=1.25)}, {"n": 3, "rate": 1.25}),
]


def drawn(asked: str = "", **grids: Any) -> sliders.SliderView:
    """Return sliders whose frames differ in their picture and in their result."""

    def draw(**point: Any) -> svg.Frame:
        words = " & ".join(str(value) for value in point.values())
        panel = svg.Panel((0, 1), (0, 1), title=words).line([0, 1], [0, 1])
        return svg.figure([panel], result=f"it is <{words}>", asked=asked)

    return sliders.view(draw, **grids)


def page(*shown: ipywidgets.Widget) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the widgets as MyST-NB puts them into a page, and their state, the whole of it as a kernel sends it."""
    places = [
        f'<script type="application/vnd.jupyter.widget-view+json">{json.dumps({"model_id": widget.model_id})}</script>'
        for widget in shown
    ]
    return f"<p>above</p>{'<p>between</p>'.join(places)}<p>below</p>", ipywidgets.Widget.get_manager_state()["state"]


def only(parent: BeautifulSoup | Tag, where: str) -> Tag:
    """Return the one element that a CSS selector finds."""
    (found,) = parent.select(where)
    return found


@pytest.mark.parametrize(("grids", "start"), GRIDS)
def test_the_first_frame_is_the_one_that_the_sliders_start_at(grids: dict[str, Any], start: dict[str, Any]) -> None:
    view = drawn(**grids)
    body, rules, failed = first_frames.with_first_frames(*page(view))
    soup = BeautifulSoup(body, "html.parser")
    at = view.points.index(start)

    assert failed == []
    assert len(rules) == 1
    assert ".ep-frame" in rules[0]
    shown = only(soup, ".ep-first .ep-frames").decode_contents()
    assert shown == BeautifulSoup(view.frames[at], "html.parser").decode()
    said = ", ".join(row.get_text() for row in soup.select(".ep-first .ep-stand"))
    assert f"{said}: {only(soup, '.ep-first .ep-result').get_text()}" == view.labels[at]
    assert only(soup, ".ep-first + script + .ep-all")


@pytest.mark.parametrize("grids", [grids for grids, _ in GRIDS])
def test_the_table_has_the_result_at_every_position(grids: dict[str, Any]) -> None:
    view = drawn(**grids)
    soup = BeautifulSoup(first_frames.with_first_frames(*page(view))[0], "html.parser")
    names = [head.get_text() for head in soup.select(".ep-all th")]
    assert names[-1] == "result"
    rows = [[cell.get_text() for cell in row.select("td")] for row in soup.select(".ep-all tbody tr")]
    words = [", ".join(f"{n} {v}" for n, v in zip(names, row[:-1], strict=False)) + f": {row[-1]}" for row in rows]
    assert words == view.labels


def test_the_page_keeps_the_rest_of_what_it_has() -> None:
    before, models = page(drawn(n=[1, 2]), drawn(n=[7, 8], rate=[1, 2]))
    body, rules, _ = first_frames.with_first_frames(before, models)
    soup = BeautifulSoup(body, "html.parser")
    assert len(rules) == 1, "the same rules stand once"
    assert len(soup.select(".ep-first")) == len(soup.select(".ep-all")) == 2
    for added in soup.select(".ep-first, .ep-all, .ep-all + script"):
        added.decompose()
    assert soup.decode() == BeautifulSoup(before, "html.parser").decode()


def test_an_answer_that_has_to_be_asked_for_is_not_given_away() -> None:
    asked = first_frames.with_first_frames(*page(drawn("Show it", n=[1, 2])))[0]
    told = first_frames.with_first_frames(*page(drawn(n=[1, 2])))[0]
    assert not only(BeautifulSoup(asked, "html.parser"), ".ep-all").has_attr("open")
    assert only(BeautifulSoup(told, "html.parser"), ".ep-all").has_attr("open")
    assert first_frames.CLOSE not in asked, "it is closed in any case"
    assert told.count(first_frames.CLOSE) == 1


def test_another_widget_is_reported_and_stays_as_it_is() -> None:
    other = ipywidgets.VBox([ipywidgets.IntSlider()])
    before, models = page(other)
    assert first_frames.with_first_frames(before, models) == (before, [], [other.model_id])
    with pytest.raises(first_frames.NoSlidersError):
        first_frames.read(models, other.model_id)
    with pytest.raises(first_frames.NoSlidersError):
        first_frames.read(models, "nobody")


def test_a_page_holds_one_frame_more_than_the_data_and_no_more() -> None:
    view = drawn(n=[1, 2, 3, 4])
    body, _, _ = first_frames.with_first_frames(*page(view))
    assert len(re.findall(r'<svg class="ep-frame"', body)) == 1
