"""Tell in one issue how a scheduled run went: open it, add to it, close it when everything passes again.

python tools/report.py newest=success links=failure way-out=success

It speaks through GitHub's own program, `gh`. The issue is known by its label, so that there is one and not one a week.
"""

import json
import os
import subprocess
import sys

LABEL = "scheduled"
TITLE = "The scheduled run has failed"
MEANING = {
    "newest": "the tests, with the newest versions that are allowed",
    "links": "the outside addresses of the book",
    "way-out": "the book without jupyter-book, with the newest Sphinx and theme; nothing waits for it",
}


def gh(*arguments: str) -> str:
    """Return what `gh` says."""
    # gh is wherever the path finds it
    return subprocess.run(["gh", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S607


def run_address() -> str:
    """Return the address of the run, or nothing where there is none."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if run else ""


def text(results: dict[str, str]) -> str:
    """Return the results as a list in Markdown."""
    lines = [f"- `make {name}`: **{result}** ({MEANING.get(name, name)})" for name, result in results.items()]
    return "\n".join([*lines, "", f"The run: {run_address()}"])


def main(results: dict[str, str]) -> None:
    """Bring the issue up to date."""
    found = gh("issue", "list", "--label", LABEL, "--state", "open", "--limit", "1", "--json", "number")
    numbers = [str(issue["number"]) for issue in json.loads(found)]
    if "failure" in results.values():
        if numbers:
            gh("issue", "comment", numbers[0], "--body", text(results))
        else:
            gh("label", "create", LABEL, "--force", "--description", "Found by the scheduled run")
            gh("issue", "create", "--title", TITLE, "--label", LABEL, "--body", text(results))
    elif numbers and set(results.values()) == {"success"}:
        gh("issue", "close", numbers[0], "--comment", text(results))


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
