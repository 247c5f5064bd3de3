"""Say in Markdown what failed in the tests: chapter by chapter and cell by cell, then the unit tests.

python tools/summary.py _build/reports

The folder holds the reports that `make test` has pytest write, in the JUnit form. In a workflow of GitHub the text is
also put on the page of the run, through the file that GITHUB_STEP_SUMMARY names.
"""

import itertools
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

KINDS = {
    "tests": "Unit tests and pages",
    "chapters": "Chapters",
    "chapters-plain": "Chapters, on the plainest code path",
}
COLOUR = re.compile(r"(?:\x1b|#x1B)\[[0-9;]*m")  # pytest writes the escape character as #x1B, as XML forbids it
LINES, TOLD = 60, 20  # of what a test says, and of the tests that say it; the rest is in the log


class Failure(NamedTuple):
    """A test or a cell that failed, and what it said."""

    place: str
    text: str


class Report(NamedTuple):
    """What pytest counted, and what failed."""

    title: str
    run: int
    skipped: int
    failures: list[Failure]


def place(case: ElementTree.Element) -> str:
    """Return where a test stands, in a reader's words; a cell counts as Jupyter counts it, from 1."""
    module, name = case.get("classname", ""), case.get("name", "")
    cell = re.fullmatch(r"Cell (\d+)", name)
    if cell:
        chapter = module.removesuffix(".ipynb").rpartition(".")[2]
        return f"chapter **{chapter}**, code cell {int(cell[1]) + 1}"
    return f"`{module}::{name}`" if module else f"`{name}`"


def read(path: Path) -> Report:
    """Return what a report says."""
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))  # noqa: S314  # pytest has just written it here
    failures = [
        Failure(place(case), COLOUR.sub("", bad.text or bad.get("message") or "").strip())
        for case in cases
        for bad in (*case.iter("failure"), *case.iter("error"))
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Report(KINDS.get(path.stem, path.stem), len(cases) - skipped, skipped, failures)


def shown(number: int, failure: Failure) -> str:
    """Return a failure as a line, which unfolds to what was said unless many have come before."""
    if number >= TOLD:
        return f"- {failure.place}\n"
    lines = failure.text.splitlines()
    said = "\n".join(lines[-LINES:]).replace("```", "'''")
    return f"- {failure.place}\n\n  <details><summary>what it said</summary>\n\n" + (
        "\n".join(f"  {line}".rstrip() for line in ["```text", *said.splitlines(), "```"]) + "\n\n  </details>\n"
    )


def summary(folder: Path) -> str:
    """Return the summary of all reports in the folder."""
    found = {path.stem: read(path) for path in sorted(folder.glob("*.xml"))}
    text = ""
    for report in sorted(found.values(), key=lambda report: not report.failures):  # what failed comes first
        counts = f"{report.run - len(report.failures)} passed, {len(report.failures)} failed, {report.skipped} skipped"
        failed = "".join(itertools.starmap(shown, enumerate(report.failures)))
        text += f"## {report.title}: {counts}\n\n{failed}\n"
    for kind, title in KINDS.items():
        if kind not in found:
            text += f"## {title}: not run\n\nWhat came before has failed; the log says what.\n\n"
    return text


def main(folder: Path) -> None:
    """Print the summary, and put it on the page of the run."""
    text = summary(folder)
    print(text)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        with Path(page).open("a", encoding="utf-8") as out:
            out.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
