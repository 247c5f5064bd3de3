"""The chapters as they are launched and downloaded: each a copy that runs alone, anywhere.

python tools/copies.py _build/copies

A copy begins with a cell that installs the package where it is missing, in the state in which the book was built. Its
text is plain Markdown, which every program that opens notebooks can show: what only MyST understands is written out,
and what this file does not know is refused. In the folder beside the copies stands what Binder needs. As a Sphinx
extension this puts the copies behind the download buttons of the pages.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from docutils import nodes
from nbformat import NotebookNode
from packaging.requirements import Requirement
from pybtex.database import Entry, parse_file
from repository import Repository, find
from site_address import VARIABLE, address
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"(?P<fence>:{3,}|`{3,})(?:\{(?P<name>[\w:-]+)\})?(?P<argument>.*)")
OPTION = re.compile(r":(?P<name>[\w-]+):(?P<value>.*)")
LABEL = re.compile(r"\((?P<label>[\w-]+)\)=")
HEADING = re.compile(r"#+ (?P<title>.*)")
INLINE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<content>[^`]+)`|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)", re.DOTALL)
TITLED = re.compile(r"(?P<text>.+?)\s*<(?P<target>[^>]+)>", re.DOTALL)
EQUATION = re.compile(r"^\\begin\{equation\*\}\n(.*?)\n\\end\{equation\*\}$", re.DOTALL | re.MULTILINE)
LEFT_OVER = re.compile(r"^\s*(:{3,}.*|`{3,}\{.*)|^\s*\([\w-]+\)=\s*$", re.MULTILINE)
ADMONITIONS = {"admonition", "attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning"}
BY_THE_BUILD = {"toolbox"}  # lists that the build of the book makes
CODE_ROLES = {"attr", "class", "data", "exc", "func", "meth", "mod", "obj"}
CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}  # where a package has another name there

INSTALL = """\
# Installs the book's package, where it is not there yet.
import importlib.util

if importlib.util.find_spec("eprop_nb") is None:
    %pip install --quiet "eprop-nb @ git+{address}@{commit}"
"""
EXPLAIN = """\
# Looks for the book's package.
import importlib.util

if importlib.util.find_spec("eprop_nb") is None:
    raise ModuleNotFoundError(
        "this chapter needs the package eprop_nb, which lies in the folder of the book: "
        "run `pip install .` there, with the Python of this notebook"
    )
"""
README = """\
# The chapters, to be run

These are copies of the chapters of {address}, made from the commit {commit}.

They are made anew from each new state of the book, so chapters are to be changed there and not here. Each copy runs
alone. `environment.yml` is what Binder installs.
"""
ENVIRONMENT = """\
# What Binder installs for the chapters, from the lower bounds of the package. PyTorch is the small build for the CPU.
channels: [conda-forge]
dependencies:
{packages}
  - pip:
      - eprop-nb @ git+{address}@{commit}
