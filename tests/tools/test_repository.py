"""Where the book's repository lies, and the buttons that lead there: from the environment, from git, or none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import repository
from bs4 import BeautifulSoup
from repository import Repository

ROOT = Path(__file__).parent.parent.parent
WORKFLOW = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "someone/her-book",
    "GITHUB_SHA": "c0ffee",
    "GITHUB_REF": "refs/heads/trunk",
    "GITHUB_REF_NAME": "trunk",
    "GITHUB_BASE_REF": "",
}


def git(folder: Path, *arguments: str) -> str:
    person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    command = [shutil.which("git") or "git", *person, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a repository with one commit."""
    git(tmp_path, "init", "--quiet", "--initial-branch=work")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=begin")
    return tmp_path


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        ("https://github.com/someone/book.git", ("github.com", "someone", "book")),
        ("https://github.com/someone/book/", ("github.com", "someone", "book")),
        ("https://someone:secret@github.com/someone/book", ("github.com", "someone", "book")),
        ("git@github.com:someone/book.git", ("github.com", "someone", "book")),
        ("ssh://git@git.example.org:2222/someone/my.book.git", ("git.example.org", "someone", "my.book")),
        ("https://gitlab.com/group/part/book.git", ("gitlab.com", "group/part", "book")),
        ("/home/someone/book", None),
        ("file:///home/someone/book", None),
        ("../book", None),
        ("C:/Users/someone/book", None),
        ("C:\\Users\\someone\\book", None),
        ("work:someone/book", None),  # a name that only one machine's ssh knows
        ("http://localhost:3000/someone/book", None),
        ("https://github.com/someone", None),
        ("", None),
    ],
)
def test_the_address_of_a_remote(remote: str, found: tuple[str, str, str] | None) -> None:
    assert repository.place(remote) == found


def test_without_a_remote_or_without_git_there_is_no_address(checkout: Path, tmp_path: Path) -> None:
    assert repository.find(checkout, {}) is None
    git(checkout, "remote", "add", "origin", str(tmp_path))
    assert repository.find(checkout, {}) is None
    shutil.rmtree(checkout / ".git")
    assert repository.find(checkout, {}) is None


def test_the_remote_gives_the_address_and_its_head_the_branch(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "git@github.com:someone/book.git")
    head = git(checkout, "rev-parse", "HEAD")
    assert repository.find(checkout, {}) == Repository("github.com", "someone", "book", "main", head)
    git(checkout, "update-ref", "refs/remotes/origin/trunk", "HEAD")
    git(checkout, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    found = repository.find(checkout, {})
    assert found is not None
    assert found.branch == "trunk"
    assert found.address == "https://github.com/someone/book"


def test_a_folder_in_the_repository_of_something_else_is_not_that(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "https://github.com/someone/thesis")
    inner = checkout / "book"
    inner.mkdir()
    assert repository.find(inner, {}) is None


def test_a_workflow_says_it_all(tmp_path: Path) -> None:
    assert repository.find(tmp_path, WORKFLOW) == Repository("github.com", "someone", "her-book", "trunk", "c0ffee")
    proposed = WORKFLOW | {"GITHUB_REF": "refs/pull/7/merge", "GITHUB_REF_NAME": "7/merge", "GITHUB_BASE_REF": "trunk"}
    assert repository.find(tmp_path, proposed) == repository.find(tmp_path, WORKFLOW)
    tag = WORKFLOW | {"GITHUB_REF": "refs/tags/v1", "GITHUB_REF_NAME": "v1"}
    found = repository.find(tmp_path, tag)
    assert found is not None
    assert found.branch == "main"


NOTEBOOK = """{"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A page"}], "nbformat": 4,
"nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": ""}}}"""
CONF = """
extensions = ["myst_nb", "sphinx_book_theme", "repository"]
html_theme = "sphinx_book_theme"
root_doc = "book/page"
nb_execution_mode = "off"
html_context = {"default_mode": "auto"}
"""


def links(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Build a small book with the theme and the extension; return where the buttons of its page lead to."""
    (folder / "book").mkdir()
    (folder / "book" / "page.ipynb").write_text(NOTEBOOK, encoding="utf-8")
    (folder / "conf.py").write_text(CONF, encoding="utf-8")
    out = folder / "_build"
    variables = {name: value for name, value in os.environ.items() if name not in WORKFLOW} | environment
    variables["PYTHONPATH"] = str(Path(repository.__file__).parent)
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", str(folder), str(out)]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    page = BeautifulSoup((out / "book" / "page.html").read_text(encoding="utf-8"), "html.parser")
    found = {}
    for link in page.select(".article-header-buttons a.btn"):
        found[link.get_text(strip=True) or str(link["title"])] = str(link["href"])
        for image in link.select("img"):
            assert (out / "book" / str(image["src"])).resolve().is_file()  # no icon comes from elsewhere
    assert found.pop(".ipynb") == "../_sources/book/page.ipynb"
    return found


def test_the_buttons_lead_to_the_fork(tmp_path: Path) -> None:
    found = links(tmp_path, WORKFLOW)
    assert found.pop("Open issue").startswith("https://github.com/someone/her-book/issues/new?")
    assert found == {
        "Repository": "https://github.com/someone/her-book",
        "Suggest edit": "https://github.com/someone/her-book/edit/trunk/book/page.ipynb",
        "Binder": "https://mybinder.org/v2/gh/someone/her-book/notebooks?urlpath=lab/tree/book/page.ipynb",
        "Colab": "https://colab.research.google.com/github/someone/her-book/blob/notebooks/book/page.ipynb",
    }


def test_elsewhere_there_is_no_colab_and_no_binder(tmp_path: Path) -> None:
    place = {"GITHUB_SERVER_URL": "https://gitlab.com", "GITHUB_REPOSITORY": "group/part/book"}
    found = links(tmp_path, WORKFLOW | place)
    assert found.pop("Open issue").startswith("https://gitlab.com/group/part/book/-/issues/new?")
    assert found == {
        "Repository": "https://gitlab.com/group/part/book",
        "Suggest edit": "https://gitlab.com/group/part/book/-/edit/trunk/book/page.ipynb",
    }


@pytest.mark.parametrize(
    "environment", [{}, WORKFLOW | {"GITHUB_SERVER_URL": "https://git.example.org"}], ids=["none", "of another kind"]
)
def test_without_an_address_that_the_theme_knows_there_are_no_such_buttons(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    assert links(tmp_path, environment) == {}


def test_no_address_of_a_repository_is_typed_in() -> None:
    tools = [path.read_text(encoding="utf-8") for path in (ROOT / "tools").glob("*.py")]
    texts = [*tools, (ROOT / "_config.yml").read_text(encoding="utf-8")]
    assert not [text for text in texts if "github.com/" in text.replace("https://github.com/jax-ml/jax", "")]
