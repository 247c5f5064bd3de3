"""Build the book without jupyter-book: with Sphinx itself, the newest one, the newest theme and the newest extensions.

python tools/way_out.py FOLDER

jupyter-book 1.0 keeps Sphinx where it was in 2024. It can write down the configuration that it gives to Sphinx, and a
book then needs it no more. This does so in a copy of what is committed, and in an environment of its own.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
DROPPED = "jupyter_book"
# in conf.py, so that it finds the book's own extensions
OURS = 'import sys\nfrom pathlib import Path\n\nsys.path.append(str(Path(__file__).parent / "tools"))\n'


def program(name: str) -> str:
    """Return where a program of this environment is."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise FileNotFoundError(f"{name} must be in the environment of {sys.executable}, and is not")
    return found


def copied(target: Path) -> None:
    """Copy the files that git knows."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def without_jupyter_book(conf: str) -> str:
    """Return the configuration without the extension of jupyter-book, and with the place where the book's own stand."""
    found = re.search(r"^extensions = \[.*?\]", conf, flags=re.MULTILINE | re.DOTALL)
    if found is None or f"'{DROPPED}'" not in found[0]:
        raise ValueError(f"conf.py must have a list of extensions with {DROPPED}, and has none")
    return OURS + conf.replace(found[0], re.sub(rf"'{DROPPED}',?\s*", "", found[0]))


def normal(name: str) -> str:
    """Return the name of a distribution as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(conf: str, requirements: str) -> list[str]:
    """Return what to install, without versions: what the project asks for, and what has the extensions of the book."""
    asked = [line.partition("==")[0] for line in requirements.splitlines() if re.match(r"[\w-]", line)]
    extensions = re.search(r"^extensions = \[(.*?)\]", conf, flags=re.MULTILINE | re.DOTALL)
    modules = re.findall(r"'([^']+)'", extensions[1]) if extensions else []
    names = {normal(name) for name in asked} | {"sphinx"}
    owners = packages_distributions()
    for name in modules:
        found = {normal(owner) for owner in owners.get(name.partition(".")[0], [])}
        names |= found if len(found) == 1 else found & {normal(name)}  # many share one namespace, as sphinxcontrib
    return sorted(name for name in names - {"jupyter-book"} if name[0].isalnum())


def main(folder: Path) -> None:
    """Make the copy, the environment and the book."""
    shutil.rmtree(folder, ignore_errors=True)
    book, home = folder / "book", folder / "venv"
    copied(book)
    subprocess.run([program("jupyter-book"), "config", "sphinx", str(book)], check=True)
    conf = without_jupyter_book((book / "conf.py").read_text(encoding="utf-8"))
    (book / "conf.py").write_text(conf, encoding="utf-8")
    names = wanted(conf, (book / "requirements.txt").read_text(encoding="utf-8"))
    newest, lock = folder / "newest.in", folder / "newest.txt"
    newest.write_text("\n".join(["--editable .", *names]) + "\n", encoding="utf-8")
    uv, backend = program("uv"), os.environ.get("TORCH")
    venv.create(home)
    there = ["--python", str(home.resolve()), "--quiet"]
    options = [f"--torch-backend={backend}"] if backend else []
    stable = ["--prerelease", "disallow", "--quiet"]
    resolve = [uv, "pip", "compile", *stable, *options, str(newest.resolve()), "--output-file", str(lock.resolve())]
    subprocess.run(resolve, cwd=book, check=True)
    subprocess.run([uv, "pip", "install", *there, *options, "--requirement", str(lock.resolve())], cwd=book, check=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    build = [str(python.resolve()), "-m", "sphinx", "-W", "--keep-going", "-n", "-q", ".", "../html"]
    subprocess.run(build, cwd=book, check=True)
    subprocess.run([sys.executable, str(ROOT / "tools" / "check_pages.py"), str(folder / "html")], check=True)
    print(f"The book: {(folder / 'html' / 'index.html').resolve().as_uri()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
