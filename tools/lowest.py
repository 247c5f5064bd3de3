"""Run the copies of all chapters where nothing but the package is: with the lowest versions that it allows.

python tools/lowest.py

An environment of its own, _build/lowest, gets these versions from pyproject.toml, and the package as a wheel. Each copy
runs in an empty folder, and must print what the chapter prints. The PyTorch there is the one of this environment, since
the lowest may be a build of several GB; with TORCH=cpu, or another build that uv knows, it is the lowest as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import nbformat
from copies import copies
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from way_out import program

ROOT = Path(__file__).parent.parent
HOME = ROOT / "_build" / "lowest"
AT_ONCE = 2  # chapters
# Finds PyTorch, and nothing else, in the folder of another environment.
BORROWED = """\
import sys
from importlib.machinery import PathFinder


class Borrowed:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [{folder!r}]) if name in ("torch", "torchgen", "functorch") else None


sys.meta_path.append(Borrowed)
"""


def python(home: Path) -> str:
    """Return the interpreter of an environment."""
    return str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def uv(*arguments: str) -> None:
    """Run uv; what it has to say appears where it fails."""
    subprocess.run([program("uv"), *arguments], check=True)


def borrowed_torch(home: Path) -> list[str]:
    """Let an environment use the PyTorch of this one; return what that needs beside it."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("there is no PyTorch in this environment")
    asked = [python(home), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    folder = str(Path(spec.origin).parent.parent)
    (site / "borrowed_torch.py").write_text(BORROWED.format(folder=folder), encoding="utf-8")
    (site / "borrowed_torch.pth").write_text("import borrowed_torch\n", encoding="utf-8")
    return [line for line in requires("torch") or [] if ";" not in line]  # else it is for GPUs, or an extra


def install(home: Path, backend: str) -> None:
    """Make the environment, unless it is there already, and put the package into it as it is now."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    state = json.dumps(
        [sys.version, backend, project["dependencies"], requires("torch"), find_spec("torch")], default=str
    )
    stamp = home / "state.json"
    here = ["--quiet", "--python", python(home)]
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != state:
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(home))
        lowest = [
            "--resolution",
            "lowest-direct",
            "--only-binary",
            ":all:",
            "--requirements",
            str(ROOT / "pyproject.toml"),
        ]
        if backend:
            uv("pip", "install", *here, *lowest, f"--torch-backend={backend}")
        else:
            without = home / "without.txt"
            without.write_text("torch\n", encoding="utf-8")
            uv("pip", "install", *here, *lowest, "--excludes", str(without))
            uv("pip", "install", *here, *borrowed_torch(home))
        stamp.write_text(state, encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:  # setuptools leaves things in the folder where it builds
        source = Path(scratch) / "source"
        shutil.copytree(ROOT / "eprop_nb", source / "eprop_nb", ignore=shutil.ignore_patterns("__pycache__"))
        for path in ROOT.iterdir():
            if path.is_file():
                shutil.copy(path, source)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", scratch, str(source)], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        uv("pip", "install", *here, "--no-deps", "--reinstall", str(wheel))


def words(chapter: NotebookNode) -> list[list[str]]:
    """Return what each cell says in words: prints, and shows."""
    found = []
    for cell in chapter.cells:
        outputs = cell.get("outputs", [])
        printed = "".join(each.text for each in outputs if each.output_type == "stream")
        found.append([printed, *(each.data.get("text/plain", "") for each in outputs if "data" in each)])
    return found


async def fault(interpreter: str, text: str) -> str:
    """Run a copy in an empty folder; return what is wrong, or nothing."""

    class Manager(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=[interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"])

    chapter = nbformat.reads(text, as_version=4)
    expected = words(chapter)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        at = {"metadata": {"path": folder}}
        client = NotebookClient(
            chapter, timeout=None, kernel_manager_class=Manager, coalesce_streams=True, resources=at
        )
        try:
            await client.async_execute(env=environment)
        except (CellExecutionError, DeadKernelError) as error:
            return str(error)
    for cell, now, before in zip(chapter.cells, words(chapter), expected, strict=True):
        if now != before:
            return f"a cell says {now}, and not {before}:\n{cell.source}"
    return ""


async def run(interpreter: str, texts: dict[str, str]) -> dict[str, str]:
    """Run some copies, a few at a time; return what is wrong with each, or nothing."""
    few = asyncio.Semaphore(AT_ONCE)

    async def one(text: str) -> str:
        async with few:
            return await fault(interpreter, text)

    return dict(zip(texts, await asyncio.gather(*map(one, texts.values())), strict=True))


def main() -> int:
    """Print how each chapter fares; return how many fail."""
    install(HOME, os.environ.get("TORCH", ""))
    found = asyncio.run(run(python(HOME), dict(copies(ROOT))))
    uv("pip", "list", "--python", python(HOME))
    for name, wrong in found.items():
        print(f"{name}: {wrong or 'good'}")
    return sum(map(bool, found.values()))


if __name__ == "__main__":
    sys.exit(main())
