"""A Sphinx extension that puts the figures of the chapters into their pages as SVG, in the colours of the page.

MyST-NB writes a figure to a file and refers to it with an `<img>`, which knows nothing of the page around it. Here it
becomes an `<svg>` of the page: the colours of `eprop_nb.display.plots` turn into the variables that each theme sets
(`eprop_nb.display.themes.VARIABLES`), black into the colour of the text, white into that of the page, and letters are
set in the font of the page. A picture that no cell of a notebook has drawn stays as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from eprop_nb.display import plots, themes

LOG = logging.getLogger(__name__)
SHEET = "figures.css"
PAINTS = ("fill", "stroke", "color", "stop-color")
COLORS = {color: f"var(--ep-{name})" for color, (name, _) in themes.COLORS.items()} | {
    plots.TEXT: "currentColor",
    "black": "currentColor",
    "#ffffff": "var(--ep-page)",
    "white": "var(--ep-page)",
}
DROPPED = {"metadata", "style", "title"}
DECIMALS = re.compile(r"-?\d+\.\d{3,}")
GEOMETRY = ("d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height")


class UnknownColorError(ValueError):
    """A figure has a colour that the themes of the page do not know."""


def _rounded(numbers: str) -> str:
    """Return a list of lengths with two decimals at most: a hundredth of a point cannot be seen, but weighs."""
    return DECIMALS.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), numbers)


def _paint(value: str) -> str:
    """Return a colour as the page writes it."""
    plain = value.lower()
    if plain in ("none", "currentcolor", "inherit") or plain.startswith(("var(", "url(")):
        return value
    if plain not in COLORS:
        raise UnknownColorError(value)
    return COLORS[plain]


def _style(declarations: str) -> str:
    """Return the declarations of a `style` in the page's colours, without the fonts that the drawing machine has."""
    kept = []
    for declaration in filter(str.strip, declarations.split(";")):
        name, value = (part.strip() for part in declaration.split(":", 1))
        if name != "font-family":
            kept.append(f"{name}:{_paint(value) if name in PAINTS else value}")
    return ";".join(kept)


def _attribute(name: str, value: str, prefix: str) -> str:
    """Return the value of an attribute as the page has it: its colours, its names, and no more digits than it needs."""
    if name == "style":
        value = _style(value)
    elif name in PAINTS:
        value = _paint(value)
    elif name in GEOMETRY:
        value = _rounded(value)
    elif name == "href" and value.startswith("#"):  # written as xlink:href, which is href today
        value = f"#{prefix}{value[1:]}"
    elif name == "id":
        value = prefix + value
    return value.replace("url(#", f"url(#{prefix}")


def _is_background(group: ElementTree.Element) -> bool:
    """Tell whether a group is the white rectangle behind a figure or its axes: a patch, its first, with no edge."""
    paths = list(group)
    return (
        group.get("id", "").startswith("patch_")
        and len(paths) == 1
        and re.fullmatch(r"fill: #ffffff(; stroke: none)?;?", paths[0].get("style", "")) is not None
    )


def inline(text: str, label: str, prefix: str) -> str:
    """Return a figure, given as the text of an SVG file, as an `<svg>` that can stand in a page.

    Parameters
    ----------
    text
        The picture, as matplotlib writes it.
    label
        Its text alternative; without one the picture has none, and `tools/check_pages.py` will find it.
    prefix
        Begins the name of every part that another one refers to, so that no two figures of a page share a name.

    Raises
    ------
    UnknownColorError
        If the picture has a colour that is neither black, white, nor one of `eprop_nb.display.plots`.
    """
    root = ElementTree.fromstring(text)  # noqa: S314  # our own chapters wrote it
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in DROPPED]:
            parent.remove(child)
        if parent.get("id", "").startswith(("figure_", "axes_")):
            for child in [each for each in list(parent)[:1] if _is_background(each)]:
                parent.remove(child)

    for element in root.iter():
        element.attrib = {
            name.rpartition("}")[2]: _attribute(name.rpartition("}")[2], value, prefix)
            for name, value in element.attrib.items()
        }
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", ElementTree.tostring(root, encoding="unicode")))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)

    root.attrib = {"class": "ep-figure", "role": "img", "viewBox": root.get("viewBox", "")}
    if label:
        root.set("aria-label", label)
    return re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode"))


def replace(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put every SVG figure that a cell of the notebook has drawn in place of the reference to its file."""
    if app.builder.format != "html":
        return
    cells = doctree.findall(
        lambda node: isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_output"
    )
    images = [image for cell in cells for image in cell.findall(nodes.image) if image["uri"].endswith(".svg")]
    for number, image in enumerate(images, start=1):
        path = Path(app.srcdir, image["uri"].lstrip("/"))
        try:
            figure = inline(path.read_text(encoding="utf-8"), image.get("alt", ""), f"ep{number}-")
        except UnknownColorError as error:
            names = "eprop_nb.display.plots has a colour for each meaning"
            LOG.warning("figure %d of %s has the colour %s, which no theme knows: %s", number, page, error, names)
            continue
        image.replace_self(nodes.raw("", figure, format="html"))


def write_sheet(app: Sphinx) -> None:
    """Write the colours of both themes, and what is common to all figures, beside the pages' other style sheets."""
    sheet = Path(app.outdir, "_static", SHEET)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text(themes.VARIABLES + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("builder-inited", write_sheet)
    app.connect("doctree-resolved", replace)
    app.add_css_file(SHEET)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
