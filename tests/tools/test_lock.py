"""The lock and the version: what can be read from the files alone, as Dependabot reads them."""

import re
import tomllib
from pathlib import Path

import eprop_nb

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()


def test_the_version_is_said_twice_and_is_one() -> None:
    assert PROJECT["project"]["version"] == eprop_nb.__version__


def test_everything_that_is_asked_for_is_locked_as_it_is_asked_for() -> None:
    asked = re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements.in").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(asked) > 20
    assert set(asked) <= set(LOCK)
    assert "-e ." in LOCK


def test_the_build_of_pytorch_for_cpus_brings_nothing_for_gpus() -> None:
    pinned = [line for line in LOCK if re.match(r"cuda|nvidia|triton", line)]
    assert not pinned, "to be left out, in pyproject.toml: tool.uv.pip.no-emit-package"
    assert "nvidia-cublas" in PROJECT["tool"]["uv"]["pip"]["no-emit-package"]


def test_the_lock_says_how_it_is_made() -> None:
    assert LOCK[1] == "#    uv pip compile requirements.in --output-file requirements.txt"
