"""The copies of the chapters: plain Markdown, a first cell that installs the package, and what Binder needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import copies
import nbformat
import pytest
import yaml
from copies import Book, Section, UnknownMarkupError
from helpers import says
from packaging.requirements import Requirement
from repository import Repository

ROOT = Path(__file__).parent.parent.parent
REPOSITORY = Repository("github.com", "someone", "her-book", "main", "c0ffee")
ADDRESS = "https://someone.example.org/her-book/"


@pytest.fixture(scope="module")
def published() -> Book:
    """Read the book, as if it were published."""
    return copies.read(ROOT, ADDRESS)


@pytest.fixture(scope="module")
def alone() -> Book:
    """Read the book, as if nobody knew whether it is published."""
    return copies.read(ROOT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":::{admonition} Try\n:class: tip\n**Try** it.\n\nAgain.\n:::", "> **Try**\n>\n> **Try** it.\n>\n> Again."),
        (":::{note}\nWell.\n:::", "> **Note**\n>\n> Well."),
        (
            "Before\n:::{admonition} Answer\n:class: dropdown\nIt is $x$.\n:::\n\nAfter",
            "Before\n<details>\n<summary>Answer</summary>\n\nIt is $x$.\n\n</details>\n\nAfter",
        ),
        (
            "::::{dropdown} Code\n:::{tip}\nx\n:::\n```python\n:::{y}\n```\n::::",
            "<details>\n<summary>Code</summary>\n\n> **Tip**\n>\n> x\n```python\n:::{y}\n```\n\n</details>",
        ),
        ("```{math}\n:label: a\na = b\n```", "$$\na = b\n$$"),
        ("\\begin{equation*}\na \\tag{P1}\n\\end{equation*}\n\nb", "$$\na \\tag{P1}\n$$\n\nb"),
        ("(measure)=\n## Title", "## Title"),
        (
            "{cite}`bellec2020,kolen1994`",
            "([Bellec et al., 2020](https://doi.org/10.1038/s41467-020-17236-y); "
            "[Kolen and Pollack, 1994](https://doi.org/10.1109/ICNN.1994.374486))",
        ),
        ("{cite:t}`nokland2016` says", "Nøkland (2016) says"),
        ("{term}`near-misses <near-miss>`, {term}`spike`", "near-misses, spike"),
        ("{func}`~eprop_nb.simulate`, {py:class}`Gradients`", "`simulate`, `Gradients`"),
        ("``{doc}`x` `` and `{cite}`", "``{doc}`x` `` and `{cite}`"),
        ("```python\n(a)=\n{doc}`x`\n```", "```python\n(a)=\n{doc}`x`\n```"),
        (
            '<details class="a">\n<summary>A</summary>\n\n{term}`x`\n\n</details>',
            '<details class="a">\n<summary>A</summary>\n\nx\n\n</details>',
        ),
        ("a $\\{x\\}$ $$ b \\tag{P3} $$ <by> `c`", "a $\\{x\\}$ $$ b \\tag{P3} $$ <by> `c`"),
    ],
)
def test_what_only_myst_knows_is_written_out(alone: Book, text: str, expected: str) -> None:
    assert copies.plain(text, alone) == expected


def test_links_lead_to_the_pages_or_else_to_the_copies_or_else_nowhere(published: Book, alone: Book) -> None:
    text = "{doc}`gradients`, {doc}`both <gradients>`, {ref}`measure`, {doc}`notation`"
    title = "What the number means"
    assert copies.plain(text, published) == (
        f"[Gradient comparison]({ADDRESS}book/gradients.html), [both]({ADDRESS}book/gradients.html), "
        f"[{title}]({ADDRESS}book/gradients.html#measure), [Notation]({ADDRESS}book/notation.html)"
    )
    assert copies.plain(text, alone) == (
        f"[Gradient comparison](gradients.ipynb), [both](gradients.ipynb), [{title}](gradients.ipynb), *Notation*"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (":::{figure} a.png\n:::", ("{figure}",)),
        (":::{note}\n:width: 3\nx\n:::", ("{note}", "width")),
        ("{eq}`a`", ("{eq}", "a")),
        ("{doc}`nowhere`", ("{doc}`nowhere`",)),
        ("{ref}`nowhere`", ("{ref}`nowhere`",)),
        ("{ref}`here`", ("here", "no heading")),
        ("{cite}`nobody2020`", ("{cite}`nobody2020`",)),
        ("- an item\n  :::{note}\n  x\n  :::", (":::{note}",)),
        (":::{note}\nx", ("does not end", ":::{note}")),
        ("x\n:::", (":::",)),
    ],
)
def test_what_is_not_known_is_refused(alone: Book, text: str, parts: tuple[str, ...]) -> None:
    book = alone._replace(labels=alone.labels | {"here": Section("index", "", "here")})
    with pytest.raises(UnknownMarkupError, match=says(*parts)):
        copies.plain(text, book)


def test_a_chapter_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "ADMONITIONS", set())
    with pytest.raises(UnknownMarkupError, match=says("book/any_neuron.ipynb", "{admonition}")):
        list(copies.copies(ROOT))


CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_copy_has_the_code_and_the_outputs_of_its_chapter_and_nothing_of_myst(published: Book, path: Path) -> None:
    chapter = nbformat.read(path, as_version=4)
    copy = nbformat.reads(copies.copy(chapter, published, REPOSITORY), as_version=4)
    first, *cells = copy.cells
    assert 'install --quiet "eprop-nb @ git+https://github.com/someone/her-book@c0ffee"' in first.source
    for cell, original in zip(cells, nbformat.read(path, as_version=4).cells, strict=True):
        assert cell.cell_type == original.cell_type
        if cell.cell_type == "code":
            assert cell.source.removeprefix("# @title Solution\n") == original.source
            assert len(cell.outputs) == len(original.outputs)
        else:
            prose = re.sub(r"^```.*?^```$|`[^`]*`", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            assert not re.search(r"^ *:::|\{[a-z:]+\}`|^\([\w-]+\)=|\\begin\{equation", prose, flags=re.MULTILINE)
            assert len(cell.source) > 0.5 * len(original.source)


SHELL = """
import importlib.util, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell()
shell.register_magic_function(lambda line: print("pip", line), "line", "pip")
if "missing" in sys.argv:
    importlib.util.find_spec = lambda name: None
