"""The workflows, and what stands beside them: sound, safe, and nothing in them that cannot be tried on any machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = {
    hook["id"]: hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    for hook in repository["hooks"]
}
OF_FORMS = [name for name in HOOKS if name == "zizmor" or name.startswith("schema-")]
LOCKED = "sh tools/locked.sh "
NEEDS_MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
NEEDS_SHEBANG = pytest.mark.skipif(os.name == "nt", reason="no symbolic links, and no script that is run by its name")


def program(name: str) -> str:
    """Return where a program of this environment is; on Windows its name has an ending."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, name
    return found


def loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


JOBS = {f"{path.stem}: {name}": job for path in WORKFLOWS for name, job in loaded(path)["jobs"].items()}


def complaints(name: str, root: Path) -> str:
    """Return what the program of a hook says of the files under `root`, if it refuses them."""
    command = HOOKS[name]["entry"]
    assert command.startswith(LOCKED)
    first, *options = command.removeprefix(LOCKED).split()
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    files = [file for file in files if re.search(HOOKS[name]["files"], file)]
    if not files:
        return ""
    run = [program(first), *options, *sorted(files)]
    result = subprocess.run(run, cwd=root, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr if result.returncode else ""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what the checks of forms look at."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    for path in ROOT.glob("*.cff"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", OF_FORMS)
def test_the_files_have_their_forms(name: str, copy: Path) -> None:
    assert complaints(name, copy) == ""


def test_there_are_files_to_look_at() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "scheduled", "release"}
    assert {"zizmor", "schema-workflows", "schema-timeouts", "schema-dependabot"} <= set(OF_FORMS)


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("zizmor", "workflows/ci.yml", "persist-credentials: false", "persist-credentials: true"),
        ("zizmor", "workflows/ci.yml", "permissions: {}", "permissions: write-all"),
        ("zizmor", "workflows/ci.yml", "run: make publish", "run: echo ${{ github.event.pull_request.title }}"),
        ("zizmor", "workflows/ci.yml", "  pull_request:", "  pull_request_target:"),
        ("zizmor", "workflows/release.yml", 'python-version: "3.13"', 'python-version: "3.13"\n          cache: pip'),
        ("zizmor", "dependabot.yml", "default-days: 7", "default-days: 0"),
        ("schema-workflows", "workflows/ci.yml", "runs-on:", "run-on:"),
        ("schema-workflows", "workflows/scheduled.yml", "permissions:\n", "permission:\n"),
        ("schema-timeouts", "workflows/release.yml", "    timeout-minutes: 30\n", ""),
        ("schema-dependabot", "dependabot.yml", "interval: weekly", "interval: sometimes"),
    ],
)
def test_a_fault_in_a_form_is_found(name: str, file: str, old: str, new: str, copy: Path) -> None:
    path = copy / ".github" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert complaints(name, copy)


