"""A Sphinx extension that shows what a term means where a chapter links it to the glossary.

The first sentence of the definition stands behind the link, hidden, as its description. The style sheet shows it while
the link is pointed at or has the focus; the key Escape takes it away, and those who have the page read to them hear it
after the term. A link it remains, for a finger and for those who want to read more.
"""

from __future__ import annotations

import re
from html import escape
from itertools import count
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

LINK = re.compile(r'(<a class="reference internal)(" href="[^"]*glossary\.html#(term-[^"]+)")(.*?</a>)', re.DOTALL)
SENTENCE = re.compile(r".*?[.?!](?=\s[A-Z]|$)", re.DOTALL)
ESCAPE = """document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.documentElement.classList.add("ep-quiet");
});
for (const kind of ["pointerover", "focusin"])
  document.addEventListener(kind, (event) => {
    if (event.target.closest?.(".ep-term")) document.documentElement.classList.remove("ep-quiet");
  });"""


def meanings(env: BuildEnvironment) -> dict[str, str]:
    """Return the first sentence of each definition, by the anchor of the term."""
    if not hasattr(env, "ep_meanings"):
        env.ep_meanings = {}  # type: ignore[attr-defined]  # extensions keep things there
    found: dict[str, str] = env.ep_meanings  # type: ignore[attr-defined]  # set by this extension
    return found


def collect(_app: Sphinx, doctree: nodes.document) -> None:
    """Keep what the terms of a glossary mean."""
    for glossary in doctree.findall(addnodes.glossary):
        for entry in glossary.findall(nodes.definition_list_item):
            (definition,) = entry.findall(nodes.definition)
            sentence = SENTENCE.match(" ".join(definition.astext().split()))
            if sentence is not None:
                for term in entry.findall(nodes.term):
                    meanings(doctree.settings.env).update(dict.fromkeys(term["ids"], sentence[0]))


def explained(body: str, known: dict[str, str]) -> str:
    """Return a page in which the link of each term has what it means as its description."""
    number = count(1)

    def with_tip(link: re.Match[str]) -> str:
        if link[3] not in known:
            return link[0]
        name = f"ep-tip-{next(number)}"
        tip = f'<span class="ep-tip" role="tooltip" id="{name}">{escape(known[link[3]])}</span>'
        return f'{link[1]} ep-term{link[2]} aria-describedby="{name}"{link[4]}{tip}'

    return LINK.sub(with_tip, body)


def explain(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Explain the terms of a page."""
    if "body" in context:
        context["body"] = explained(context["body"], meanings(app.env))
        if "ep-term" in context["body"]:
            app.add_js_file(None, body=ESCAPE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("doctree-read", collect)
    app.connect("html-page-context", explain)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