"""


class UnknownMarkupError(ValueError):
    """A chapter has something in its text that has no form in plain Markdown here."""


class Section(NamedTuple):
    """A place in the book that texts refer to."""

    page: str
    title: str
    anchor: str = ""


class Book(NamedTuple):
    """What the texts refer to."""

    pages: dict[str, Section]
    """Each page, by its name without folder and ending."""
    labels: dict[str, Section]
    literature: dict[str, Entry]
    copies: set[str]
    """The pages that are notebooks, and so lie beside each other as copies."""
    site: str
    """Where the book is published, with a slash at the end, or nothing."""

    def link(self, text: str, place: Section) -> str:
        """Return a link to the published page; where its address is not known, to the copy beside this one, if any."""
        if self.site:
            return f"[{text}]({self.site}book/{place.page}.html{place.anchor and '#'}{place.anchor})"
        return f"[{text}]({place.page}.ipynb)" if place.page in self.copies else f"*{text}*"


def texts(path: Path) -> list[str]:
    """Return the Markdown of a page, cell by cell."""
    if path.suffix == ".md":
        return [path.read_text(encoding="utf-8")]
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def read(root: Path, site: str = "") -> Book:
    """Read what the texts under `root`/book refer to."""
    pages, labels = {}, {}
    paths = sorted([*(root / "book").glob("*.ipynb"), *(root / "book").glob("*.md")])
    for path in paths:
        lines = [line for text in texts(path) for line in outside_of_code(text.splitlines())]
        headings = [found["title"] for line in lines if (found := HEADING.fullmatch(line))]
        if not headings:
            raise UnknownMarkupError(f"{path.name} must have a heading, got none")
        pages[path.stem] = Section(path.stem, headings[0])
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if label := LABEL.fullmatch(line):
                title = HEADING.fullmatch(following)
                anchor = nodes.make_id(label["label"])  # as Sphinx makes it
                labels[label["label"]] = Section(path.stem, title["title"] if title else "", anchor)
    literature = dict(parse_file(str(root / "book" / "references.bib")).entries)
    return Book(pages, labels, literature, {path.stem for path in paths if path.suffix == ".ipynb"}, site)


def outside_of_code(lines: list[str]) -> Iterator[str]:
    """Yield the lines that do not stand in a block of code."""
    fence = ""
    for line in lines:
        ticks = re.match("`{3,}", line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif ticks:
            fence = ticks[0]
        else:
            yield line


def reference(entry: Entry, *, in_text: bool) -> str:
    """Return a work of the literature as author and year, with a link to it: in a sentence, or for parentheses."""
    names = ["".join(map(str, person.rich_last_names)) for person in entry.persons["author"]]
    authors = names[0] + (" et al." if len(names) > 2 else f" and {names[1]}" if len(names) == 2 else "")
    text = f"{authors} ({entry.fields['year']})" if in_text else f"{authors}, {entry.fields['year']}"
    link = f"https://doi.org/{entry.fields['doi']}" if "doi" in entry.fields else entry.fields.get("url")
    return f"[{text}]({link})" if link else text


def role(name: str, content: str, book: Book) -> str:
    """Return what stands for a role in plain Markdown."""
    titled = TITLED.fullmatch(content)
    text, target = (titled["text"], titled["target"]) if titled else ("", content)
    try:
        if name == "doc":
            page = book.pages[target.rpartition("/")[2]]
            return book.link(text or page.title, page)
        if name == "ref":
            section = book.labels[target]
            if not (text or section.title):
                raise UnknownMarkupError(f"the label {target} stands before no heading, and {{ref}} gives no text")
            return book.link(text or section.title, section)
        if name in ("cite", "cite:p", "cite:t"):
            works = [book.literature[key.strip()] for key in content.split(",")]
            listed = "; ".join(reference(work, in_text=name == "cite:t") for work in works)
            return listed if name == "cite:t" else f"({listed})"
    except KeyError as error:
        raise UnknownMarkupError(f"{{{name}}}`{content}` refers to {error}, which the book does not have") from None
    if name == "term":
        return text or content
    if name.removeprefix("py:") in CODE_ROLES:
        return f"`{text or (content[1:].rpartition('.')[2] if content.startswith('~') else content)}`"
    raise UnknownMarkupError(f"the role {{{name}}} has no form in plain Markdown here: `{content}`")


def directive(name: str, argument: str, body: list[str], book: Book) -> str:
    """Return what stands for a directive in plain Markdown."""
    options = {}
    while body and (option := OPTION.fullmatch(body[0])):
        options[option["name"]] = option["value"].strip()
        body = body[1:]
    unknown = options.keys() - {"class", "name", "open", "label"}
    if unknown:
        raise UnknownMarkupError(f"the directive {{{name}}} has options that are not known here: {sorted(unknown)}")
    if name in {*ADMONITIONS, "seealso", "dropdown"}:
        title = argument.strip() or {"seealso": "See also"}.get(name, name.capitalize())
        content = plain("\n".join(body), book).strip()
        if name == "dropdown" or "dropdown" in options.get("class", "").split():
            return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"
        return "\n".join(f"> {line}".rstrip() for line in [f"**{title}**", "", *content.splitlines()])
    if name == "math":
        return "\n".join(["$$", *body, "$$"])
    if name in BY_THE_BUILD:
        return "*(Here stands a list that is made when the book is built; see the published page.)*"
    raise UnknownMarkupError(f"the directive {{{name}}} has no form in plain Markdown here")


def blocks(lines: list[str], book: Book) -> Iterator[tuple[str, bool]]:
    """Yield the text piece by piece, and whether the piece is finished: a block of code, a directive; or a line."""
    while lines:
        opening = FENCE.fullmatch(lines[0])
        if opening is None:
            yield lines[0], False
            lines = lines[1:]
            continue
        fence = re.compile(re.escape(opening["fence"][0]) + f"{{{len(opening['fence'])},}}\\s*")
        end = next((number for number, line in enumerate(lines) if number and fence.fullmatch(line)), None)
        if end is None or (opening["name"] is None and opening["fence"].startswith(":")):
            raise UnknownMarkupError(f"a block begins and does not end, or ends before it begins: {lines[0]}")
        if opening["name"] is None:
            yield "\n".join(lines[: end + 1]), True
        else:
            yield directive(opening["name"], opening["argument"], lines[1:end], book), True
        lines = lines[end + 1 :]


def plain(text: str, book: Book) -> str:
    """Return a text in MyST's Markdown as one in plain Markdown; raw HTML, code and math stay as they are.

    Raises
    ------
    UnknownMarkupError
        If it has a directive, a role or a reference that is not known here.
    """

    def written(found: re.Match[str]) -> str:
        return role(found["role"], found["content"], book) if found["role"] else found[0]

    def finished(lines: list[str]) -> str:
        found = EQUATION.sub(r"$$\n\1\n$$", INLINE.sub(written, "\n".join(lines)))
        if left := LEFT_OVER.search(found):
            raise UnknownMarkupError(f"this must stand at the beginning of a line: {left[0].strip()}")
        return found

    done: list[str] = []
    lines: list[str] = []
    for piece, whole in blocks(text.split("\n"), book):
        if whole:
            done += [finished(lines), piece] if lines else [piece]
            lines = []
        elif not LABEL.fullmatch(piece):
            lines.append(piece)
    return "\n".join([*done, finished(lines)] if lines else done)


def copy(chapter: NotebookNode, book: Book, repository: Repository | None) -> str:
    """Return the copy of a chapter, as the text of a file."""
    first = EXPLAIN
    if repository is not None:
        first = INSTALL.format(address=repository.address, commit=repository.commit)
    cells = [nbformat.v4.new_code_cell(first.strip(), id="install")]
    for cell in nbformat.from_dict(chapter).cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source, book)
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                output.data["text/markdown"] = plain(output.data["text/markdown"], book)
        if "hide-cell" in cell.metadata.get("tags", []):  # a solution; JupyterLab knows by itself that it is folded
            cell.metadata["cellView"] = "form"  # as Colab says it
            cell.source = f"# @title Solution\n{cell.source}"
        cells.append(cell)
    made = nbformat.v4.new_notebook(cells=cells, metadata=chapter.metadata)
    nbformat.validate(made)
    return f"{nbformat.writes(made)}\n"


def environment(root: Path, repository: Repository) -> str:
    """Return conda's description of an environment in which the copies run."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    packages = [f"python{project['requires-python']}", "pip", "git"]
    packages += [f"{CONDA.get(each.name, each.name)}{each.specifier}" for each in needed]
    lines = "\n".join(f'  - "{package}"' for package in packages)
    return ENVIRONMENT.format(packages=lines, address=repository.address, commit=repository.commit)


