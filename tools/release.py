"""The release of a tag: that it names the package's version, and what CHANGELOG.md says of it.

python tools/release.py check              where a tag is being released, it must be v and the version
python tools/release.py create FOLDER      make the release of that tag on GitHub, with the files of the folder

Which tag it is, GitHub's workflows say in the environment; it speaks through GitHub's own program, `gh`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def version() -> str:
    """Return the version of the package."""
    package = (ROOT / "eprop_nb" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.finditer(r'^__version__ = "(.+)"$', package, flags=re.MULTILINE)
    return found[1]


def tag() -> str:
    """Return the tag that is being released, or nothing."""
    return os.environ.get("GITHUB_REF_NAME", "") if os.environ.get("GITHUB_REF_TYPE") == "tag" else ""


def notes(changelog: str, of: str) -> str:
    """Return what the changelog says of a version: what stands between its heading, ## VERSION, and the next one."""
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, text = section.partition("\n")
        if re.match(rf"\[?v?{re.escape(of)}(?![\w.])", heading) and text.strip():
            return text.strip() + "\n"
    raise LookupError(f"CHANGELOG.md must have a section ## {of} with a text, and has none")


def check() -> str:
    """Return the notes of the version; raise if the tag names another one. Without a tag there is nothing to check."""
    if not tag():
        return ""
    if tag() != f"v{version()}":
        raise ValueError(f"the tag must be v{version()}, the version of the package, got {tag()}")
    return notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version())


def create(folder: Path) -> None:
    """Make the release."""
    text, files = check(), sorted(map(str, folder.iterdir()))
    if not tag() or not files:
        raise ValueError(f"there must be a tag and something in {folder}, got the tag {tag()!r} and {files}")
    command = ["gh", "release", "create", tag(), *files, "--verify-tag", "--title", tag(), "--notes-file", "-"]
    subprocess.run(command, input=text, text=True, check=True)


if __name__ == "__main__":
    if sys.argv[1] == "create":
        create(Path(sys.argv[2]))
    else:
        check()
        print(f"version {version()}, tag {tag() or 'none'}")
