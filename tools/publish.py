"""Put a folder on a branch of its own, as its only commit, and send that to `origin`.

python tools/publish.py _build/copies notebooks

The files of the checkout stay as they are. Where GH_TOKEN is set, the program `gh` gives it to git, which itself keeps
no token.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def git(*arguments: str, **environment: str) -> str:
    """Return what git says."""
    command = ["git", *arguments]  # which git is for the PATH to say
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    ).stdout.strip()


def commit(folder: Path) -> str:
    """Return a commit without a history that holds the files of the folder, by the author of the last commit here."""
    if not any(path.is_file() for path in folder.rglob("*")):
        sys.exit(f"there is nothing in {folder} to publish")
    name, email, source = git("log", "-1", "--format=%an%n%ae%n%H").splitlines()
    by = (("NAME", name), ("EMAIL", email))
    person = {f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER") for what, said in by}
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git("--work-tree", str(folder), "add", "--all", "--force", ".", **index)
        tree = git("write-tree", **index)
    return git("commit-tree", tree, "-m", f"Made from {source}", **person)


def main(folder: Path, branch: str) -> None:
    """Replace the branch by the folder."""
    made = commit(folder)
    if os.environ.get("GH_TOKEN"):
        subprocess.run(["gh", "auth", "setup-git"], check=True)  # noqa: S607  # as git above
    git("push", "--force", "origin", f"{made}:refs/heads/{branch}")
    print(f"{branch}: {made}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
