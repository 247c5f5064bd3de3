"""How the loops of `eprop_nb.fast.kernels` are compiled, and where the machine code is kept.

Numba's own cache (seen with 0.68.1) keeps an index and numbered files, and writes the index first. If the disk is full
after that, or a second process reads or writes in between, the index names a file with other code: that of another
type, or of an older source, which then runs unnoticed. And it fails where no folder can be written, where a file is
broken (numba/numba#10434), and where the disk is full. Here each version of a function has one file, which says itself
what it was compiled from; and whatever goes wrong with files, the function is compiled as if there were none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile `function` at its first call with each type of arguments, or take the machine code from a file."""
    # nogil: trials run side by side in threads. No fastmath: every sum is rounded in the order in which it is written.
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    if isinstance(dispatcher, Dispatcher):  # it is the plain function where NUMBA_DISABLE_JIT is set
        with contextlib.suppress(RuntimeError, OSError):  # no folder can be written: go on without a cache
            dispatcher._cache = Cache(function)  # type: ignore[attr-defined]  # Numba's annotations leave it out
    return cast(_Function, dispatcher)


class Cache:
    """The machine code of one function on disk, a file for each type of its arguments.

    Which folder that is, and what tells one version of a function from another, Numba says; the methods are those that
    it asks of a cache.

    Parameters
    ----------
    function : callable
        A function of a module.

    Raises
    ------
    RuntimeError
        If there is no folder that can be written.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._numba: Any = FunctionCache(function)  # type: ignore[no-untyped-call]  # Numba leaves it untyped
        self.cache_path: str = self._numba.cache_path

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return the code for a signature; None if there is none, or none that belongs to this source."""
        context.refresh()
        path, origin = self._place(signature, context.codegen())
        with contextlib.suppress(Exception):  # a broken file can raise anything
            kept, code = pickle.loads(path.read_bytes())  # noqa: S301  # written by this user, as Python's own .pyc
            if kept == origin:
                return self._numba._impl.rebuild(context, pickle.loads(code))  # noqa: S301  # same
        return None

    def save_overload(self, signature: Any, code: Any) -> None:
        """Keep the code for a signature; do nothing if there is no room for it."""
        implementation = self._numba._impl
        if not implementation.check_cachable(code):
            return
        path, origin = self._place(signature, code.codegen)
        kept = pickle.dumps((origin, dumps(implementation.reduce(code))))  # type: ignore[no-untyped-call]  # same
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(kept)
                Path(temporary).replace(path)  # all at once: nobody ever reads a part of it
            except BaseException:
                Path(temporary).unlink()
                raise

    def flush(self) -> None:
        """Do nothing: Numba asks for this before it compiles anew, and what is kept is never out of date."""

    def _place(self, signature: Any, codegen: Any) -> tuple[Path, tuple[object, ...]]:
        """Return the file for a signature, and what its code must have been made from: Numba's version, source, key."""
        implementation = self._numba._impl
        key = str(self._numba._index_key(signature, codegen))  # types of the arguments, processor, byte code
        name = f"{implementation.filename_base}.{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"
        return Path(self.cache_path) / name, (numba.__version__, implementation.locator.get_source_stamp(), key)
