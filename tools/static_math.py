r"""A Sphinx extension that writes every equation into its page as MathML, which a browser shows without a script.

Sphinx leaves an equation as TeX between \( and \), for MathJax to typeset: a reader without JavaScript, or with a slow
line, sees that source. Here it becomes a `<math>` element that holds the TeX in `data-tex`. MathJax, when it has come,
is given the TeX back and typesets it as before, for it breaks, aligns and reads out equations better than a browser.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

LOG = logging.getLogger(__name__)
EQUATION = re.compile(
    r"""(?P<start><(?P<tag>span|div)\ class="(?:amsmath\ )?math\ [^>]*>\s*(?:<span\ class="eqno">.*?</span>)?)
    (?P<tex>\\\((?P<inline>[^<]*?)\\\)|\\\[(?P<block>[^<]*?)\\\])
    (?P<end>\s*</(?P=tag)>)""",
    re.VERBOSE | re.DOTALL,
)
TAG = re.compile(r"\\tag\{([^}]*)\}")
# What the converter knows, and what says the same in words that it knows; others it would leave out in silence.
KNOWN = ("align*", "array", "cases", "matrix", "pmatrix", "split")
SAME = {"equation": "", "equation*": "", "align": "align*", "aligned": "align*", "gathered": "array"}
ENDS = re.compile(r"\\(begin|end)\{([^}]*)\}")
ENTITY = re.compile(r"&#x0*([0-9A-F]+);")
# pageReady is the last moment before MathJax looks for TeX: until then, and if it never comes, there is MathML.
STARTUP = """(window.MathJax ??= {}).startup = {
  pageReady() {
    document.querySelectorAll("math[data-tex]").forEach((math) => math.replaceWith(math.dataset.tex));
    return MathJax.startup.defaultPageReady();
  },
};"""


class NotConvertedError(ValueError):
    """An equation has no MathML; the message is the equation."""


def _known(tex: str) -> str:
    """Return an equation with environments that the converter knows."""

    def one(found: re.Match[str]) -> str:
        name = SAME.get(found[2], found[2])
        if name and name not in KNOWN:
            raise NotConvertedError(tex)
        columns = "{c}" if (found[1], found[2]) == ("begin", "gathered") else ""
        return f"\\{found[1]}{{{name}}}{columns}" if name else ""

    return ENDS.sub(one, tex)


def mathml(tex: str, *, block: bool) -> str:
    """Return the MathML of an equation; its tag, if it has one, stands behind it.

    Raises
    ------
    NotConvertedError
        If the equation holds a command that the converter does not know, or is no TeX.
    """
    tags = TAG.findall(tex)
    try:
        written = convert(TAG.sub("", _known(tex)).strip(), display="block" if block else "inline")
    except Exception as error:  # the converter's own errors have no other class in common
        raise NotConvertedError(tex) from error
    if "\\" in written or ">&<" in written or "newline" in written:  # as a name, what it has not understood
        raise NotConvertedError(tex)
    written = ENTITY.sub(lambda found: html.escape(chr(int(found[1], 16)), quote=False), written)
    behind = "".join(f'<mspace width="2em"/><mtext>({html.escape(tag)})</mtext>' for tag in tags)
    return written.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "").replace("</math>", behind + "</math>")


def with_mathml(body: str) -> tuple[str, list[str]]:
    """Return a page with MathML in place of its TeX, and the equations for which there is none."""
    failed: list[str] = []

    def one(found: re.Match[str]) -> str:
        block = found["block"] is not None
        try:
            written = mathml(html.unescape(found["block"] if block else found["inline"]), block=block)
        except NotConvertedError as error:
            failed.append(str(error))
            return found[0]
        kept = found["tex"].replace('"', "&quot;")  # the rest is escaped already
        return f'{found["start"]}<math data-tex="{kept}"{written.removeprefix("<math")}{found["end"]}'

    return EQUATION.sub(one, body), failed


def convert_page(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Convert the equations of a page, and let MathJax have them when it comes."""
    if app.builder.format != "html" or "body" not in context:
        return
    context["body"], failed = with_mathml(context["body"])
    for tex in failed:
        LOG.warning("an equation of %s has no MathML, and nobody can read it without JavaScript: %s", page, tex)
    if "<math data-tex" in context["body"]:
        app.add_js_file(None, body=STARTUP, priority=600)  # after the settings that Sphinx writes


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("html-page-context", convert_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
