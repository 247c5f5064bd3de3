"""A Sphinx extension that lets a page be seen before its scripts have come.

Sphinx and its extensions put their scripts into the head of a page in a way that stops the browser at each of them,
until it has been fetched and run: on a slow line that is the longer part of the wait for a first view. Deferred, they
are fetched beside the page, and run in the same order when it is there. Their settings, `documentation_options.js`,
stay as they are, since scripts that are written into the page use them at once.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

AT_ONCE = "documentation_options.js"


def defer(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Defer every script that is a file of its own, unless it says itself when it is to run."""
    for script in context["script_files"]:
        name = getattr(script, "filename", None)
        if name and not name.endswith(AT_ONCE) and not {"async", "defer"} & set(script.attributes):
            script.attributes["defer"] = "defer"


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension, after those that add scripts to single pages."""
    app.connect("html-page-context", defer, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
