"""Checks of arguments: each names the argument, what it got and what is allowed.

A check returns what it has checked, as the type that it is checked for; what it returns is what to use.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

FLOATS = (torch.float32, torch.float64)
_GIB = 2**30


def whole(name: str, value: object, least: int) -> int:
    """Return `value` as an int, or raise if it is not a whole number of at least `least`."""
    allowed = f"a whole number of at least {least}"
    try:
        number = operator.index(_scalar(value))  # type: ignore[arg-type]  # refusing what has no __index__ is the point
    except TypeError:
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}") from None
    if number < least:
        raise ValueError(f"{name} must be {allowed}, got {number}")
    if number >= 2**63:
        raise ValueError(f"{name} must be {allowed} and below 2**63, got one that is too large for an index")
    return number


def real(name: str, value: object, *, zero_allowed: bool = False, most: float = math.inf) -> float:
    """Return `value` as a float, or raise if it is not finite, positive (or zero, if allowed) and at most `most`."""
    allowed = "a finite number of at least 0" if zero_allowed else "a finite number greater than 0"
    if most < math.inf:
        allowed += f" and at most {most:g}"
    try:
        number = float(_scalar(value))  # type: ignore[arg-type]  # refusing what has no __float__ is the point
    except OverflowError:
        raise ValueError(f"{name} must be {allowed}, got one too large for float64") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}") from None
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero_allowed) or number > most:
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def _scalar(value: object) -> object:
    """Return the number in an array or tensor without axes, and other things as they are; TypeError for no number.

    Python and NumPy would take these for numbers: True for 1, "2" for 2.0, 1 + 2j for 1.0, a masked entry for NaN, a
    length of time for the number of its units.
    """
    if isinstance(value, Tensor):
        number = not (value.ndim or value.is_nested or value.device.type == "meta")
    elif isinstance(value, (np.ndarray, np.generic)):
        number = not value.ndim and value.dtype.kind in "iuf" and not isinstance(value, np.ma.MaskedArray)
    else:
        number = not isinstance(value, (bool, str, bytes, bytearray))
    scalar = value.item() if number and isinstance(value, (Tensor, np.ndarray, np.generic)) else value
    if not number or isinstance(scalar, bool):  # a tensor of one bool is one
        raise TypeError
    return scalar


def per_neuron(name: str, value: object, n_rec: int, *, zero_allowed: bool = False) -> float | tuple[float, ...]:
    """Return a float, or a tuple with one float per recurrent neuron; raise if it is neither."""
    if isinstance(value, Tensor):
        value = _held(name, dense(name, value, "or numbers")).tolist()
    elif isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray)):
        return real(name, value, zero_allowed=zero_allowed)
    if len(value) != n_rec:
        raise ValueError(
            f"{name} must be one number or one for each of the {n_rec} recurrent neurons, got {len(value)} numbers"
        )
    return tuple(real(f"{name}[{j}]", entry, zero_allowed=zero_allowed) for j, entry in enumerate(value))


def dense(name: str, value: object, axes: str) -> Tensor:
    """Return `value` if it is a tensor with an entry in each place: not sparse, nested or masked; raise otherwise."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor {axes}, got {type(value).__name__}")
    if value.is_nested or value.layout is not torch.strided or torch.masked.is_masked_tensor(value):
        kind = "nested" if value.is_nested else "masked" if value.layout is torch.strided else str(value.layout)
        raise TypeError(f"{name} must be a dense torch.Tensor {axes}, got one that is {kind}")
    return value


def form(
    name: str, value: object, shape: tuple[int | None, ...] | None, axes: str, like: Tensor | None = None
) -> Tensor:
    """Return `value` if it is a dense floating-point tensor of this shape, whatever its entries; raise otherwise.

    Arguments and errors as of `tensor`, but for the entries: what is called in each time step is checked by this.
    """
    if like is not None and type(value) is Tensor and _same_form(value, shape, like):
        return value  # as nearly always: there are many of them in each time step
    value = dense(name, value, axes)
    if shape is not None and value.shape != shape:
        fits = value.ndim == len(shape) and all(
            n == got if n is not None else got >= 1 for n, got in zip(shape, value.shape, strict=True)
        )
        if not fits:
            wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
            raise ValueError(f"{name} must have the shape {wanted} = {axes}, got {tuple(value.shape)}")
    if value.dtype not in FLOATS:
        raise TypeError(f"{name} must be of dtype torch.float32 or torch.float64, got {value.dtype}")
    if like is not None and value.dtype != like.dtype:
        raise TypeError(f"{name} must be of dtype {like.dtype}, as the other tensors are, got {value.dtype}")
    if like is not None and value.device != like.device:
        raise ValueError(f"{name} must be on the device {like.device}, where the other tensors are, got {value.device}")
    return _held(name, value)


