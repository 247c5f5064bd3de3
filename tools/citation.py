"""A Sphinx extension that says how to cite the book, from CITATION.cff: as a sentence, and as an entry for BibTeX.

The directive `{citation}` stands for both. Where the address of the pages is known when they are built
(`html_baseurl`), they have it too; it is nowhere typed in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE = Path(__file__).parent.parent / "CITATION.cff"


def name(author: dict[str, str]) -> str:
    """Return an author as a list of references has it: a person with the family name first, anybody else as it is."""
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def sentence(cff: dict[str, Any], address: str = "") -> str:
    """Return how to cite what the file describes, in words; without a date, a DOI or an address, none is named."""
    year = f" ({str(cff['date-released'])[:4]})" if "date-released" in cff else ""
    text = f"{'; '.join(map(name, cff['authors']))}{year}. {cff['title']}. Version {cff['version']}."
    places = [f"https://doi.org/{cff['doi']}"] if "doi" in cff else []
    return " ".join([text[0].upper() + text[1:], *places, *([address] if address else [])])


def bibtex(cff: dict[str, Any], address: str = "") -> str:
    """Return the same for BibTeX. Braces keep the name of an entity, and the case of the title, as they are."""
    authors = [f"{{{name(author)}}}" if "name" in author else name(author) for author in cff["authors"]]
    entry = {
        "author": " and ".join(authors).replace("_", r"\_"),
        "title": f"{{{cff['title']}}}",
        "version": str(cff["version"]),
        "year": str(cff.get("date-released", ""))[:4],
        "doi": cff.get("doi", ""),
        "url": address,
    }
    lines = [f"  {key:7} = {{{value}}}" for key, value in entry.items() if value]
    return "@software{eprop_nb,\n" + ",\n".join(lines) + "\n}"


class Citation(SphinxDirective):
    """How to cite the book."""

    def run(self) -> list[nodes.Node]:
        """Return the sentence and the entry."""
        self.env.note_dependency(str(FILE))
        entry, address = yaml.safe_load(FILE.read_text(encoding="utf-8")), self.config.html_baseurl
        code = bibtex(entry, address)
        paragraph = nodes.paragraph()
        paragraph += nodes.Text(sentence(entry, address))
        return [paragraph, nodes.literal_block(code, code, language="bibtex")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.add_directive("citation", Citation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
