"""A Sphinx extension that mends what a screen reader or a link would stumble over in the pages.

Entries of the bibliography become items of its list: docutils gives the list the role `list` and its entries the role
`doc-biblioentry`, which no list may hold, so that a screen reader cannot count them. And a cell that asserts a claim
becomes a place that the ledger can link to: MyST-NB turns the cell's tag into a class, and a link needs an id. And the
head of a column without a name becomes a cell like others, since it would be read out as a heading that says nothing.
"""

import re
from typing import Any

from sphinx.application import Sphinx

CELL = re.compile(r'<div class="cell [^"]*\btag_claim-[^"]*"')
UNNAMED = re.compile(r"<th\b[^>]*>(?:<p></p>)?</th>")
CLAIM = re.compile(r"\btag_(claim-[\w-]+)")


def mend(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Give bibliography entries the role that items of a list have, cells with claims their ids; no head is empty."""

    def with_anchors(cell: re.Match[str]) -> str:
        return "".join(f'<span id="{name}"></span>' for name in CLAIM.findall(cell[0])) + cell[0]

    if "body" in context:
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = UNNAMED.sub("<td></td>", CELL.sub(with_anchors, body))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