def _same_form(value: Tensor, shape: tuple[int | None, ...] | None, like: Tensor) -> bool:
    plain = not value.is_nested and value.layout is torch.strided
    return plain and value.shape == shape and value.dtype is like.dtype and value.device == like.device


def _held(name: str, value: Tensor) -> Tensor:
    if value.device.type == "meta":
        raise ValueError(f"{name} must be on a device that holds numbers, got {value.device}")
    return value


def tensor(
    name: str, value: object, shape: tuple[int | None, ...] | None, axes: str, like: Tensor | None = None
) -> Tensor:
    """Return `value` if it is a finite floating-point tensor of this shape; raise otherwise.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What was given.
    shape : tuple of int or None
        The length of each axis; None where any length of at least 1 will do, and None for any shape at all.
    axes : str
        What the axes mean, for the message, e.g. ``"[batch, time, n_in]"``.
    like : Tensor, optional
        A tensor whose dtype and device `value` must share.

    Raises
    ------
    TypeError
        If `value` is no dense tensor, is not float32 or float64, or has another dtype than `like`.
    ValueError
        If the shape is wrong, an entry is NaN or infinite, or the device is not that of `like` or holds no numbers.
    """
    checked = form(name, value, shape, axes, like)
    if not bool(torch.isfinite(checked).all()):
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    return checked


def spikes(name: str, value: object, shape: tuple[int | None, ...], axes: str, like: Tensor | None = None) -> Tensor:
    """Return `value` if it is a tensor of this shape that holds only 0 and 1; raise otherwise (see `tensor`)."""
    checked = tensor(name, value, shape, axes, like)
    if not bool(((checked == 0) | (checked == 1)).all()):
        other = checked[(checked != 0) & (checked != 1)][0].item()
        raise ValueError(f"{name} must hold spikes, that is 0 or 1 in each time step, got an entry {other}")
    return checked


def no_overflow(result: Tensor, arguments: str, what: str) -> Tensor:
    """Return `result` if it is finite; raise otherwise, naming the arguments that made it too large."""
    if not bool(torch.isfinite(result).all()):
        raise ValueError(f"{arguments} must be such that {what} is finite in {result.dtype}, got an overflow")
    return result


def physical_memory() -> int:
    """Return how many bytes of memory this machine has; where it does not say, how many a process can address."""
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if set(names) <= getattr(os, "sysconf_names", {}).keys():  # not on Windows
        return math.prod(map(os.sysconf, names))
    return 2**47


def memory(arguments: str, what: str, n_numbers: int, like: Tensor | None = None) -> None:
    """Raise MemoryError if so many numbers, of the dtype of `like` or of float64, are more than the machine can hold.

    The bound is all the memory that is built into it, or into the device of `like`: what is beyond that can never be
    computed there. What is below may still be too much beside other programs.
    """
    if like is not None and like.device.type == "cuda":
        where, total = f"the device {like.device}", torch.cuda.get_device_properties(like.device).total_memory
    else:
        where, total = "this machine", physical_memory()
    needed = n_numbers * (8 if like is None else like.dtype.itemsize)
    if needed > total:
        raise MemoryError(
            f"{arguments} must be such that memory holds {what}, got {needed / _GIB:.3g} GiB "
            f"where {where} has {total / _GIB:.3g} GiB"
        )


def instance(name: str, value: object, kind: type) -> None:
    """Raise if `value` is not an instance of a class of this package."""
    if not isinstance(value, kind):
        got = type(value).__name__
        if got == kind.__name__:  # another room has one of the same name
            got = f"{type(value).__module__}.{got}"
        raise TypeError(f"{name} must be an instance of eprop_nb.{kind.__name__}, got {got}")


def function(name: str, value: object) -> None:
    """Raise if `value` is nothing that can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {type(value).__name__}")


def flag(name: str, value: object) -> bool:
    """Return `value` if it is True or False; raise otherwise."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the allowed words; raise otherwise."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")
    return value


def dtype_or_device(name: str, value: object) -> torch.dtype | torch.device:
    """Return `value` as one of the two floating-point types or as a device on which tensors can be; raise otherwise."""
    allowed = "torch.float32, torch.float64, or a device that holds numbers"
    if isinstance(value, torch.dtype) and value in FLOATS:
        return value
    if not isinstance(value, (str, torch.device)):
        raise TypeError(f"{name} must be {allowed}, got {value!r}")
    try:
        device = torch.empty(0, device=value).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch's ways to say that there is none
        raise ValueError(f"{name} must be {allowed}, got {value!r}: {str(error).splitlines()[0]}") from None
    if device.type == "meta":
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return device
