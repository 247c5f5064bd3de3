"""The issue of the scheduled run, told through a stand-in for `gh` that writes down what it is asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import report

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script that is run by its name")
GH = """#!{python}
import json, os, sys
with open(os.environ["GH_LOG"], "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["issue", "list"]:
    print(os.environ["GH_ISSUES"])
"""
BAD, GOOD = {"newest": "success", "links": "failure"}, {"newest": "success", "links": "success"}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-in on the PATH, and return the file of what it was asked."""
    program = tmp_path / "gh"
    program.write_text(GH.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GH_LOG", str(tmp_path / "log"))
    for name, value in {"SERVER_URL": "https://host", "REPOSITORY": "a/b", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    return tmp_path / "log"


@pytest.mark.parametrize(
    ("results", "there", "then"),
    [
        (BAD, [], [["label", "create"], ["issue", "create"]]),
        (BAD, [{"number": 12}], [["issue", "comment", "12"]]),
        (GOOD, [{"number": 12}], [["issue", "close", "12"]]),
        (GOOD, [], []),
        ({"newest": "cancelled"}, [{"number": 12}], []),
        ({"newest": "cancelled"}, [], []),
    ],
)
def test_there_is_one_issue_while_something_fails(
    results: dict[str, str],
    there: list[dict[str, int]],
    then: list[list[str]],
    asked: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GH_ISSUES", json.dumps(there))
    report.main(results)
    said = [json.loads(line) for line in asked.read_text(encoding="utf-8").splitlines()]
    assert said[0][:4] == ["issue", "list", "--label", report.LABEL]
    assert "open" in said[0]
    assert [words[: len(want)] for words, want in zip(said[1:], then, strict=True)] == then
    if results == BAD:
        assert "**failure**" in said[-1][-1]
        assert "https://host/a/b/actions/runs/7" in said[-1][-1]
        assert not there or report.LABEL not in said[-1]
    if then and then[-1] == ["issue", "create"]:
        assert said[-1][said[-1].index("--label") + 1] == report.LABEL == said[-2][2]


def test_a_gh_that_fails_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gh").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    (tmp_path / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Exception, match="exit status 3"):
        report.main(BAD)
