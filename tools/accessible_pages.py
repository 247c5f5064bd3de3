"""A Sphinx extension that mends one thing in the pages: entries of the bibliography are items of its list.

Docutils gives the list the role `list` and its entries the role `doc-biblioentry`, which no list may hold, so that a
screen reader cannot count them.
"""

from typing import Any

from sphinx.application import Sphinx


def mend(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Give the entries of a bibliography the role that items of a list have."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
