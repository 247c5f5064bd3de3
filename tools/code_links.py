"""A Sphinx extension that links the code of the chapters with the reference, in both directions.

sphinx-codeautolink finds what a name in a cell stands for, and links it to its entry in the reference. Here these links
are thinned out, and below each entry come the chapters whose code uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docstring_links import PUBLIC
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

PLACE = "ep-uses"


def say_names(_app: Sphinx, config: Config) -> None:
    """Tell under which name the reference has a class or a function that is found by where it is defined."""
    for name, value in PUBLIC.items():
        if hasattr(value, "__qualname__"):
            config.codeautolink_inventory_map[f"{value.__module__}.{value.__qualname__}"] = name


def leads(code: str, target: str) -> bool:
    """Return whether some code names what it is linked to: `ep.simulate` does, `run` for its class does not."""
    return code.rpartition(".")[2] == target.rpartition(".")[2]


def thin_out(_app: Sphinx, env: BuildEnvironment) -> None:
    """Leave one link for each name of the package that a cell uses, and none from a variable to its class.

    More would be in the way of those who go from link to link by the keyboard.
    """
    for transforms in getattr(env, "sphinx_codeautolink_transforms", {}).values():
        for transform in transforms:
            first: dict[str, Any] = {}
            for name in transform.names:
                if leads(name.code_str, name.resolved_location):
                    first.setdefault(name.resolved_location, name)
            transform.names = list(first.values())


def add_place(_app: Sphinx, what: str, name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Leave a place for the list of chapters, below what numpydoc has made of a docstring."""
    if what in ("function", "class", "exception", "data"):
        lines += ["", f".. container:: {PLACE}", "", f"   {name}", ""]


def in_order(app: Sphinx) -> Iterator[str]:
    """Yield the pages in the order of the book."""
    page: str | None = app.config.root_doc
    relations = app.env.collect_relations()
    while page:
        yield page
        page = relations[page][2] if page in relations else None


def uses(app: Sphinx) -> dict[str, dict[str, str]]:
    """Return for each name the chapters that use it, in their order, each with the first section that does."""
    found: dict[str, dict[str, str]] = {}
    transforms = getattr(app.env, "sphinx_codeautolink_transforms", {})
    for page in in_order(app):
        if app.env.doc2path(page).endswith(".ipynb"):  # the ledger has code as well, that of tests
            for transform in transforms.get(page, []):
                for each in transform.names:
                    found.setdefault(each.resolved_location, {}).setdefault(page, transform.example.ref_id)
    return found


def list_uses(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the lists of chapters in their places."""
    places = [each for each in doctree.findall(nodes.container) if PLACE in each["classes"]]
    of_names = uses(app) if places else {}
    for place in places:
        links: list[nodes.Node] = []
        for chapter, section in of_names.get(place.astext(), {}).items():
            address = app.builder.get_relative_uri(page, chapter) + (f"#{section}" if section else "")
            links += [
                nodes.Text(" · "),
                nodes.reference("", app.env.titles[chapter].astext(), internal=True, refuri=address),
            ]
        paragraph = nodes.paragraph("", "", nodes.Text("Used in: "), *links[1:], classes=[PLACE])
        place.parent.replace(place, [paragraph] if links else [])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("config-inited", say_names)
    app.connect("env-updated", thin_out, priority=600)  # sphinx-codeautolink has 500, and so has numpydoc
    app.connect("autodoc-process-docstring", add_place, priority=600)
    app.connect("doctree-resolved", list_uses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
