"""Tests run on a changed copy of the package, again and again, by one process that has imported everything else once.

What takes time is to import PyTorch, Numba and pytest; the package and its tests are loaded in a moment, and anew for
each change.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import shutil
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Self

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "eprop_nb"
# the compiled loops run in plain Python here: on a few neurons that is quicker than compiling them
ENVIRONMENT = {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore")
MEMORY = 4 * 2**30  # bytes that the tests of a change may take
HEAVY = ("torch", "numba", "hypothesis", "mpmath", "pytest")


class Outcome(NamedTuple):
    """What the tests said of a change."""

    passed: bool
    verdict: bool  # False if no test has run to its end: the change breaks the import, or no test was selected
    output: str  # of pytest


class _Collection:
    """A plugin of pytest that says whether all test modules could be imported."""

    failed = False

    def pytest_collectreport(self, report: Any) -> None:
        self.failed |= report.failed


class Changed:
    """A copy of the package in a folder of its own, and a process that tests it.

    Parameters
    ----------
    folder : Path
        An empty folder for the copy.
    """

    def __init__(self, folder: Path) -> None:
        self._package = folder / PACKAGE.name
        shutil.copytree(PACKAGE, self._package, ignore=shutil.ignore_patterns("__pycache__"))
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(str(self._package), there), daemon=True)
        self._process.start()
        there.close()

    def source(self, module: str) -> str:
        """Return the source of a module, named by its path in the package without the ending."""
        return (PACKAGE / f"{module}.py").read_text(encoding="utf-8")

    def run(self, module: str, source: str, tests: Sequence[str], *, seconds: float | None = None) -> Outcome:
        """Run tests with `source` in the place of a module, up to the first that fails.

        Parameters
        ----------
        module : str
            The module, as for `source`.
        source : str
            What it holds instead.
        tests : sequence of str
            Arguments for pytest; files relative to the folder of the tests.
        seconds : float, optional
            When to give up: a loop that no longer ends has been noticed.
        """
        path = self._package / f"{module}.py"
        path.write_text(source, encoding="utf-8")
        try:
            self._here.send(list(tests))
            if not self._here.poll(seconds):
                self.stop()
                self._start()
                return Outcome(False, True, "no end")
            return Outcome(*self._here.recv())
        except EOFError:  # the change has killed the process
            self.stop()
            self._start()
            return Outcome(False, True, "the process died")
        finally:
            path.write_text(self.source(module), encoding="utf-8")

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._here.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _serve(package: str, connection: Connection) -> None:
    os.environ.update(ENVIRONMENT)
    sys.dont_write_bytecode = True  # a file that changes twice in a second would be taken for the same
    sys.path[:0] = [str(Path(package).parent), str(TESTS)]
    for name in HEAVY:
        importlib.import_module(name)
    import pytest  # noqa: PLC0415  # not before the environment is set, as all that is heavy

    _bound_memory()
    while True:
        tests = connection.recv()
        _forget(package)
        output, collection = io.StringIO(), _Collection()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), contextlib.chdir(TESTS):
            code = pytest.main([*OPTIONS, *tests], plugins=[collection])
        tested = sys.modules.get("eprop_nb")
        right = tested is None or Path(str(tested.__file__)).parent == Path(package)
        verdict = code in (0, 1) and right and not collection.failed
        connection.send((verdict and code == 0, verdict, output.getvalue()))


def _bound_memory() -> None:
    # a change may ask for all the memory of the machine, and must not get it; said where Linux says how much is in use
    with contextlib.suppress(ImportError, OSError):
        import resource  # noqa: PLC0415  # there is none on Windows

        used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _forget(package: str) -> None:
    # so that the package and the tests are imported anew
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if Path(file).is_relative_to(package) or (Path(file).is_relative_to(TESTS) and name != __name__):
            del sys.modules[name]
    importlib.invalidate_caches()
