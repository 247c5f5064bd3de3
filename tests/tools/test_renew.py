"""The renewal of versions: what it calls moved, and that a failure leaves everything as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nbformat
import pytest
import renew

ASKED = "# the package\n--editable .\nnumpy==2.4.6\njupyter-book==1.0.4.post1\nImportLib_x==1 ; os_name == 'nt'\n"


def test_pins_are_taken_away_and_come_back_and_nothing_else_changes() -> None:
    free = "# the package\n--editable .\nnumpy\njupyter-book<2\nImportLib_x ; os_name == 'nt'\n"
    assert renew.unpinned(ASKED) == free
    assert renew.unpinned(ASKED, ["numpy>=2,<3"]) == free.replace("numpy", "numpy<3,>=2")
    versions = {"numpy": ["3.0", "3.1"], "jupyter-book": ["1.1"], "importlib-x": ["2"]}
    assert renew.pinned(ASKED, versions) == ASKED.replace("2.4.6", "3.0").replace("1.0.4.post1", "1.1").replace(
        "==1 ;", "==2 ;"
    )


def test_versions_that_moved_came_or_went_are_named() -> None:
    old = "-e .\na==1\nb==1 ; python_version < '3.12'\nb==2 ; python_version >= '3.12'\nc==1\n"
    new = "-e .\na==1\nb==2 ; python_version < '3.12'\nb==3 ; python_version >= '3.12'\nd==1\n"
    assert renew.versions_moved(old, new) == ["b 1, 2 → 2, 3", "c 1 → absent", "d absent → 1"]
    assert renew.versions_moved(old, old) == []


def notebook(printed: str = "", figure: str = "", source: str = "1") -> str:
    cell = nbformat.v4.new_code_cell(source, id="cell")
    if printed:
        cell.outputs.append(nbformat.v4.new_output("stream", text=printed))
    if figure:
        data = {"image/svg+xml": figure, "text/plain": "<Figure size 1x1>"}
        cell.outputs.append(nbformat.v4.new_output("display_data", data=data))
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=[cell])))


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (notebook("loss 1.0\nsame"), notebook("loss 1.0\nsame"), []),
        (notebook("loss 1.0\nsame"), notebook("loss 1.1\nsame"), ["cell 1: -loss 1.0", "cell 1: +loss 1.1"]),
        (notebook(figure='<path d="M 1.00 2"/>'), notebook(figure='<path d="M 1.04 2"/>'), []),
        (
            notebook(figure='<path d="M 1.0 -2e1"/>'),
            notebook(figure='<path d="M 1.0 -2.5e1"/>'),
            ["cell 1, figure: a number has moved by 5"],
        ),
        (
            notebook(figure='<path d="M 1 2"/>'),
            notebook(figure='<path d="L 1 2"/>'),
            ["cell 1, figure: drawn in another way"],
        ),
        (notebook(figure="<svg/>"), notebook(), ["cell 1: 1 figures → 0"]),
        (notebook(), notebook(source="2"), ["cell 1: its code is new"]),
        ("", notebook(), ["a new chapter"]),
        (notebook(), "", ["is gone"]),
    ],
)
def test_outputs_that_moved_are_shown(old: str, new: str, moved: list[str]) -> None:
    assert renew.chapter_moved(old, new) == moved


def test_a_cell_is_compared_with_itself_where_others_came_and_went() -> None:
    def book(*cells: tuple[str, str]) -> str:
        made = [nbformat.v4.new_code_cell(source, id=f"c{k}") for k, (source, _) in enumerate(cells)]
        for cell, (_, printed) in zip(made, cells, strict=True):
            cell.outputs.append(nbformat.v4.new_output("stream", text=printed))
        text = nbformat.v4.new_markdown_cell("words", id="words")
        return str(nbformat.writes(nbformat.v4.new_notebook(cells=[text, *made])))

    old = book(("a", "1"), ("gone", "x"), ("b", "2"))
    new = book(("a", "1"), ("b", "3"), ("new", "y"))
    expected = ["code is gone", "cell 3: -2", "cell 3: +3", "cell 4: its code is new"]
    assert renew.chapter_moved(old, new) == expected
    assert renew.chapter_moved(old, old) == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a repository with one chapter."""
    (tmp_path / "book").mkdir()
    (tmp_path / "requirements.txt").write_text("a==1\n", encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("a==1\nb==1\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "book" / "one.ipynb").write_text(notebook("1.0"), encoding="utf-8")
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and "_build" not in path.parts]
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


def attempt(folder: Path) -> None:
    (folder / "book").mkdir(parents=True)
    (folder / "requirements.txt").write_text("a==2\n", encoding="utf-8")
    (folder / "constraints.txt").write_text("a==2\nb==1\n", encoding="utf-8")
    (folder / "pyproject.toml").touch()
    (folder / "book" / "one.ipynb").write_text(notebook("2.0"), encoding="utf-8")


def failing(_: Path) -> None:
    raise subprocess.CalledProcessError(1, ["make", "notebooks"])


def test_what_succeeds_is_shown_and_taken_over(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renew.renew((attempt,), checkout)
    assert "Versions\n  a 1 → 2\none.ipynb\n  cell 1: -1.0\n  cell 1: +2.0\n" in capsys.readouterr().out
    assert files(checkout) == {
        "requirements.txt": "a==2\n",
        "constraints.txt": "a==2\nb==1\n",
        "pyproject.toml": "",
        "book/one.ipynb": notebook("2.0"),
    }


def test_what_fails_halfway_changes_nothing_and_says_so(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(checkout)
    with pytest.raises(SystemExit, match=r"make(.|\n)*Nothing was changed. The attempt lies in _build.renewed"):
        renew.renew((attempt, failing), checkout)
    assert files(checkout) == before
    assert "a 1 → 2" in capsys.readouterr().out  # what was tried


def test_since_a_commit_with_nothing_changed_nothing_has_moved() -> None:
    names = [path.name for path in (renew.ROOT / "book").glob("*.ipynb")]
    assert names
    assert renew.report(names, renew.read_in(renew.ROOT), renew.read_in(renew.ROOT)) == "Nothing has moved."
    assert renew.read_at("no-such-commit")("Makefile") == ""
