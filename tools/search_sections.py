"""A Sphinx extension that writes what the page of the search looks through: the sentences of every section.

Sphinx has an index of words for each page. With it a search cannot say which section, which sentence, and in which
order; and the excerpts that it shows are cut from a page as it stands, buttons included. `sections.js`, written when
the build is finished, holds for each section its address, its title, its page and its sentences. It is a script and
not data, so that the search works in a folder on a disk as well, where a page may not fetch data.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

LEFT_OUT = (
    ".headerlink, script, style, svg, .cell_input, .toggle-details__summary, .ep-sliders, .ep-all, .widget-view, "
    ".viewcode-link, .ep-uses, .ep-tip"
)
END = re.compile(r"(?<=[.!?:])\s+(?=[A-ZΑ-Ωα-ω“\"(∑])")


def plain_math(tex: str) -> str:
    r"""Return an equation as one would write it in a line of text: \(\epsilon_{v,ij}\) as ε_v,ij."""

    def word(match: re.Match[str]) -> str:
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {match[1]}")
        except KeyError:
            return {"partial": "∂", "sum": "Σ", "cdot": "·", "approx": "≈", "le": "≤", "ge": "≥"}.get(match[1], "")

    tex = re.sub(r"\\tag\{[^}]*\}|\\(?:begin|end)\{[^}]*\}|\\[()\[\],;:! ]|&|\\\\", " ", tex)
    return " ".join(re.sub(r"[{}$]", "", re.sub(r"\\([A-Za-z]+)\*?", word, tex)).split())


def sentences_of(parts: list[Tag]) -> list[str]:
    """Return the sentences of some parts of a page, in their order."""
    blocks = []
    for part in parts:
        lines = part.find_all(["p", "li", "tr", "pre", "dt", "dd"]) or [part]
        blocks += [line.get_text(" ") for line in lines if not line.find(["p", "li", "tr"])]
    sentences = [s for block in blocks for s in END.split(re.sub(r"\s+", " ", block).strip()) if s]
    return [re.sub(r" ([,.;:!?)])", r"\1", sentence).replace("( ", "(") for sentence in sentences]


def sections_of(html: str) -> list[dict[str, Any]]:
    """Return the sections of a page, from the top: anchor, titles from the page's down to its own, sentences.

    What the reference describes is a section each: a function or a class, with all its members.
    """
    article = BeautifulSoup(html, "html.parser").find("article")
    if not isinstance(article, Tag):
        return []
    for tag in article.select(LEFT_OUT):
        tag.decompose()
    for tag in article.select("math[data-tex]"):
        tag.string = f" {plain_math(str(tag['data-tex']))} "
    found = []
    for section in article.find_all("section"):
        above = [section, *section.find_parents("section")][::-1]
        titles = [heading for each in above if (heading := each.find(re.compile("^h[1-6]$"), recursive=False))]
        names = [" ".join(title.get_text(" ").split()) for title in titles]
        parts = [part for part in section.find_all(recursive=False) if part.name != "section" and part not in titles]
        entries = [part for part in parts if "py" in part.get_attribute_list("class")]
        of_section = sentences_of([part for part in parts if part not in entries])
        found.append({"anchor": section.get("id", ""), "titles": names, "sentences": of_section})
        for entry in entries:
            (signature, *_), texts = entry.find_all("dt"), entry.find_all("dd", recursive=False)
            name = "".join(part.get_text() for part in signature.select(".sig-prename, .sig-name")[:2])
            found.append({"anchor": signature["id"], "titles": [*names, name], "sentences": sentences_of(texts)})
    return found


def write_sections(app: Sphinx, error: Exception | None) -> None:
    """Write `sections.js` beside the built pages, in the order of the book."""
    if error or app.builder.name != "html":
        return
    toc = app.env.toctree_includes
    order = [app.config.root_doc]
    for name in order:
        order += [child for child in toc.get(name, []) if child not in order]
    sections: list[dict[str, Any]] = []
    for name in order:
        page = app.builder.get_target_uri(name)
        html = (Path(app.outdir) / page).read_text(encoding="utf-8")
        for section in sections_of(html):
            sections.append({"id": len(sections), "page": page, **section})
    text = json.dumps(sections, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "sections.js").write_text(f"globalThis.bookSections = {text};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("build-finished", write_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
