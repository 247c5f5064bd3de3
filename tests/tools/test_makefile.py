"""The set-up in the Makefile: which interpreter it starts from, and when it starts anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SET_UP = "-m venv --clear"

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or os.name == "nt", reason="there is no make here, or no script that plays Python"
)


def interpreter(folder: Path, version: str) -> Path:
    """Write a program that says it is a Python of some version."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what the set-up reads, with an environment that is ready, of this Python's version."""
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    interpreter(tmp_path / ".venv" / "bin", "3 12")
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def planned(folder: Path, *arguments: str, **environment: str) -> str:
    """Return what `make book` would do."""
    command = ["make", "-n", "book", *arguments]
    names = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")} | environment
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=names).stdout


def test_a_ready_environment_is_taken_as_it_is(clone: Path) -> None:
    assert SET_UP not in planned(clone)


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize(("version", "anew"), [("3 12", False), ("3 13", True)])
def test_an_interpreter_that_is_named_is_taken(
    clone: Path, tmp_path_factory: pytest.TempPathFactory, how: str, version: str, *, anew: bool
) -> None:
    named = str(interpreter(tmp_path_factory.mktemp("other"), version))
    plan = planned(clone, f"PYTHON={named}") if how == "argument" else planned(clone, PYTHON=named)
    assert (f"{named} {SET_UP}" in plan) == anew


@pytest.mark.parametrize("file", ["requirements.txt", "constraints.txt", "pyproject.toml"])
def test_a_change_of_what_is_installed_sets_up_anew(clone: Path, file: str) -> None:
    after = (clone / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(clone / file, (after, after))
    assert SET_UP in planned(clone)


def test_a_python_that_is_too_old_or_too_new_is_refused() -> None:
    check = next(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "sys.exit" in line)
    code = check.partition("'")[2].rpartition("'")[0]
    for version, refused in (((3, 10), True), ((3, 11), False), ((3, 13), False), ((3, 14), True)):
        program = code.replace("import sys", f"import sys; sys.version_info = {(*version, 0)}")
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (result.returncode != 0) == refused
        assert ("is needed" in result.stderr) == refused
