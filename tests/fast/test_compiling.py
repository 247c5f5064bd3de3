"""Where compiled code is kept: never wrong code, and no error where none can be kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eprop_nb.fast import compiling

ROOT = Path(__file__).parent.parent.parent
NAME = "sums_to_be_compiled"
SOURCE = """
def total(x):
    s = 0.0
    for i in range(x.shape[0]):
        s += x[i]
    return s
"""
THREE = {np.dtype(kind): np.ones(3, kind) for kind in (np.float32, np.float64)}


def total(folder: Path, source: str = SOURCE) -> Any:
    """Compile the function of a module in `folder`, as a new process would."""
    path, module = folder / "sums.py", types.ModuleType(NAME)
    path.write_text(source, encoding="utf-8")
    sys.modules[NAME] = module
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102  # an import might take older byte code
    return compiling.compiled(module.total)


def hits(function: Any) -> tuple[int, int]:
    """Return how often code was taken from a file, and how often it was not there."""
    return sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "cache"))
    yield tmp_path
    sys.modules.pop(NAME, None)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "cache").rglob("*") if path.is_file())


def fill(folder: Path) -> None:
    one = total(folder)
    for x in THREE.values():
        assert one(x) == 3
    assert hits(one) == (0, 2)


def test_code_is_kept_for_each_type(folder: Path) -> None:
    fill(folder)
    assert len(files(folder)) == 2
    other = total(folder)
    for x in THREE.values():
        assert other(x) == 3
    assert hits(other) == (2, 0)


def test_two_that_start_at_once_lose_nothing(folder: Path) -> None:
    first, second = total(folder), total(folder)
    assert first(THREE[np.dtype(np.float64)]) == second(THREE[np.dtype(np.float32)]) == 3
    third = total(folder)
    for x in THREE.values():
        assert third(x) == 3
    assert hits(third) == (2, 0)


def test_code_of_another_type_is_never_taken(folder: Path) -> None:
    fill(folder)
    one, two = files(folder)
    shutil.copy(one, two)
    other = total(folder)
    for x in THREE.values():
        assert other(x) == 3
    assert hits(other) == (1, 1)


def test_code_of_an_older_source_is_never_taken_even_if_the_disk_is_full_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder)

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr("tempfile.mkstemp", full)
        changed = total(folder, SOURCE.replace("0.0", "5.0"))  # the same byte code, with another constant
        for x in THREE.values():
            assert changed(x) == 8
    for expected in ((0, 2), (2, 0)):
        later = total(folder, SOURCE.replace("0.0", "5.0"))
        for x in THREE.values():
            assert later(x) == 8
        assert hits(later) == expected


@pytest.mark.parametrize("damage", [b"", b"no code", b"\x80\x04"])
def test_broken_files_are_replaced(folder: Path, damage: bytes) -> None:
    fill(folder)
    for path in files(folder):
        path.write_bytes(damage or path.read_bytes()[:1000])
    for expected in ((0, 2), (2, 0)):
        other = total(folder)
        for x in THREE.values():
            assert other(x) == 3
        assert hits(other) == expected


READ = """
import sys
import numpy as np
import eprop_nb as ep
{before}
from eprop_nb import fast
from eprop_nb.fast import kernels

assert fast.__file__.startswith(sys.argv[1])
p = ep.Parameters(n_in=1, n_lif=1, n_alif=0, duration=2.0)
for dtype in sys.argv[2:]:
    one, z = np.ones((1, 1), dtype), np.ones((1, 2, 1), dtype)
    output = fast.readout(p, ep.Weights(one, one, one), fast.Simulation(z, z, z, z, z))
    assert np.allclose(output[0, :, 0], [1 - p.kappa, 1 - p.kappa**2])
stats = kernels.read_trials.stats
print(len(stats.cache_hits), len(stats.cache_misses), stats.cache_path)
"""


def read(package: Path, *dtypes: str, before: str = "", **environment: str) -> str:
    """Run the readout in a process of its own; return how often its code was kept, and where."""
    variables = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    result = subprocess.run(
        [sys.executable, "-B", "-c", READ.format(before=before), str(package), *dtypes],
        env=variables | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"} | environment,
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def copy_of_the_package(folder: Path) -> Path:
    shutil.copytree(ROOT / "eprop_nb", folder / "eprop_nb", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_it_works_where_nothing_can_be_written(tmp_path: Path) -> None:
    # A file in the place of each folder keeps out the administrator too.
    package = copy_of_the_package(tmp_path)
    nowhere = tmp_path / "file"
    for path in (package / "eprop_nb" / "fast" / "__pycache__", nowhere):
        path.write_text("no folder", encoding="utf-8")
    places = {name: str(nowhere) for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "NUMBA_CACHE_DIR")}
    before = set(tmp_path.rglob("*"))
    assert read(package, "float64", **places) == "0 1 None"
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for the size of files")
def test_it_works_on_a_full_disk(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    assert read(ROOT, "float64", before=full, NUMBA_CACHE_DIR=str(cache)).startswith("0 1 ")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_processes_that_start_at_once_keep_the_code_of_both_types(tmp_path: Path) -> None:
    kinds = ("float32", "float64")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda kind: read(ROOT, kind, NUMBA_CACHE_DIR=str(tmp_path)), kinds))
    assert read(ROOT, *kinds, NUMBA_CACHE_DIR=str(tmp_path)).startswith("2 0 ")
