"""What the compiled path is given: arrays and tensors are looked at, and what is wrong with them is said."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eprop_nb import _checks
from eprop_nb.fast import kernels
from eprop_nb.parameters import Parameters, Weights

Array = NDArray[Any]  # of float32 or float64, but for spikes


def weights(parameters: Parameters, weights: Weights) -> tuple[Array, Array, Array]:
    """Return the weights as arrays, checked but for NaN and infinity."""
    _checks.instance("parameters", parameters, Parameters)
    _checks.instance("weights", weights, Weights)
    p, n_rec = parameters, parameters.n_rec
    w_in = array("weights.w_in", weights.w_in, (p.n_in, n_rec), "[n_in, n_rec]")
    w_rec = array("weights.w_rec", weights.w_rec, (n_rec, n_rec), "[n_rec, n_rec]", w_in.dtype)
    return w_in, w_rec, array("weights.w_out", weights.w_out, (n_rec, p.n_out), "[n_rec, n_out]", w_in.dtype)


def array(
    name: str, value: object, shape: tuple[int | None, ...], axes: str, dtype: np.dtype[Any] | None = None
) -> Array:
    """Return `value` as an array that compiled code can take; raise as `eprop_nb` does if it is not what is wanted."""
    array = plain(name, value, axes)
    if array.shape != shape and not (shape[0] is None and array.shape[1:] == shape[1:] and array.size):
        _checks.tensor(name, torch.zeros(()).expand(array.shape), shape, axes)  # raises, and says what is wanted
    if array.dtype != dtype:
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name} must be of dtype float32 or float64, got {array.dtype}")
        if dtype is not None:
            if isinstance(value, Tensor):
                _checks.tensor(name, value, shape, axes, torch.empty(0, dtype=getattr(torch, dtype.name)))
            raise TypeError(f"{name} must be of dtype {dtype}, as the other arrays are, got {array.dtype}")
    # One version is compiled for one layout, and for arrays that could be written, though these are only read.
    return array if array.flags.carray else array.copy(order="C")


def plain(name: str, value: object, axes: str) -> Array:
    """Return what is held by a plain array or tensor; raise for everything else.

    A subclass may mean something by its numbers that compiled code would not see, as the mask of a masked array.
    """
    wanted = f"{name} must be a NumPy array or a torch.Tensor {axes}"
    if isinstance(value, np.ndarray):
        if type(value) not in (np.ndarray, np.memmap):
            raise TypeError(f"{wanted}, and no subclass, got {type(value).__module__}.{type(value).__name__}")
        return value if type(value) is np.ndarray else np.asarray(value)
    if not isinstance(value, Tensor):
        raise TypeError(f"{wanted}, got {type(value).__name__}")
    if type(value) not in (Tensor, torch.nn.Parameter):
        raise TypeError(f"{wanted}, and no subclass, got {type(value).__module__}.{type(value).__name__}")
    if value.is_nested or value.layout is not torch.strided:
        raise TypeError(f"{wanted} that is dense, got {'a nested one' if value.is_nested else value.layout}")
    if value.device.type != "cpu":
        raise ValueError(f"{name} must be on the device cpu, where compiled code runs, got {value.device}")
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be of dtype torch.float32 or torch.float64, got {value.dtype}")
    try:
        return value.detach().resolve_neg().numpy()
    except (RuntimeError, TypeError):  # inside torch.func's transformations tensors have no memory of their own
        raise TypeError(f"{wanted} that holds numbers, got one that stands for others") from None


def finite(*weights: Array) -> None:
    """Raise if one of the three matrices of `Weights` holds NaN or infinity."""
    for name, array in zip(Weights._fields, weights, strict=True):
        if not kernels.all_finite(array):
            _checks.tensor(f"weights.{name}", torch.from_numpy(array), array.shape, "")  # raises


def memory(arguments: str, what: str, n_numbers: int, dtype: np.dtype[Any]) -> None:
    """Raise MemoryError if so many numbers are more than the machine can hold."""
    if n_numbers > 10**6:  # to ask the machine takes as long as the rest of a small call
        _checks.memory(arguments, what, n_numbers, torch.empty(0, dtype=getattr(torch, dtype.name)))


@lru_cache(maxsize=64)
def network(parameters: Parameters, dtype: np.dtype[Any]) -> tuple[Array, Array, int]:
    """Return the constants of the neurons, in the order of `kernels.Network`."""
    p = parameters
    with np.errstate(over="ignore"):  # what float32 cannot hold makes numbers that are not finite, and they are found
        constants = np.array(
            [p.alpha, p.rho, p.threshold_per_neuron, p.beta_per_neuron, (p.dampening,) * p.n_rec], dtype
        )
    readout = np.array([p.kappa, p.kappa_complement], dtype)
    return constants, readout, min(max(p.n_ref - 1, 0), p.n_steps)  # no longer than the trial: t + n_ref may overflow


_LARGE = {  # what may have been too large, by what is not finite then
    kernels.VOLTAGE: ("the voltages", ("weights.w_in", "weights.w_rec")),
    kernels.OUTPUT: ("the output", ("weights.w_out", "targets")),
    kernels.SIGNAL: ("the learning signal", ("feedback", "weights.w_out", "targets")),
    kernels.GRADIENT: (
        "the gradient",
        ("feedback", "weights.w_out", "targets", "signal", "output_signal", "spike_signal"),
    ),
}


def reason(parameters: Parameters, given: dict[str, Array], faults: NDArray[np.int8]) -> ValueError:
    """Raise what is wrong with one of the arrays, or return what must have been too large.

    `faults` are what the kernels have found in each trial; where they have found nothing, it is the gradient.
    """
    for name, array in given.items():
        check = _checks.spikes if name in ("inputs", "run.z") else _checks.tensor
        check(name, torch.from_numpy(array), array.shape, "")
    fault = min((int(each) for each in faults if each), default=kernels.GRADIENT)
    dtype, p = next(iter(given.values())).dtype, parameters

    used = ("threshold", "beta", "dampening") if fault == kernels.PSI else ("beta",) if "signal" in given else ()
    constants = {"threshold": p.threshold_per_neuron, "beta": p.beta_per_neuron, "dampening": (p.dampening,)}
    for name in used:
        for value in constants[name]:
            if value > float(np.finfo(dtype).max) or (name == "threshold" and dtype.type(value) == 0):
                return ValueError(f"{name} must be a number that {dtype} can hold, got {value:g}")
    if fault == kernels.PSI:
        return ValueError(
            f"threshold must be large enough, beside beta and dampening, for u and ψ to be finite in {dtype}, got "
            + ", ".join(f"{name} {min(values):g} to {max(values):g}" for name, values in constants.items())
        )
    what, names = _LARGE[fault]
    largest = {name: float(np.abs(given[name]).max()) for name in names if name in given}
    name = max(largest, key=lambda each: largest[each])
    traces = fault == kernels.GRADIENT and "inputs" in given
    growth = " (or beta, by which eligibility traces may grow)" if traces else ""
    return ValueError(
        f"{name}{growth} must be small enough for {what} to be finite in {dtype}, got entries up to {largest[name]:g}"
    )
