"""A Sphinx extension that gives the text places to link to: each exercise of a chapter, and each heading.

An exercise is a paragraph that begins with its number and title in bold, below the heading "Exercises". It gets the id
`exercise-1` and, for `{ref}`, the label `chapter-exercise-1`, with the number and the title as the words of a link.
So a link says what the chapter says, and one to an exercise that is not there breaks the build.

A heading is linked to by `[its words](#Its-words)`, which JupyterLab understands as well; for that,
`myst_heading_slug_func` in `_config.yml` names the function below.
"""

import re
from typing import Any, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain

TITLE = re.compile(r"(\d+)\. .*[^.]")


def as_jupyterlab_has_it(heading: str) -> str:
    """Return the name that JupyterLab gives to a heading as a place to link to."""
    return heading.replace(" ", "-")


def exercises(doctree: nodes.document) -> list[tuple[str, str, nodes.paragraph]]:
    """Return the exercises of a chapter: number, number with title, and the paragraph that begins with them."""
    found = []
    for section in doctree.findall(nodes.section):
        if section[0].astext() == "Exercises":
            for paragraph in section.findall(nodes.paragraph):
                bold = next(iter(paragraph.findall(nodes.strong)), None)
                title = TITLE.match(bold.astext()) if bold else None
                if title and paragraph.astext().startswith(title[0]):
                    found.append((title[1], title[0], paragraph))
    return found


def note_exercises(app: Sphinx, doctree: nodes.document) -> None:
    """Make each exercise a place, and its label known."""
    document = app.env.docname
    labels = cast("StandardDomain", app.env.get_domain("std"))
    for number, title, paragraph in exercises(doctree):
        place = f"exercise-{number}"
        paragraph["ids"].append(place)
        labels.note_hyperlink_target(f"{document.rpartition('/')[2]}-{place}", document, place, title)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("doctree-read", note_exercises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
