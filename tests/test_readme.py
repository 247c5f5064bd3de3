"""What the README and the other documents tell a stranger to type: that it runs, and that what they name is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import test_claims

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCUMENTS = sorted(ROOT.glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a block of shell may hold, beside targets of make: the whole line, or all but a last word that is a file here.
KNOWN = {
    "python3 -m venv .venv",
    "py -3.13 -m venv .venv",
    "source .venv/bin/activate",
    r".venv\Scripts\Activate.ps1",
    "pip install -r",
    "pip install",
    "jupyter-book build",
    "pytest --nbval",
    ".venv/bin/pre-commit install",
    ".venv/bin/ruff format",
    ".venv/bin/ruff check",
    ".venv/bin/pytest",
    ".venv/bin/pytest --nbval",
    ".venv/bin/python tools/notebooks.py",
    "git tag -a v0.2.0 -m v0.2.0",
    "git push origin v0.2.0",
}


class Block(NamedTuple):
    """A block of code, and what stands in the `text` block below it."""

    language: str
    code: str
    shown: str


def blocks(text: str) -> list[Block]:
    found = [*FENCE.findall(text), ("", "")]
    return [
        Block(language, code, following if kind == "text" else "")
        for (language, code), (kind, following) in pairwise(found)
        if language != "text"
    ]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_the_examples_run_as_they_stand_and_print_what_is_shown() -> None:
    examples = [block for block in blocks(README.read_text(encoding="utf-8")) if block.language == "python"]
    assert len(examples) >= 2
    mark = "=== end of a block ==="
    program = "".join(f"{block.code}\nprint({mark!r})\n" for block in examples)
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    printed = result.stdout.split(f"{mark}\n")[:-1]
    assert printed == [block.shown for block in examples]


def test_the_examples_for_contributors_run() -> None:
    slider, claim = (
        block.code for block in blocks(CONTRIBUTING.read_text(encoding="utf-8")) if block.language == "python"
    )
    scope: dict[str, Any] = {}
    exec(slider, scope)  # noqa: S102  # our own text
    assert "sliders.view(draw, " in slider
    assert scope["draw"](3).result == "n² is 9."

    scope, errors = vars(test_claims).copy(), list[float]()
    exec(claim, scope)  # noqa: S102  # likewise
    scope["test_the_gradient_is_linear_in_the_signal"](errors.append)
    (mark,) = scope["test_the_gradient_is_linear_in_the_signal"].pytestmark
    assert 0 <= errors[0] <= mark.kwargs["at_most"]


def unknown(line: str, known: set[str], make: set[str]) -> bool:
    """Tell whether a line of a shell block names a target, a program or a file that is not there."""
    words = line.partition("  #")[0].split()
    if words[0] == "make":
        return not all(word in make or re.fullmatch(r"[A-Z]+=\S+", word) for word in words[1:])
    without, last = " ".join(words[:-1]), words[-1]
    return " ".join(words) not in known and not (without in known and (ROOT / last).exists())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_shell_block_names_is_there(path: Path) -> None:
    shells = [block for block in blocks(path.read_text(encoding="utf-8")) if block.language != "python"]
    assert {block.language for block in shells} <= {"sh", "powershell", "markdown", "json", "yaml"}
    lines = [line for block in shells if block.language in ("sh", "powershell") for line in block.code.splitlines()]
    assert not [line for line in lines if line and unknown(line, KNOWN, targets())]
    assert path != README or {"make book", "make test", "pip install -r requirements.txt"} <= set(lines)


@pytest.mark.parametrize("line", ["make bok", "pip install -r requirement.txt", "rm -rf /", "jupyter-book build book2"])
def test_a_line_that_would_fail_is_noticed(line: str) -> None:
    assert unknown(line, KNOWN, targets())


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md"], ids=lambda path: path.name
)
def test_what_a_document_points_to_is_there(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text):
        target = "".join(link)
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith(("https://", "../../actions/")):
            assert (path.parent / target.partition("#")[0]).exists(), target
    for target in re.findall(r"`make ([a-z-]+)[ `]", text):
        assert target in targets(), target
    for name in re.findall(r"`((?:book|eprop_nb|tests|tools|vendor|benchmarks)/[\w./-]*)`", text):
        assert "NAME" in name or (ROOT / name).exists(), name


def test_the_readme_names_the_versions_of_python_that_the_package_takes() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert wanted == ">=3.11,<3.14"
    assert "| Python | 3.11, 3.12 or 3.13 |" in README.read_text(encoding="utf-8")


def test_no_document_and_no_form_has_the_address_of_a_repository() -> None:
    """A fork has another one; only addresses of others' pages may be typed in."""
    paths = [*DOCUMENTS, *(ROOT / ".github").rglob("*.md"), *(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    for path in [*paths, ROOT / "CITATION.cff"]:
        addresses = re.findall(r"https?://[^\s)>\"]+", path.read_text(encoding="utf-8"))
        allowed = ("https://doi.org/", "https://creativecommons.org/", "https://gitforwindows.org", "https://nbval.")
        assert not [address for address in addresses if not address.startswith(allowed)], path.name
