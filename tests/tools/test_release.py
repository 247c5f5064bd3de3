"""A release: its version, its notes, and that what is built holds the whole package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import release
import try_dist
import way_out

import eprop_nb

CHANGELOG = """# Changelog

## Unreleased

more

## [1.2.0] - 2026-01-02

- two

### Fixed

- three

## 1.1.0

first
"""


def test_the_version_is_that_of_the_package() -> None:
    assert release.version() == eprop_nb.__version__


def test_the_notes_are_those_of_the_version() -> None:
    assert release.notes(CHANGELOG, "1.2.0") == "- two\n\n### Fixed\n\n- three\n"
    assert release.notes(CHANGELOG, "1.1.0") == "first\n"


@pytest.mark.parametrize("version", ["1.2", "1.2.0.dev1", "2.0.0", "1x1.0"])
def test_a_version_without_notes_is_refused(version: str) -> None:
    with pytest.raises(LookupError, match=f"section ## {version}"):
        release.notes(CHANGELOG, version)


def test_the_changelog_has_notes_of_this_version() -> None:
    path = release.ROOT / "CHANGELOG.md"
    if not path.exists():
        pytest.skip("there is no changelog yet")
    assert release.notes(path.read_text(encoding="utf-8"), release.version())


def test_a_tag_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v99.0")
    with pytest.raises(ValueError, match=f"must be v{eprop_nb.__version__}.*got v99.0"):
        release.check()
    monkeypatch.setenv("GITHUB_REF_TYPE", "branch")
    assert release.check() == ""


def test_a_release_is_made_with_its_notes_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **given: calls.append((command, given["input"])))
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "eprop_nb").mkdir()
    (tmp_path / "eprop_nb" / "__init__.py").write_text('__version__ = "1.2.0"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (tmp_path / "dist").mkdir()
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v1.2.0")
    with pytest.raises(ValueError, match="something in"):
        release.create(tmp_path / "dist")
    (tmp_path / "dist" / "a.whl").touch()
    release.create(tmp_path / "dist")
    ((command, notes),) = calls
    assert command[:5] == ["gh", "release", "create", "v1.2.0", str(tmp_path / "dist" / "a.whl")]
    assert notes == "- two\n\n### Fixed\n\n- three\n"


def wheel(folder: Path) -> list[str]:
    """Build the wheel of what is committed, without asking anybody for anything; return the package's files in it."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (archive,) = (folder / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(archive)], check=True)
    names = zipfile.ZipFile(archive).namelist()
    return [name.removeprefix("eprop_nb/") for name in names if name.startswith("eprop_nb/")]


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    way_out.copied(tmp_path)
    assert set(wheel(tmp_path)) == set(try_dist.files())


def test_a_wheel_without_the_data_is_noticed(tmp_path: Path) -> None:
    way_out.copied(tmp_path)
    settings = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    assert '"eprop_nb.data" = ["*"]' in settings
    settings = settings.replace('"eprop_nb.data" = ["*"]', '"eprop_nb.data" = []')
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    assert set(try_dist.files()) - set(wheel(tmp_path)) >= {"data/seed_defaults.npz"}
