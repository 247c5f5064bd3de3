"""Renew every pinned version, execute the chapters with them, and show what has moved.

python tools/renew.py [PACKAGE<VERSION ...]  to the newest versions, but for those named; `make renew`
python tools/renew.py --since REF            change nothing: show what has moved since a commit; `make moved`

The work is done in a copy under _build/renewed, with an environment of its own. Only when every chapter has run there
are the pins and the notebooks of the checkout replaced (`requirements.txt`, `constraints.txt`, what `pyproject.toml`
builds with, `book/*.ipynb`); whatever fails before leaves them as they are. What has moved is shown: versions, printed
outputs, and figures of which a number differs.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
SCRATCH = ROOT / "_build" / "renewed"
ASKED, LOCK, PROJECT, BOOK = "requirements.txt", "constraints.txt", "pyproject.toml", "book"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
HELD = ("jupyter-book<2", "mpmath<1.4")  # version 2 is another program; PyTorch's sympy does not take mpmath 1.4
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
VISIBLE = 0.05  # points: a difference in a drawing that nobody can see

Read = Callable[[str], str]


def plain(name: str) -> str:
    """Return the name of a package in the one way in which it is compared."""
    return name.lower().replace("_", "-")


def unpinned(text: str, held: Sequence[str] = ()) -> str:
    """Return the requirements without their versions, but for what is held back, as in jupyter-book<2."""
    bounds = {plain(Requirement(each).name): str(Requirement(each).specifier) for each in (*HELD, *held)}
    return PIN.sub(lambda found: found[1] + bounds.get(plain(found[1]), ""), text)


def pins(text: str) -> dict[str, list[str]]:
    """Return the version of each package that a text pins; where it hangs on a marker there are several."""
    found: dict[str, list[str]] = {}
    for name, version in PIN.findall(text):
        found.setdefault(plain(name), []).append(version)
    return {name: sorted(versions, key=Version) for name, versions in found.items()}


def pinned(text: str, versions: dict[str, list[str]]) -> str:
    """Return the requirements with other versions: of several the oldest, which is the one for every Python."""
    return PIN.sub(lambda found: f"{found[1]}=={versions[plain(found[1])][0]}", text)


def versions_moved(old: str, new: str) -> list[str]:
    """Return a line for each package whose version differs, that came or that went."""
    before, after = pins(old), pins(new)
    names = sorted(name for name in before | after if before.get(name) != after.get(name))
    return [
        f"{name} {', '.join(before.get(name, ['absent']))} → {', '.join(after.get(name, ['absent']))}" for name in names
    ]


def drawing_moved(old: str, new: str) -> str:
    """Return in words how two drawings differ, or nothing if no eye can see it."""
    if NUMBER.sub("#", old) != NUMBER.sub("#", new):
        return "drawn in another way"
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (old, new)]
    most = max((abs(a - b) for a, b in zip(*numbers, strict=True)), default=0.0)
    return f"a number has moved by {most:.3g}" if most > VISIBLE else ""


def parts(cell: dict[str, Any]) -> tuple[str, list[str]]:
    """Return what a cell has printed, with the words of its results, and the figures that it has drawn."""
    words, figures = [], []
    for output in cell.get("outputs", []):
        words.append(output.get("text", ""))
        data = output.get("data", {})
        if "image/svg+xml" in data:
            figures.append(data["image/svg+xml"])
        else:
            words.append(data.get("text/plain", ""))
    return "\n".join(filter(None, words)), figures


def outputs_moved(number: int, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what differs between the outputs of two cells."""
    (said, drawn), (says, draws) = parts(before), parts(after)
    lines = difflib.unified_diff(said.splitlines(), says.splitlines(), lineterm="", n=0)
    moved = [f"cell {number}: {line}" for line in lines if not line.startswith(("---", "+++", "@@"))]
    if len(drawn) != len(draws):
        return [*moved, f"cell {number}: {len(drawn)} figures → {len(draws)}"]
    return moved + [f"cell {number}, figure: {words}" for words in map(drawing_moved, drawn, draws) if words]


