"""The tools around the book: what they must find, and what they must leave alone."""

import importlib.util
import platform
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
import torch

TOOLS = Path(__file__).parent.parent.parent / "tools"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_pages = load("check_pages")
notebooks = load("notebooks")


def test_a_sound_page_has_no_faults() -> None:
    assert check_pages.faults('<p>all is well</p><img src="a.png" alt="Two curves that cross">') == []


@pytest.mark.parametrize(
    ("html", "word"),
    [
        ("<pre>Traceback (most recent call last)</pre>", "traceback"),
        ('<div class="output stderr highlight">Warning</div>', "stderr"),
        ('<span class="problematic">`x`</span>', "reference"),
        ('<img src="a.png">', "text alternative"),
        ('<img src="a.png" alt="../_images/a.png">', "text alternative"),
        ('<svg class="ep-figure" role="img"><path d="M0 0"/></svg>', "text alternative"),
    ],
)
def test_a_fault_of_a_page_is_found(html: str, word: str) -> None:
    (fault,) = check_pages.faults(html)
    assert word in fault


def test_a_folder_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert check_pages.main(tmp_path) == 1


def test_a_page_with_a_fault_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.html").write_text("<p>fine</p>", encoding="utf-8")
    (tmp_path / "bad.html").write_text("Traceback (most recent call last)", encoding="utf-8")
    assert check_pages.main(tmp_path) == 1
    assert "bad.html: a traceback" in capsys.readouterr().out


def test_executing_a_chapter_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    cell = nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nprint(6 * 7)\nplt.plot([0, 1])\nplt.show()")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    notebooks.main([str(path)])
    once = path.read_text(encoding="utf-8")
    notebooks.main([str(path)])
    assert path.read_text(encoding="utf-8") == once
    assert "42" in once


def test_a_cell_that_draws_times_keeps_what_it_has_and_is_run(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    code = "import time\nprint(time.perf_counter_ns())"
    cells = [nbformat.v4.new_code_cell(code, metadata={"tags": [notebooks.LIVE]}), nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    notebooks.main([str(path)])
    once = nbformat.read(path, as_version=4).cells
    assert once[0].outputs  # it had none
    notebooks.main([str(path)])
    twice = nbformat.read(path, as_version=4).cells
    assert twice[0].outputs == once[0].outputs
    assert twice[1].outputs != once[1].outputs


def test_a_chapter_that_fails_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        notebooks.main([str(path)])
    assert path.read_text(encoding="utf-8") == before


ledger = load("ledger")
CLAIM = {"statement": "s", "equation": "(P1)", "chapter": "c", "measured": 2e-16, "test": "test_claims.py::test_it"}


def test_a_row_of_the_ledger_shows_error_and_tolerance_and_links_cell_and_test() -> None:
    row = ledger.row("it", CLAIM | {"at_most": 1e-13})
    links = '(P1) · `it` · <a href="c.html#claim-it">cell</a> · <a href="#test-it">test</a>'
    assert row == f"| s <br><small>{links}</small> | 2.0e-16 | ≤ 1e-13 |\n"
    assert ledger.row("it", CLAIM | {"at_most": 1, "statement": "a |b|"}).startswith(r"| a \|b\| <br>")
    assert "| 0.5 | ≥ 0.001 |" in ledger.row("it", CLAIM | {"at_least": 1e-3, "measured": 0.5})


def test_the_ledger_shows_the_source_of_each_test_and_of_what_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = tmp_path / "test_some.py"
    source = "@mark.claim()\ndef test_it():\n    assert helper()\n"
    tests.write_text(f'"""Doc."""\nimport math\n\ndef helper():\n    return math.pi\n\n{source}', encoding="utf-8")
    monkeypatch.setattr(ledger, "TESTS", tests)
    text = ledger.tests_as_text({"it": CLAIM})
    shared, _, own = text.partition('<a id="test-it"></a>')
    assert "import math\ndef helper():\n    return math.pi\n" in shared
    assert "test_it" not in shared
    assert "def test_it():\n    assert helper()\n" in own


@pytest.mark.parametrize(
    ("source", "tags", "run", "good"),
    [
        ("assert True", ["claim-it"], 1, True),
        ("assert True", ["claim-other"], 1, False),
        ("print(1)", ["claim-it"], 1, False),
        ("assert True", ["claim-it"], None, False),
    ],
)
def test_a_claim_needs_a_cell_that_asserts_it(
    source: str, tags: list[str], run: int | None, good: bool, tmp_path: Path
) -> None:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags}, execution_count=run)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "chapter.ipynb")
    if good:
        ledger.check_chapter("it", "chapter", tmp_path)
    else:
        with pytest.raises(RuntimeError, match="must have a cell with the tag claim-it"):
            ledger.check_chapter("it", "chapter", tmp_path)


def test_a_claim_that_fails_leaves_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "test_failing.py"
    failing.write_text("def test_it():\n    assert False\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        (TOOLS.parent / "tests" / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    monkeypatch.setattr(ledger, "TESTS", failing)
    with pytest.raises(RuntimeError, match=r"a claim has failed its test(.|\n)*assert False"):
        ledger.ledger()


def test_the_ledger_knows_each_chapter_once() -> None:
    known = ledger.chapters()
    assert len(set(known)) == len(known)
    assert {"parameters", "learning", "ledger"} <= set(known)


def test_the_ledger_says_what_it_was_measured_with() -> None:
    said = ledger.conditions()
    assert f"PyTorch {torch.__version__}" in said
    assert f"NumPy {np.__version__}" in said
    assert platform.python_version() in said
