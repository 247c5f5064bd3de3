"""Each chapter alone: in an empty folder, with only the package, at the lowest versions that it allows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import lowest
import nbformat
import pytest
from browsing import missing
from copies import copies
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
_Value = TypeVar("_Value")


def finished(work: Coroutine[Any, Any, _Value]) -> _Value:
    """Return the result, from a thread of its own: in this one, the browser of other tests may have its event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """Run all copies; return what is wrong with each."""
    try:
        lowest.install(lowest.HOME, "")
    except subprocess.CalledProcessError as error:  # it has said why
        missing(f"the lowest versions could not be installed: {error}")
    return finished(lowest.run(lowest.python(lowest.HOME), dict(copies(ROOT))))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_copy_runs_alone_and_prints_what_the_chapter_prints(found: dict[str, str], chapter: str) -> None:
    assert found[chapter] == ""


@pytest.mark.usefixtures("found")
def test_there_is_nothing_but_the_package_and_what_it_asks_for_at_its_lowest(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {each.name: next(iter(each.specifier)).version for each in map(Requirement, project["dependencies"])}
    code = (
        "import importlib.metadata as m, importlib.util as u, json; print(json.dumps(["
        f"{{name: m.version(name) for name in {sorted(needed.keys() - {'torch'})}}}, u.find_spec('eprop_nb').origin,"
        " [name for name in ('sphinx', 'pytest', 'hypothesis', 'tqdm') if u.find_spec(name)]]))"
    )
    command = [lowest.python(lowest.HOME), "-I", "-c", code]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    versions, origin, others = json.loads(said)
    assert lowest.HOME in Path(origin).parents
    assert others == []
    if sys.version_info[:2] == (3, 11):  # for a newer Python, the lowest that there is for it
        assert all(Requirement(f"x=={needed[name]}").specifier.contains(found) for name, found in versions.items())


def copy(*sources: str, printed: str = "") -> str:
    """Return a notebook, as text, of which the last cell is said to have printed something."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if printed:
        cells[-1].outputs = [nbformat.v4.new_output("stream", text=printed)]
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (copy("print(1 + 1)", printed="2\n"), None),
        (copy("print(1 + 1)", printed="3\n"), "2"),
        (copy("print(1)"), "1"),
        (copy("x = 1", "1 / 0"), "ZeroDivisionError"),
        (copy("open('../pyproject.toml')"), "FileNotFoundError"),
        (copy("import os; assert not os.listdir()"), None),
    ],
)
def test_what_is_wrong_with_a_copy_is_noticed(text: str, said: str | None) -> None:
    wrong = finished(lowest.fault(sys.executable, text))
    assert (said or "") in wrong
    assert bool(wrong) is bool(said)
