"""A folder on a branch of its own, sent to a repository beside this one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import publish
import pytest


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository with one commit, and another one that is its origin; stand in the first."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "GH_"))]:
        monkeypatch.delenv(name)
    here, there = tmp_path / "here", tmp_path / "there.git"
    here.mkdir()
    git(tmp_path, "init", "--quiet", "--bare", str(there))
    git(here, "init", "--quiet")
    (here / ".gitignore").write_text("_build/\n*.ipynb\n", encoding="utf-8")
    git(here, "add", "--all")
    git(here, "commit", "--quiet", "--message", "first")
    git(here, "remote", "add", "origin", str(there))
    (here / "_build" / "copies" / "sub").mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def test_the_branch_is_the_folder_and_nothing_else(checkout: Path) -> None:
    copies, there = checkout / "_build" / "copies", checkout.parent / "there.git"
    (copies / "sub" / "a.ipynb").write_text("a", encoding="utf-8")
    (copies / "b.ipynb").write_text("b", encoding="utf-8")
    before = git(checkout, "status", "--porcelain=v2", "--branch")
    publish.main(Path("_build/copies"), "notebooks")
    assert git(there, "ls-tree", "-r", "--name-only", "notebooks").split() == ["b.ipynb", "sub/a.ipynb"]
    (copies / "b.ipynb").unlink()
    publish.main(Path("_build/copies"), "notebooks")
    assert git(there, "ls-tree", "-r", "--name-only", "notebooks").split() == ["sub/a.ipynb"]
    assert git(there, "rev-list", "--count", "notebooks") == "1"
    assert (
        git(there, "log", "-1", "--format=%an %s", "notebooks") == f"A Made from {git(checkout, 'rev-parse', 'HEAD')}"
    )
    assert git(checkout, "status", "--porcelain=v2", "--branch") == before


@pytest.mark.usefixtures("checkout")
def test_nothing_is_not_published() -> None:
    with pytest.raises(SystemExit, match="nothing in"):
        publish.main(Path("_build/copies"), "notebooks")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script that is run by its name")
def test_the_token_goes_through_gh(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "_build" / "copies" / "b.ipynb").write_text("b", encoding="utf-8")
    (checkout.parent / "gh").write_text('#!/bin/sh\necho "$@" > asked\n', encoding="utf-8")
    (checkout.parent / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{checkout.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GH_TOKEN", "secret")
    publish.main(Path("_build/copies"), "notebooks")
    assert (checkout / "asked").read_text(encoding="utf-8") == "auth setup-git\n"