shell.run_cell(sys.argv[1]).raise_error()
"""


@pytest.mark.parametrize(
    ("state", "repository", "done", "said"),
    [
        ("there", REPOSITORY, "", ""),
        ("there", None, "", ""),
        (
            "missing",
            REPOSITORY,
            'pip install --quiet "eprop-nb @ git+https://github.com/someone/her-book@c0ffee"\n',
            "",
        ),
        ("missing", None, "", "`pip install .`"),
    ],
)
def test_the_first_cell_installs_the_package_or_says_how_where_it_is_missing(
    alone: Book, tmp_path: Path, state: str, repository: Repository | None, done: str, said: str
) -> None:
    copy = nbformat.reads(copies.copy(nbformat.v4.new_notebook(), alone, repository), as_version=4)
    command = [sys.executable, "-c", SHELL, copy.cells[0].source, state]
    environment = os.environ | {"IPYTHONDIR": str(tmp_path)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode != 0) is bool(said)
    assert said in result.stderr
    if not said:
        assert result.stdout == done


def test_what_binder_installs_is_what_the_package_asks_for() -> None:
    written = yaml.safe_load(copies.environment(ROOT, REPOSITORY))
    *packages, pip = written["dependencies"]
    assert pip == {"pip": ["eprop-nb @ git+https://github.com/someone/her-book@c0ffee"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {Requirement(text).name: Requirement(text).specifier for text in packages}
    for needed in map(Requirement, project["dependencies"]):
        assert found[copies.CONDA.get(needed.name, needed.name)] == needed.specifier
    assert str(found["python"]) == ",".join(sorted(project["requires-python"].split(",")))
    assert "cpu" in json.dumps(packages)


def test_the_folder_holds_every_chapter_where_the_buttons_look_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "find", lambda *_: REPOSITORY)
    copies.main(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {f"book/{path.name}" for path in CHAPTERS} | {"README.md", "environment.yml"}
    assert "c0ffee" in (tmp_path / "README.md").read_text(encoding="utf-8")
