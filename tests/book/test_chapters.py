"""The chapters as files, and that the checks around them can fail."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import eprop_nb

ROOT = Path(__file__).parent.parent.parent
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
TAUGHT = [
    path for path in CHAPTERS if path.stem not in ("index", "architecture", "known_mistakes", "others")
]  # these teach nothing to practise
SANITIZE = Path(__file__).with_name("nbval_sanitize.cfg")
NBVAL = ("--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE), "-p", "no:cacheprovider")


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_committed_chapter_was_run_top_to_bottom_and_asserts_its_claims(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert any("assert " in cell.source for cell in cells)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_figure_has_a_text_alternative(path: Path) -> None:
    for cell in code_cells(path):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if kinds & {"image/png", "image/svg+xml"}:
            alternative = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alternative.split()) >= 10, cell.source


@pytest.mark.parametrize("path", TAUGHT, ids=lambda path: path.stem)
def test_every_chapter_has_its_parts(path: Path) -> None:
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    for part in ("You will be able to", "| You need |", " min |", "A question before", "What to take away"):
        assert part in text
    assert text.index("## Exercises") < text.index("## References")
    solutions = [cell for cell in code_cells(path) if "hide-cell" in cell.metadata.get("tags", [])]
    assert len(re.findall(r"^\*\*\d\. ", text, flags=re.MULTILINE)) == len(solutions) >= 2
    assert all("assert " in cell.source for cell in solutions)


def test_the_landing_page_gives_the_minutes_of_each_chapter() -> None:
    index = (ROOT / "book" / "index.ipynb").read_text(encoding="utf-8")
    for path in TAUGHT:
        (minutes,) = set(re.findall(r"\| (\d+) min \|", path.read_text(encoding="utf-8")))
        assert re.search(rf"{{doc}}`{path.stem}` \|[^|]*\| {minutes} \|", index), path.stem


def test_every_name_of_the_notation_page_exists_in_the_package() -> None:
    text = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    names = [name for row in rows for name in re.findall(r"(?<!})`([A-Za-z_.]+)`", row[2])]
    assert len(names) > 30
    for name in names:
        owner, _, attribute = name.rpartition(".")
        holder = getattr(eprop_nb, owner) if owner else eprop_nb
        assert hasattr(holder, attribute) or attribute in holder.__annotations__, name


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_changed_digit_in_a_committed_output_is_noticed(tmp_path: Path) -> None:
    chapter = tmp_path / "index.ipynb"
    text = (ROOT / "book" / "index.ipynb").read_text(encoding="utf-8")
    assert text.count("loss 1.071054\\n") == 1
    chapter.write_text(text.replace("loss 1.071054\\n", "loss 1.071055\\n"), encoding="utf-8")
    result = run("pytest", *NBVAL, chapter.name, folder=tmp_path)
    assert result.returncode == 1
    assert "1 failed" in result.stdout


def figure(x: int, words: str) -> str:
    return f'''
from IPython.display import display
from matplotlib.figure import Figure

class Picture(Figure):
    def _repr_mimebundle_(self, **_):
        svg = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg">
 <path d="M {x} 0"/>
</svg>
"""
        return {{"image/svg+xml": svg, "text/plain": "a figure of one axes"}}

{"display(Picture())" if x else ""}
print({words!r})
'''


@pytest.mark.parametrize(
    ("now", "passes"),
    [((2, "0.25"), True), ((2, "0.26"), False), ((0, "0.25"), False)],
    ids=["its coordinates may differ", "what is printed may not", "the figure may not be missing"],
)
def test_of_a_figure_nbval_compares_that_it_is_there(tmp_path: Path, now: tuple[int, str], passes: bool) -> None:
    cell = nbformat.v4.new_code_cell(figure(1, "0.25"))
    path = tmp_path / "chapter.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), path)
    assert run("jupyter", "execute", "--inplace", path.name, folder=tmp_path).returncode == 0
    notebook = nbformat.read(path, as_version=4)
    assert any("image/svg+xml" in output.get("data", {}) for output in notebook.cells[0].outputs)
    notebook.cells[0].source = figure(*now)
    nbformat.write(notebook, path)
    result = run("pytest", *NBVAL, path.name, folder=tmp_path)
    assert (result.returncode == 0) is passes, result.stdout


def test_a_chapter_that_fails_breaks_the_build(tmp_path: Path) -> None:
    book = tmp_path / "book"
    book.mkdir()
    cells = [nbformat.v4.new_markdown_cell("# Broken"), nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), book / "broken.ipynb")
    for name in ("references.bib", "_static"):
        source = ROOT / "book" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, book / name)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    for name in ("vendor", "book/_extra"):
        (tmp_path / name).mkdir()
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/broken\n", encoding="utf-8")
    result = run("jupyter-book", "build", ".", "--quiet", folder=tmp_path)
    assert result.returncode != 0
    assert "ZeroDivisionError" in result.stdout + result.stderr
