"""A Sphinx extension that lists the tools of the book, each with the first sentence of what it says about itself.

The directive `{toolbox}` stands for the list of the files in tools/: extensions of Sphinx, which take part in the build
of the pages, and programs, which are run by hand or by make.
"""

from __future__ import annotations

import ast
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TOOLS = Path(__file__).parent
EXTENSION = "A Sphinx extension that "


def purposes(folder: Path) -> dict[str, str]:
    """Return the first sentence about each tool in a folder, the extensions first."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = " ".join(about.partition("\n\n")[0].split())
        found[path.stem] = first.partition(". ")[0].removesuffix(".")
    return dict(sorted(found.items(), key=lambda item: not item[1].startswith(EXTENSION)))


class Toolbox(SphinxDirective):
    """The list of the tools."""

    def run(self) -> list[nodes.Node]:
        """Return it, extensions and programs apart."""
        lists = {title: nodes.bullet_list() for title in ("Extensions of Sphinx", "Programs")}
        for name, about in purposes(TOOLS).items():
            self.env.note_dependency(str(TOOLS / f"{name}.py"))
            extends = about.startswith(EXTENSION)
            words = f" {about.removeprefix(EXTENSION)}." if extends else f": {about[:1].lower()}{about[1:]}."
            parts, messages = self.state.inline_text(words, self.lineno)
            line = nodes.paragraph("", "", nodes.literal(name, name), *parts, *messages)
            lists["Extensions of Sphinx" if extends else "Programs"] += nodes.list_item("", line)
        return [node for title, each in lists.items() for node in (nodes.rubric("", title), each)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.add_directive("toolbox", Toolbox)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
