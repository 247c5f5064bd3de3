"""The reports on other programs say what their page says, and each says what a maintainer needs to know."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REPORTS = sorted(each for each in (ROOT / "reports").glob("*.md") if each.name != "README.md")


def page() -> str:
    cells = json.loads((ROOT / "book" / "others.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return text.replace("<wbr>", "")  # where a long name may be broken


def test_each_report_is_listed() -> None:
    listed = re.findall(r"`([\w-]+\.md)`", (ROOT / "reports" / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [each.name for each in REPORTS]
    assert len(listed) >= 5


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.stem)
def test_a_report_names_version_and_place_as_the_page_does(report: Path) -> None:
    text, said = report.read_text(encoding="utf-8"), page()
    assert re.match(r"# \w.+\n\nVersion: ", text)
    assert "**How to mend it.**" in text
    version = text.split("Version: ")[1].split("\n\n")[0]
    commits = re.findall(r"\b(?=\w*\d)[0-9a-f]{7}\b", version)
    numbers = re.findall(r"\b\d+\.\d+\.\d+\b", version)
    assert numbers + commits
    assert all(each in said for each in numbers or commits), (numbers, commits)
    for line in re.findall(r"lines? (\d+)", version):
        assert f"line {line}" in said
    for name in re.findall(r"`([^`]+\.(?:py|ipynb))`", version):
        assert Path(name).name in said