def copies(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each chapter, and its copy as the text of a file."""
    site = os.environ.get(VARIABLE)
    repository, book = find(root, os.environ), read(root, address(site) if site else "")
    for name in sorted(book.copies):
        chapter = nbformat.read(root / "book" / f"{name}.ipynb", as_version=4)
        try:
            yield name, copy(chapter, book, repository)
        except UnknownMarkupError as error:
            raise UnknownMarkupError(f"book/{name}.ipynb: {error}") from None


def put_behind_buttons(app: Sphinx, error: Exception | None) -> None:
    """Put each copy where the page's download button looks for it, once more as a script, for a folder on a disk."""
    if error or app.builder.name != "html":
        return
    folder = Path(app.outdir, "_sources", "book")
    for name, text in copies(Path(app.srcdir)):
        if (folder / f"{name}.ipynb").exists():
            (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
            script = f"globalThis.bookDownload = {json.dumps(text, ensure_ascii=False)};\n"
            (folder / f"{name}.ipynb.js").write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("build-finished", put_behind_buttons)
    app.add_js_file("../download.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main(target: Path, root: Path = ROOT) -> None:
    """Write the copies of all chapters, and what Binder needs, into a folder."""
    (target / "book").mkdir(parents=True, exist_ok=True)
    for name, text in copies(root):
        (target / "book" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    repository = find(root, os.environ)
    if repository is None:
        print("the address of the repository is not known: the copies say in words how to install the package")
        return
    readme = README.format(address=repository.address, commit=repository.commit)
    (target / "README.md").write_text(readme, encoding="utf-8")
    (target / "environment.yml").write_text(environment(root, repository), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
