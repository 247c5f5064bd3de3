"""The summary of a run: what it says of reports that pytest and nbval have just written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import summary


def notebook(folder: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source, execution_count=n + 1) for n, source in enumerate(sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "chapter.ipynb")
    return folder / "chapter.ipynb"


def report(folder: Path, name: str, *arguments: str) -> None:
    """Have pytest write a report, in a process of its own."""
    (folder / "reports").mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--junit-xml", str(folder / "reports" / f"{name}.xml")]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def test_a_failed_cell_is_named_as_the_reader_counts_it(tmp_path: Path) -> None:
    path = notebook(tmp_path, "x = 2", "assert x == 2", "assert x == 3, 'x is three'", "y = x")
    report(tmp_path, "chapters", "--nbval-lax", str(path))
    text = summary.summary(tmp_path / "reports")
    assert "## Chapters: 3 passed, 1 failed, 0 skipped\n" in text
    assert [line for line in text.splitlines() if line.startswith("- ")] == ["- chapter **chapter**, code cell 3"]
    assert "AssertionError: x is three" in text
    assert "\x1b" not in text
    assert "#x1B" not in text


def test_failed_and_skipped_tests_are_counted_and_named(tmp_path: Path) -> None:
    source = """import pytest
def test_good(): pass
def test_bad(): assert 1 + 1 == 3, '```'
def test_broken(no_such_fixture): pass
@pytest.mark.skip
def test_skipped(): pass
"""
    (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
    report(tmp_path, "tests", "test_it.py")
    text = summary.summary(tmp_path / "reports")
    assert "## Unit tests and pages: 1 passed, 2 failed, 1 skipped\n" in text
    named = [line for line in text.splitlines() if line.startswith("- ")]
    assert named == ["- `test_it::test_bad`", "- `test_it::test_broken`"]
    assert text.count("```") == 2 * len(named)  # what a test says cannot end the block in which it stands


def test_what_failed_comes_first(tmp_path: Path) -> None:
    report(tmp_path, "chapters", "--nbval-lax", str(notebook(tmp_path, "x = 2")))
    (tmp_path / "test_it.py").write_text("def test_bad(): assert False\n", encoding="utf-8")
    report(tmp_path, "tests", "test_it.py")
    text = summary.summary(tmp_path / "reports")
    assert text.startswith("## Unit tests and pages: 0 passed, 1 failed")
    assert text.index("## Unit tests") < text.index("## Chapters: 1 passed, 0 failed")


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    assert summary.summary(tmp_path).count(": not run\n") == len(summary.KINDS) == 3


def test_of_many_failures_all_are_named_and_the_first_are_told(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.parametrize('n', range(30))\ndef test_it(n): assert n < 0\n"
    (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
    report(tmp_path, "tests", "test_it.py")
    text = summary.summary(tmp_path / "reports")
    assert sum(line.startswith("- `test_it::") for line in text.splitlines()) == 30
    assert text.count("<details>") == summary.TOLD


def test_it_is_put_on_the_page_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    summary.main(tmp_path)
    assert page.read_text(encoding="utf-8") == "before\n" + summary.summary(tmp_path)
    assert summary.summary(tmp_path) in capsys.readouterr().out
