"""Checks of arguments: each names the argument, what it got and what is allowed."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def whole(name: str, value: object, least: int) -> int:
    """Return `value` as an int, or raise if it is not a whole number of at least `least`."""
    allowed = f"a whole number of at least {least}"
    if _no_number(value):
        raise TypeError(f"{name} must be {allowed}, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # refusing what has no __index__ is the point
    except TypeError:
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}") from None
    if number < least:
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def real(name: str, value: object, *, zero_allowed: bool = False, most: float = math.inf) -> float:
    """Return `value` as a float, or raise if it is not finite, positive (or zero, if allowed) and at most `most`."""
    allowed = "a finite number of at least 0" if zero_allowed else "a finite number greater than 0"
    if most < math.inf:
        allowed += f" and at most {most:g}"
    if _no_number(value):
        raise TypeError(f"{name} must be {allowed}, got {value!r}")
    try:
        number = float(value)  # type: ignore[arg-type]  # refusing what has no __float__ is the point
    except OverflowError:
        raise ValueError(f"{name} must be {allowed}, got one too large for float64") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}") from None
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero_allowed) or number > most:
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def _no_number(value: object) -> bool:
    # Python would take these for numbers: True for 1, "2" for 2.0, a text of bytes for a sequence of whole numbers
    return isinstance(value, (bool, np.bool_, str, bytes)) or getattr(value, "dtype", None) == torch.bool


def per_neuron(name: str, value: object, n_rec: int, *, zero_allowed: bool = False) -> float | tuple[float, ...]:
    """Return a float, or a tuple with one float per recurrent neuron; raise if it is neither."""
    if hasattr(value, "tolist"):  # a NumPy array or a tensor
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return real(name, value, zero_allowed=zero_allowed)
    if len(value) != n_rec:
        raise ValueError(
            f"{name} must be one number or one for each of the {n_rec} recurrent neurons, got {len(value)} numbers"
        )
    return tuple(real(f"{name}[{j}]", entry, zero_allowed=zero_allowed) for j, entry in enumerate(value))


def tensor(name: str, value: object, shape: tuple[int | None, ...], axes: str, like: Tensor | None = None) -> Tensor:
    """Return `value` if it is a finite floating-point tensor of this shape; raise otherwise.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What was given.
    shape : tuple of int or None
        The length of each axis; None where any length of at least 1 will do.
    axes : str
        What the axes mean, for the message, e.g. ``"[batch, time, n_in]"``.
    like : Tensor, optional
        A tensor whose dtype and device `value` must share.

    Raises
    ------
    TypeError
        If `value` is no tensor, is not float32 or float64, or has another dtype than `like`.
    ValueError
        If the shape is wrong, an entry is NaN or infinite, or the device is not that of `like`.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor {axes}, got {type(value).__name__}")
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    fits = value.ndim == len(shape) and all(
        n == got if n is not None else got >= 1 for n, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must have the shape {wanted} = {axes}, got {tuple(value.shape)}")
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be of dtype torch.float32 or torch.float64, got {value.dtype}")
    if like is not None and value.dtype != like.dtype:
        raise TypeError(f"{name} must be of dtype {like.dtype}, as the other tensors are, got {value.dtype}")
    if like is not None and value.device != like.device:
        raise ValueError(f"{name} must be on the device {like.device}, where the other tensors are, got {value.device}")
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    return value


def spikes(name: str, value: object, shape: tuple[int | None, ...], axes: str, like: Tensor | None = None) -> Tensor:
    """Return `value` if it is a tensor of this shape that holds only 0 and 1; raise otherwise (see `tensor`)."""
    checked = tensor(name, value, shape, axes, like)
    if not bool(((checked == 0) | (checked == 1)).all()):
        other = checked[(checked != 0) & (checked != 1)][0].item()
        raise ValueError(f"{name} must hold spikes, that is 0 or 1 in each time step, got an entry {other}")
    return checked


def instance(name: str, value: object, kind: type) -> None:
    """Raise if `value` is not an instance of a class of this package."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be an instance of eprop_nb.{kind.__name__}, got {type(value).__name__}")


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the allowed words; raise otherwise."""
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")
    return str(value)