def chapter_moved(old: str, new: str) -> list[str]:
    """Return what differs between the outputs of two versions of a notebook; cells of other code are only named."""
    if not old or not new:
        return ["a new chapter"] if new else ["is gone"]
    before, after = (nbformat.reads(text, as_version=4).cells for text in (old, new))
    was, now = ([cell.source if cell.cell_type == "code" else "" for cell in cells] for cells in (before, after))
    moved = []
    for kind, i, end, j, stop in difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if kind == "equal":
            for k in range(end - i):
                moved += outputs_moved(j + k + 1, before[i + k], after[j + k])
        else:
            changed = [k for k in range(j, stop) if now[k]]
            moved += [f"cell {k + 1}: its code is new" for k in changed]
            moved += ["code is gone" for k in range(i, end) if was[k] and not changed]
    return moved


def report(names: list[str], old: Read, new: Read) -> str:
    """Return what has moved between two states of the repository, each given as a function that reads a file."""
    sections = {"Versions": versions_moved(old(LOCK), new(LOCK))}
    sections |= {name: chapter_moved(old(f"{BOOK}/{name}"), new(f"{BOOK}/{name}")) for name in names}
    lines = [line for title, moved in sections.items() if moved for line in (title, *(f"  {each}" for each in moved))]
    return "\n".join(lines or ["Nothing has moved."])


def read_in(folder: Path) -> Read:
    """Return a function that reads a file of a folder, as nothing if it is not there."""
    return lambda name: (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else ""


def read_at(reference: str) -> Read:
    """Return a function that reads a file of a commit, as nothing if it is not there."""

    def read(name: str) -> str:
        command = ["git", "show", f"{reference}:{name}"]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        return found.stdout.decode() if found.returncode == 0 else ""

    return read


def run(*command: str | Path, folder: Path) -> None:
    """Run a program; what it says is shown, and its failure ends everything."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(part) for part in command], cwd=folder, check=True, env=environment)


def lock(folder: Path, held: Sequence[str] = ()) -> None:
    """Write new pins into the copy: first everything that is newest, then what is asked for with these versions."""
    asked, project = folder / ASKED, folder / PROJECT
    before = asked.read_text(encoding="utf-8")
    asked.write_text(unpinned(before, held), encoding="utf-8")
    (folder / LOCK).unlink()  # else uv keeps what is there
    with_own_uv = ("make", "lock", "READY=", f"BIN={Path(sys.executable).parent}")
    run(*with_own_uv, folder=folder)
    asked.write_text(pinned(before, pins((folder / LOCK).read_text(encoding="utf-8"))), encoding="utf-8")
    run(*with_own_uv, folder=folder)
    (setuptools,) = pins(asked.read_text(encoding="utf-8"))["setuptools"]
    text = re.sub(r'"setuptools==[^"]+"', f'"setuptools=={setuptools}"', project.read_text(encoding="utf-8"))
    project.write_text(text, encoding="utf-8")


def execute(folder: Path) -> None:
    """Execute the chapters of the copy, in a new environment that has its versions."""
    run("make", "notebooks", folder=folder)


def copy(folder: Path) -> None:
    """Copy what git knows of the checkout, as it is now."""
    shutil.rmtree(folder, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def take_over(folder: Path, names: list[str], root: Path) -> None:
    """Replace the files of the checkout by those of the copy, each in one move."""
    for name in (*(f"{BOOK}/{chapter}" for chapter in names), ASKED, LOCK, PROJECT):
        beside = (root / name).with_name(f".{Path(name).name}.new")
        shutil.copy(folder / name, beside)
        beside.replace(root / name)


def renew(steps: Sequence[Callable[[Path], None]], root: Path = ROOT) -> None:
    """Do all of it in the copy, show what has moved, and take it over."""
    scratch = SCRATCH if root == ROOT else root / "_build" / "renewed"
    try:
        for step in steps:
            step(scratch)
    except (subprocess.CalledProcessError, OSError, KeyError) as error:
        print(report([], read_in(root), read_in(scratch)))
        sys.exit(f"{error}\nNothing was changed. The attempt lies in {scratch.relative_to(root)}.")
    names = sorted(path.name for path in (scratch / BOOK).glob("*.ipynb"))
    print(report(names, read_in(root), read_in(scratch)))
    take_over(scratch, names, root)
    print("Written. Read what has moved above, then: make test")


def main(arguments: list[str]) -> None:
    """Renew, or only show what has moved since a commit."""
    if arguments[:1] == ["--since"]:
        names = sorted(path.name for path in (ROOT / BOOK).glob("*.ipynb"))
        print(report(names, read_at(arguments[1]), read_in(ROOT)))
    else:
        renew((copy, partial(lock, held=arguments), execute))


if __name__ == "__main__":
    main(sys.argv[1:])
