"""Checks of NumPy arrays: each names the argument, what it got and what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def array(name: str, value: object, shape: tuple[int | None, ...], axes: str) -> Array:
    """Return `value` as a float64 array if it holds finite real numbers in this shape; raise otherwise.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What was given.
    shape : tuple of int or None
        The length of each axis; None where any length of at least 1 will do.
    axes : str
        What the axes mean, for the message, e.g. ``"[batch, time, n_rec]"``.

    Raises
    ------
    TypeError
        If `value` holds no real numbers, or an entry is masked.
    ValueError
        If the shape is wrong, or an entry is NaN or infinite.
    """
    allowed = f"an array {axes} of real numbers"
    try:
        raw: NDArray[Any] = np.asanyarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # lists of different lengths; tensors that cannot be arrays
        raise TypeError(f"{name} must be {allowed}, got {type(value).__name__}: {str(error).splitlines()[0]}") from None
    if isinstance(raw, np.ma.MaskedArray) or raw.dtype.kind not in "iuf":
        got = "a masked array" if isinstance(raw, np.ma.MaskedArray) else f"{type(value).__name__} of {raw.dtype}"
        raise TypeError(f"{name} must be {allowed}, got {got}")
    fits = raw.ndim == len(shape) and all(
        n == got if n is not None else got >= 1 for n, got in zip(shape, raw.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name} must have the shape {wanted} = {axes}, got {raw.shape}")
    if not np.isfinite(raw).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    return np.asarray(raw, dtype=np.float64)


def spikes(name: str, value: object, shape: tuple[int | None, ...], axes: str) -> Array:
    """Return `value` if it is an array of this shape that holds only 0 and 1; raise otherwise (see `array`)."""
    checked = array(name, value, shape, axes)
    other = checked[(checked != 0) & (checked != 1)]
    if other.size:
        raise ValueError(f"{name} must hold spikes, that is 0 or 1 in each time step, got an entry {other[0]}")
    return checked
