"""A Sphinx extension that finds out where the book's repository lies, and sets the buttons that need to know it.

The address comes from the environment of the build (GitHub's workflows name it there) or from git's remote `origin`. It
is nowhere typed in, so that a fork's pages lead to the fork. Without an address the buttons are left out: repository,
issue and edit, which the theme has for three kinds of hosts; Colab and Binder, which open the copies of the chapters
that the deployment puts on GitHub, on a branch of their own (`tools/copies.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sphinx.application import Sphinx
from sphinx.config import Config

COPIES = "notebooks"  # the branch of the copies
DEFAULT_BRANCH = "main"
REMOTE = re.compile(
    r"""(?: (?:https?|ssh|git)://  (?:[^/@]+@)?  (?P<host>[\w.-]+)  (?::\d+)?  /  # an address, perhaps with a password
         |  (?:[^/@:]+@)?  (?P<ssh>[\w.-]+)  : )                                 # or as ssh writes it
        (?P<path>[\w.~-]+(?:/[\w.~-]+)+)  /?""",
    re.VERBOSE,
)


class Repository(NamedTuple):
    """Where the book is kept, and which state of it this is."""

    host: str
    """For example github.com."""
    owner: str
    name: str
    branch: str
    """The branch that a reader's changes are for."""
    commit: str

    @property
    def address(self) -> str:
        """The address of its page, which git understands as well."""
        return f"https://{self.host}/{self.owner}/{self.name}"

    @property
    def provider(self) -> str | None:
        """Which of the three kinds of hosts that the theme knows this is."""
        return next((kind for kind in ("github", "gitlab", "bitbucket") if kind in self.host), None)


def place(remote: str) -> tuple[str, str, str] | None:
    """Return host, owner and name from the address of a remote; None for a folder on a disk, and the like."""
    found = REMOTE.fullmatch(remote)
    host = found and (found["host"] or found["ssh"])
    if not found or not host or "." not in host:
        return None
    owner, _, name = found["path"].removesuffix(".git").rpartition("/")
    return host, owner, name


def git(root: Path, *arguments: str) -> str:
    """Return what git says about the folder, or nothing where there is no git, or no answer."""
    program = shutil.which("git")
    if program is None:
        return ""
    result = subprocess.run([program, *arguments], cwd=root, capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def find(root: Path, environment: Mapping[str, str]) -> Repository | None:
    """Return the repository that `root` is the top of, or None if its address is not known.

    Parameters
    ----------
    root
        The folder of the book.
    environment
        The variables of the process. Where GitHub runs it, they say all that is asked for.
    """
    ours = git(root, "rev-parse", "--is-inside-work-tree") == "true" and not git(root, "rev-parse", "--show-cdup")
    if environment.get("GITHUB_SERVER_URL") and environment.get("GITHUB_REPOSITORY"):
        where = place(f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}")
        commit = environment.get("GITHUB_SHA", "")
        branch = environment.get("GITHUB_BASE_REF", "")  # that for which a pull request is
        if not branch and environment.get("GITHUB_REF", "").startswith("refs/heads/"):
            branch = environment["GITHUB_REF"].removeprefix("refs/heads/")
    elif ours:  # and not a folder that lies in somebody else's repository
        where = place(git(root, "remote", "get-url", "origin"))
        commit = ""
        branch = git(root, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/")
    else:
        return None
    commit = commit or git(root, "rev-parse", "HEAD")
    if where is None or not commit:
        return None
    return Repository(*where, branch or DEFAULT_BRANCH, commit)


def context(repository: Repository) -> dict[str, Any]:
    """Return what the theme's templates are told: the branch here is the one that is edited."""
    kind = repository.provider
    return {
        f"{kind}_url": f"https://{repository.host}",
        f"{kind}_user": repository.owner,
        f"{kind}_repo": repository.name,
        f"{kind}_version": repository.branch,
        "doc_path": "",
    }


def options(repository: Repository) -> dict[str, Any]:
    """Return the settings of the theme: the branch here is the one that is launched."""
    found: dict[str, Any] = {
        "use_repository_button": True,
        "use_edit_page_button": True,
        "use_issues_button": repository.provider != "bitbucket",  # where the theme has none
    }
    if repository.host == "github.com":  # Colab opens notebooks from there only, and only there the copies are made
        hosts = {"colab_url": "https://colab.research.google.com", "binderhub_url": "https://mybinder.org"}
        found["launch_buttons"] = {"notebook_interface": "jupyterlab"} | hosts
        found["repository_branch"] = COPIES
    return found


def set_buttons(app: Sphinx, config: Config) -> None:
    """Set the buttons of all pages."""
    repository = find(Path(app.srcdir), os.environ)
    if repository is not None and repository.provider is not None:
        config.html_context = config.html_context | context(repository)
        config.html_theme_options = config.html_theme_options | options(repository)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("config-inited", set_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
