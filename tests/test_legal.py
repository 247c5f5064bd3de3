"""Licences, citation and forms: well-formed, and of one mind with the package and with what is vendored."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from identify.vendor.licenses import LICENSES

import eprop_nb

ROOT = Path(__file__).parent.parent
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def citation() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return loaded


def faults(schema: str, path: Path) -> str:
    """Return what the checker says of a file that does not fit a schema, and nothing of one that does."""
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--builtin-schema", f"vendor.{schema}", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("citation-file-format", ROOT / "CITATION.cff"),
        ("github-issue-config", ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"),
        *(("github-issue-forms", path) for path in FORMS),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_a_file_that_github_reads_has_the_form_that_it_expects(schema: str, path: Path) -> None:
    assert faults(schema, path) == ""


def test_a_citation_with_a_mistake_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "CITATION.cff"
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changed.write_text(text.replace("type: article", "type: papre"), encoding="utf-8")
    assert "papre" in faults("citation-file-format", changed)


def test_the_citation_is_of_this_version_under_this_licence_and_refers_to_the_paper() -> None:
    cff = citation()
    assert str(cff["version"]) == eprop_nb.__version__
    assert cff["license"] == PROJECT["license"] == "MIT"
    assert [each["doi"] for each in cff["references"]] == ["10.1038/s41467-020-17236-y"]
    entry = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").partition("}\n\n")[0]
    people = [f"{author['family-names']}, {author['given-names']}" for author in cff["references"][0]["authors"]]
    assert " and ".join(people) in entry
    assert cff["references"][0]["title"] in entry
    assert not {"url", "repository", "repository-code"} & set(cff)  # a copy has another address


def test_zenodo_reads_the_citation() -> None:
    """With a `.zenodo.json` beside it, it would read that alone; and it takes one licence, and no list."""
    assert not (ROOT / ".zenodo.json").exists()
    assert isinstance(citation()["license"], str)


def test_the_licences_are_the_texts_that_they_say() -> None:
    texts = {name: " ".join(text.split()) for name, text in LICENSES}
    found = {name: " ".join((ROOT / name).read_text(encoding="utf-8").split()) for name in ("LICENSE", "LICENSE-TEXT")}
    assert found["LICENSE-TEXT"] == texts["CC-BY-4.0"]
    terms = found["LICENSE"].partition("Permission is hereby granted")[2]
    assert terms == texts["MIT"].partition("Permission is hereby granted")[2]
    assert "the eprop_nb authors" in found["LICENSE"]
    assert PROJECT["license-files"] == ["LICENSE"]


def test_everything_vendored_is_named_with_its_version_and_its_licence() -> None:
    notice = (ROOT / "NOTICE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", notice.partition("## Third parties")[2], flags=re.MULTILINE)
    packages = json.loads((ROOT / "vendor" / "manifest.json").read_text(encoding="utf-8"))["packages"]
    assert len(rows[1:]) == len(packages)  # without the head of the table
    for package in packages:
        (row,) = [row for row in rows if re.search(rf" {re.escape(package['version'])}\b", row[1])]
        licence = re.split(r"[ -]", package["licence"])[0]
        assert row[2].startswith(licence), package["name"]
    folders = {path.name for path in (ROOT / "vendor").iterdir() if path.is_dir()}
    assert folders == set(re.findall(r"^\| `(\S+)/` \|", notice, flags=re.MULTILINE))
    for folder in folders:
        assert list((ROOT / "vendor" / folder).glob("*LICENSE*")), folder