def unpinned(text: str) -> list[str]:
    """Return the lines that use an action otherwise than by a commit, with its version beside it."""
    uses = [line.strip() for line in text.splitlines() if re.match(r"\s*(- )?uses:", line)]
    return [line for line in uses if not re.fullmatch(r"(- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]


def test_actions_are_pinned_by_their_commits_and_everywhere_to_the_same() -> None:
    texts = [path.read_text(encoding="utf-8") for path in WORKFLOWS]
    assert [line for text in texts for line in unpinned(text)] == []
    pins = {pin for text in texts for pin in re.findall(r"uses: (\S+)@(.*)", text)}
    assert len(pins) == len({action for action, _ in pins}) > 5


@pytest.mark.parametrize("how", ["v7", "3d3c42e # v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1", "main # v7.0.1"])
def test_another_pin_is_found(how: str) -> None:
    assert unpinned(f"    steps:\n      - uses: actions/checkout@{how}\n")


def commands() -> Iterator[str]:
    for job in JOBS.values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


def target(command: str) -> str:
    """Return the one make target that a step runs; raise if it runs anything else."""
    found = re.fullmatch(r"make (?:--keep-going )?([a-z-]+)", command)
    if found is None:
        raise ValueError(f"a step must run one make target, got {command!r}")
    return found[1]


def test_each_step_runs_one_make_target_that_there_is() -> None:
    known = targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    asked = {target(command) for command in commands()}
    assert asked == {"test", "summary", "copies", "publish", "newest", "links", "way-out", "report", "dist", "release"}
    assert asked <= known


@pytest.mark.parametrize(
    "command", ["make", "make test lint", "make test; true", "pip install .", "make test\nmake book"]
)
def test_a_step_that_runs_anything_else_is_found(command: str) -> None:
    with pytest.raises(ValueError, match="must run one make target"):
        target(command)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """Copy what make reads, with an environment that says it is ready."""
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    (tmp_path / "_build").mkdir()
    for name in ("requirements", "constraints"):  # `make -n` writes none, and asks itself what it would do with them
        (tmp_path / "_build" / f"newest-{name}.txt").touch()
    return tmp_path


def plan(folder: Path, *arguments: str) -> str:
    """Return what make would do."""
    names = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "-n", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=names).stdout


@NEEDS_MAKE
@pytest.mark.parametrize("command", sorted(set(commands())))
def test_make_knows_what_to_do_for_each_step(command: str, ready: Path) -> None:
    assert plan(ready, *command.split()[1:]).strip()


@NEEDS_MAKE
def test_the_results_of_the_jobs_reach_the_report(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = JOBS["scheduled: report"]["steps"][-1]["env"]["JOBS"]
    assert set(re.findall(r"([\w-]+)=\$\{\{ needs\.\1\.result \}\}", told)) == set(JOBS["scheduled: report"]["needs"])
    monkeypatch.setenv("JOBS", "newest=success links=failure")
    assert plan(ready, "report").rstrip().endswith("tools/report.py newest=success links=failure")


@NEEDS_MAKE
def test_the_build_of_pytorch_that_is_named_comes_first_and_in_the_locked_version(ready: Path) -> None:
    (ready / ".venv" / ".ready").unlink()
    assert "torch-backend" not in plan(ready, "book", "TORCH=")
    lines = plan(ready, "book", "TORCH=cpu").splitlines()
    pin = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (first,) = [n for n, line in enumerate(lines) if re.search(r"uv pip install .*--torch-backend=cpu", line)]
    (then,) = [n for n, line in enumerate(lines) if line.endswith("--requirement requirements.txt")]
    assert lines[first].split()[-1] == pin[0]
    assert first < then


@NEEDS_MAKE
def test_the_newest_versions_have_an_environment_of_their_own(ready: Path) -> None:
    lines = plan(ready, "newest").splitlines()
    assert any("-m venv --clear _build/newest" in line for line in lines)
    assert any(line.startswith("_build/newest/") and line.split()[0].endswith("/pytest") for line in lines)
    assert not any(line.startswith(".venv/") and "/pytest" in line.split()[0] for line in lines)


@NEEDS_MAKE
def test_the_book_is_built_once_by_the_tests(ready: Path) -> None:
    assert plan(ready, "test").count("jupyter-book build .") == 1
    assert re.findall(r"^make .*$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.MULTILINE) == [
        "make test"
    ]


def test_no_job_may_do_more_than_it_must() -> None:
    for path in WORKFLOWS:
        assert loaded(path)["permissions"] == {}
    may = {name: {what for what, how in job["permissions"].items() if how == "write"} for name, job in JOBS.items()}
    assert {name: what for name, what in may.items() if what} == {
        "ci: copies": {"contents"},
        "ci: pages": {"pages", "id-token"},
        "scheduled: report": {"issues"},
        "release: pypi": {"id-token"},
        "release: github": {"contents"},
    }


def test_a_fork_finds_no_address_of_another_repository() -> None:
    for path in (*WORKFLOWS, ROOT / ".github" / "dependabot.yml"):
        assert not re.search(r"https?:|github\.com|github\.io", path.read_text(encoding="utf-8")), path.name


def test_every_python_is_tested_and_every_system() -> None:
    matrix = JOBS["ci: test"]["strategy"]["matrix"]["include"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # it matches, or the test fails
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()  # type: ignore[union-attr]
    on_linux = [entry["python"] for entry in matrix if entry["os"].startswith("ubuntu")]
    assert on_linux == [f"3.{minor}" for minor in range(int(low), int(high))]
    others = {
        entry["os"].partition("-")[0]: entry["browser"] for entry in matrix if not entry["os"].startswith("ubuntu")
    }
    assert others == {"macos": "no", "windows": "no"}
    assert sum(entry.get("book", False) for entry in matrix) == 1


def test_dependabot_renews_what_is_asked_for() -> None:
    (pins,) = [each for each in loaded(ROOT / ".github" / "dependabot.yml")["updates"] if "allow" in each]
    asked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [each["dependency-name"] for each in pins["allow"]] == asked


def test_the_hooks_run_the_locked_programs() -> None:
    assert all(hook["entry"].startswith(LOCKED) and hook["language"] == "system" for hook in HOOKS.values())
    command = [program("pre-commit"), "validate-config", str(ROOT / ".pre-commit-config.yaml")]
    subprocess.run(command, check=True)
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    assert {"ruff", "mypy", "lint-imports"} == set(re.findall(r"\$\(BIN\)/([\w-]+)", lint)) <= set(HOOKS)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Clone what is committed, with the environment that runs this test."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    command = ["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")]
    subprocess.run(command, check=True)
    (tmp_path / "clone" / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    return tmp_path / "clone"


def hooks(folder: Path, skip: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"PRE_COMMIT_HOME": str(folder.parent / "home"), "SKIP": skip}
    command = [program("pre-commit"), "run", "--all-files"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@NEEDS_SHEBANG
def test_the_hooks_run_and_find_what_is_wrong(clone: Path) -> None:
    skip = "mypy,lint-imports"  # which take long, and run in `make lint`
    good = hooks(clone, skip)
    assert good.returncode == 0, good.stdout + good.stderr
    notebook = clone / "book" / "index.ipynb"
    notebook.write_text(notebook.read_text(encoding="utf-8").replace('"cell-01"', '"other"'), encoding="utf-8")
    workflow = clone / ".github" / "workflows" / "ci.yml"
    workflow.write_text(workflow.read_text(encoding="utf-8").replace("runs-on", "run-on"), encoding="utf-8")
    (clone / "tools" / "serve.py").write_text("import os\n", encoding="utf-8")
    bad = hooks(clone, skip)
    assert set(re.findall(r"hook id: (\S+)", bad.stdout)) >= {"ruff", "normal-form", "schema-workflows"}
    command = ["git", "diff", "--exit-code", "--quiet", "book"]
    subprocess.run(
        command, cwd=clone, check=True
    )  # the hook has brought the notebook into its form, which is the committed one


@NEEDS_SHEBANG
def test_without_an_environment_the_hooks_say_what_to_do(tmp_path: Path) -> None:
    command = ["sh", str(ROOT / "tools" / "locked.sh"), "ruff"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, "make book" in result.stderr) == (1, True)
