"""What `eprop_nb.fast` offers: arrays in, arrays out, the loops in `eprop_nb.fast.kernels` behind them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eprop_nb import _checks, gradients, simulation
from eprop_nb.fast import kernels
from eprop_nb.parameters import Parameters, Weights

Array = NDArray[Any]  # of float32 or float64

METHODS = ("closed_form", "online")
_GROUPS = 16  # of trials, each with a sum of its own: were they as many as threads, the rounding would hang on these
_ROOM = 2**30  # bytes that these sums may take together; a single one may take more
_WORTH_A_THREAD = 50_000  # neurons × time steps × trials; with less, starting threads takes longer than doing without


class Simulation(NamedTuple):
    """What a batch of trials leaves behind: arrays [batch, time, n_rec]."""

    z: Array  #: spikes, 0 or 1
    v: Array  #: membrane voltage
    b: Array  #: threshold adaptation
    v_scaled: Array  #: u, distance from the moving threshold in units of thr
    psi: Array  #: ψ, pseudo-derivative dz/dv


class Gradients(NamedTuple):
    """A gradient with respect to each weight matrix, arrays [pre, post], summed over time and batch."""

    w_in: Array  #: [n_in, n_rec]
    w_rec: Array  #: [n_rec, n_rec], zero on the diagonal
    w_out: Array | None = None  #: [n_rec, n_out]; None where it was not computed

    def tensors(self) -> gradients.Gradients:
        """Return the same numbers as tensors, for `eprop_nb.compare`."""
        return gradients.Gradients(*(None if each is None else torch.from_numpy(each) for each in self))


class Learning(NamedTuple):
    """What a network has done and what it should change, from `broadcast_gradients`."""

    loss: float  #: E = ½ Σ (y − y*)², summed over trials, time and outputs
    gradients: Gradients  #: of all three matrices
    spike_counts: NDArray[np.int64]  #: how often each neuron has fired in each trial, [batch, n_rec]


def broadcast_gradients(
    parameters: Parameters,
    weights: Weights,
    inputs: Array | Tensor,
    targets: Array | Tensor,
    feedback: Array | Tensor | None = None,
    method: str = "closed_form",
) -> Learning:
    """Run the network, and return its e-prop gradients for a broadcast learning signal: all in one, and the fastest.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Arrays or tensors [pre, post]; the diagonal of `w_rec` is not used.
    inputs : array or Tensor
        Input spikes, 0 or 1, [batch, time, n_in].
    targets : array or Tensor
        What the readout should give, y*, [batch, time, n_out].
    feedback : array or Tensor, optional
        B, [n_rec, n_out]: ``weights.w_out`` if not given, which is symmetric e-prop; `eprop_nb.random_feedback` for
        random e-prop, or what `eprop_nb.adapt_feedback` makes of it for adaptive e-prop.
    method : {"closed_form", "online"}
        Backwards over each trial, or forwards in blocks of 64 time steps; see `eprop_gradients`.

    Returns
    -------
    Learning
        The loss, the gradients of the three matrices, and how often each neuron has fired.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape, dtype or device, is not finite, the inputs hold something other
        than 0 and 1, or `method` is unknown; or if a voltage, ψ, the loss, the learning signal or a gradient
        overflows. The message names the argument.
    MemoryError
        If ψ of a trial is more than the machine can hold, which only "closed_form" keeps.

    Notes
    -----
    Bellec et al. (2020), equations (4) and (28): Σ_t Σ_k B_jk (y_k(t) − y*_k(t)) ē_ji(t), with ē the eligibility
    trace, low-passed as the readout does it. With symmetric feedback that is the gradient of E = ½ Σ (y − y*)², the
    loss of the supplement's equation (13), along all paths but those from neuron to neuron and through the reset
    (supplement, equation (17)): what autograd gives after ``simulate(..., stop_recurrent_gradient=True)``.

    Memory, beside the arguments: a copy of the gradients for each of up to 16 groups of trials, but no more groups
    than fit into 1 GiB, with at least one; and for each thread ψ and the spikes of a trial with "closed_form", three
    numbers for each synapse with "online".

    Examples
    --------
    >>> import eprop_nb as ep
    >>> from eprop_nb import fast
    >>> p = ep.Parameters()
    >>> weights, inputs = ep.random_weights(p, seed=288), ep.poisson_spikes(p, seed=288)
    >>> learned = fast.broadcast_gradients(p, weights, inputs, ep.random_targets(p, seed=288))
    >>> int(learned.spike_counts.sum()), learned.gradients.w_rec.shape
    (28, (8, 8))
    """
    online = _online(method)
    w_in, w_rec, w_out = _weights(parameters, weights)
    n_steps, dtype = parameters.n_steps, w_in.dtype
    x = _array("inputs", inputs, (None, n_steps, w_in.shape[0]), "[batch, time, n_in]", dtype)
    batch = x.shape[0]
    y = _array("targets", targets, (batch, n_steps, w_out.shape[1]), "[batch, time, n_out]", dtype)
    b = w_out if feedback is None else _array("feedback", feedback, w_out.shape, "[n_rec, n_out]", dtype)
    to_neurons, network = np.ascontiguousarray(b.T), _network(parameters, dtype)
    kernel = kernels.learn_online if online else kernels.learn_closed_form
    if not online:
        _memory("duration, n_lif and n_alif", "ψ of a trial (method='closed_form')", n_steps * w_rec.shape[0], dtype)

    loss, spike_counts, faults = np.zeros(batch), np.zeros((batch, w_rec.shape[0]), np.int64), np.zeros(batch, np.int8)
    g_in, g_rec, g_out = _sums(batch, dtype, w_in.shape, w_rec.shape, w_out.shape)

    def learn(first: int, last: int) -> bool:
        return kernel(
            *network, w_in, w_rec, w_out, to_neurons, x, y, first, last, loss, spike_counts, g_in, g_rec, g_out, faults
        )

    fine = learn(0, 1) if batch == 1 else _side_by_side(learn, batch, len(g_in), parameters)
    try:
        whole_loss = math.fsum(loss)
    except OverflowError:  # though that of each trial is finite
        fine, faults[0], whole_loss = False, kernels.OUTPUT, math.inf
    d_in, d_rec, d_out = _total(g_in), _total(g_rec), _total(g_out)
    if not (fine and kernels.all_finite(d_in) and kernels.all_finite(d_rec) and kernels.all_finite(d_out)):
        given = {"weights.w_in": w_in, "weights.w_rec": w_rec, "weights.w_out": w_out, "inputs": x, "targets": y}
        raise _reason(parameters, given if feedback is None else given | {"feedback": b}, faults)
    return Learning(whole_loss, Gradients(d_in, d_rec, d_out), spike_counts)


def simulate(parameters: Parameters, weights: Weights, inputs: Array | Tensor) -> Simulation:
    """Run the network over a batch of trials, from zero states, as `eprop_nb.simulate` does.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Arrays or tensors [pre, post]; the diagonal of `w_rec` is not used.
    inputs : array or Tensor
        Input spikes, 0 or 1, [batch, time, n_in].

    Returns
    -------
    Simulation
        Spikes, voltages, adaptation, scaled voltages and pseudo-derivatives, arrays [batch, time, n_rec].

    Raises
    ------
    TypeError, ValueError
        If a weight or the inputs have the wrong type, shape, dtype or device, are not finite, or the inputs hold
        something other than 0 and 1; or if a number of the simulation overflows.
    MemoryError
        If the run is more than the machine can hold.

    Notes
    -----
    Bellec et al. (2020), equations (6) to (10) of Methods, "LIF neurons" and "LSNNs", in the time convention of the
    authors' program; for ψ, "Gradient descent for RSNNs".
    """
    p, (w_in, w_rec, w_out) = parameters, _weights(parameters, weights)
    x = _array("inputs", inputs, (None, p.n_steps, p.n_in), "[batch, time, n_in]", w_in.dtype)
    _finite(w_in, w_rec, w_out)
    shape = (len(Simulation._fields), len(x), p.n_steps, p.n_rec)
    _memory("batch, duration, n_lif and n_alif", "the run", math.prod(shape), w_in.dtype)
    network, recorded = _network(p, w_in.dtype), np.empty(shape, w_in.dtype)
    faults = np.zeros(len(x), np.int8)

    def run(first: int, last: int) -> bool:
        return kernels.run_trials(*network, w_in, w_rec, x, first, last, recorded, faults)

    if not _side_by_side(run, len(x), len(x), p):
        raise _reason(p, {"weights.w_in": w_in, "weights.w_rec": w_rec, "inputs": x}, faults)
    return Simulation(*recorded)


def readout(parameters: Parameters, weights: Weights, run: Simulation | simulation.Simulation) -> Array:
    """Return the output y(t) = z̄(t) W^out of leaky readout neurons, [batch, time, n_out], as `eprop_nb.readout` does.

    z̄ are the low-passed spikes, z̄(t) = κ z̄(t−1) + (1 − κ) z(t).

    Parameters
    ----------
    parameters : Parameters
        Uses `tau_out`, for κ.
    weights : Weights
        Arrays or tensors; uses `w_out` [n_rec, n_out].
    run : Simulation
        The trials; uses the spikes `z` [batch, time, n_rec].

    Raises
    ------
    TypeError, ValueError
        If the weights or the run do not have the shapes of `parameters`, differ in dtype, or are not finite, or the
        output overflows.

    Notes
    -----
    Bellec et al. (2020), equation (11), with the factor 1 − κ of the authors' program and no bias.
    """
    p, (w_in, w_rec, w_out) = parameters, _weights(parameters, weights)
    z, psi = _run(p, run, w_out.dtype)
    _finite(w_in, w_rec, w_out)
    network, output = _network(p, z.dtype), np.empty((*z.shape[:2], p.n_out), z.dtype)
    faults = np.zeros(len(z), np.int8)

    def read(first: int, last: int) -> bool:
        return kernels.read_trials(*network, w_out, z, first, last, output, faults)

    if not (_side_by_side(read, len(z), len(z), p) and kernels.all_finite(psi)):
        raise _reason(p, {"run.z": z, "run.psi": psi, "weights.w_out": w_out}, faults)
    return output


def eprop_gradients(
    parameters: Parameters,
    run: Simulation | simulation.Simulation,
    inputs: Array | Tensor,
    signal: Array | Tensor,
    method: str = "closed_form",
) -> Gradients:
    """Return dE/dW = Σ_t L(t) · e(t) for the input and the recurrent weights, and any learning signal L.

    Parameters
    ----------
    parameters : Parameters
        The network.
    run : Simulation
        The trials, from this module or from `eprop_nb.simulate`.
    inputs : array or Tensor
        The input spikes of the trials, 0 or 1, [batch, time, n_in].
    signal : array or Tensor
        The learning signal L, [batch, time, n_rec].
    method : {"closed_form", "online"}
        Backwards over each trial, or forwards in blocks of 64 time steps. In blocks, the memory that is needed beside
        the arguments does not grow with the duration; the traces of all synapses are advanced once in a block, not in
        each step, without an approximation.

    Returns
    -------
    Gradients
        `w_in` and `w_rec`, summed over time and batch; `w_out` is None (see `readout_gradient`).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape, dtype or device, is not finite, or `method` is unknown; or if a
        gradient overflows.

    Notes
    -----
    Bellec et al. (2020), equation (3). The memory beside the arguments is that of `broadcast_gradients`, without ψ.
    """
    online = _online(method)
    p, (z, psi) = parameters, _run(parameters, run)
    network = _network(p, z.dtype)
    x = _array("inputs", inputs, (*z.shape[:2], p.n_in), "[batch, time, n_in]", z.dtype)
    learning_signal = _array("signal", signal, z.shape, "[batch, time, n_rec]", z.dtype)
    kernel = kernels.sum_online if online else kernels.sum_closed_form
    g_in, g_rec = _sums(len(z), z.dtype, (p.n_in, p.n_rec), (p.n_rec, p.n_rec))
    faults = np.zeros(len(z), np.int8)

    def add(first: int, last: int) -> bool:
        return kernel(*network, x, z, psi, learning_signal, first, last, g_in, g_rec, faults)

    fine = _side_by_side(add, len(z), len(g_in), p)
    w_in, w_rec = _total(g_in), _total(g_rec)
    if not (fine and kernels.all_finite(w_in) and kernels.all_finite(w_rec)):
        raise _reason(p, {"run.z": z, "run.psi": psi, "inputs": x, "signal": learning_signal}, faults)
    return Gradients(w_in, w_rec)


def readout_gradient(
    parameters: Parameters, run: Simulation | simulation.Simulation, output_signal: Array | Tensor
) -> Array:
    """Return the gradient of the readout weights, dE/dW^out_jk = Σ_t z̄_j(t) dE/dy_k(t), [n_rec, n_out].

    z̄ are the low-passed spikes, as in `readout`.

    Parameters
    ----------
    parameters : Parameters
        Uses `tau_out`, for κ.
    run : Simulation
        The trials, from this module or from `eprop_nb.simulate`.
    output_signal : array or Tensor
        dE/dy, [batch, time, n_out].

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape, dtype or device, or is not finite, or the gradient overflows.

    Notes
    -----
    Bellec et al. (2020), supplement, equation (18).
    """
    p, (z, psi) = parameters, _run(parameters, run)
    network = _network(p, z.dtype)
    error = _array("output_signal", output_signal, (*z.shape[:2], p.n_out), "[batch, time, n_out]", z.dtype)

    (g_out,) = _sums(len(z), z.dtype, (p.n_rec, p.n_out))
    faults = np.zeros(len(z), np.int8)

    def add(first: int, last: int) -> bool:
        return kernels.sum_readout(*network, z, error, first, last, g_out, faults)

    fine = _side_by_side(add, len(z), len(g_out), p)
    w_out = _total(g_out)
    if not (fine and kernels.all_finite(psi) and kernels.all_finite(w_out)):
        raise _reason(p, {"run.z": z, "run.psi": psi, "output_signal": error}, faults)
    return w_out


def _online(method: object) -> bool:
    """Return whether `method` is the online one; raise if it is none of the two."""
    if not isinstance(method, str):
        raise TypeError(f"method must be {' or '.join(map(repr, METHODS))}, got a {type(method).__name__}")
    return _checks.one_of("method", method, METHODS) == "online"


def _memory(arguments: str, what: str, n_numbers: int, dtype: np.dtype[Any]) -> None:
    """Raise MemoryError if so many numbers are more than the machine can hold."""
    if n_numbers > 10**6:  # to ask the machine takes as long as the rest of a small call
        _checks.memory(arguments, what, n_numbers, torch.empty(0, dtype=getattr(torch, dtype.name)))


@lru_cache(maxsize=64)
def _network(parameters: Parameters, dtype: np.dtype[Any]) -> tuple[Array, Array, int]:
    """Return the constants of the neurons, in the order of `kernels.Network`."""
    p = parameters
    with np.errstate(over="ignore"):  # what float32 cannot hold makes numbers that are not finite, and they are found
        constants = np.array(
            [p.alpha, p.rho, p.threshold_per_neuron, p.beta_per_neuron, (p.dampening,) * p.n_rec], dtype
        )
    readout = np.array([p.kappa, p.kappa_complement], dtype)
    return constants, readout, min(max(p.n_ref - 1, 0), p.n_steps)  # no longer than the trial: t + n_ref may overflow


def _weights(parameters: Parameters, weights: Weights) -> tuple[Array, Array, Array]:
    """Return the weights as arrays, checked but for NaN and infinity."""
    _checks.instance("parameters", parameters, Parameters)
    _checks.instance("weights", weights, Weights)
    p, n_rec = parameters, parameters.n_rec
    w_in = _array("weights.w_in", weights.w_in, (p.n_in, n_rec), "[n_in, n_rec]")
    w_rec = _array("weights.w_rec", weights.w_rec, (n_rec, n_rec), "[n_rec, n_rec]", w_in.dtype)
    return w_in, w_rec, _array("weights.w_out", weights.w_out, (n_rec, p.n_out), "[n_rec, n_out]", w_in.dtype)


def _run(
    parameters: Parameters, run: Simulation | simulation.Simulation, dtype: np.dtype[Any] | None = None
) -> tuple[Array, Array]:
    """Return the spikes and the pseudo-derivatives of a run, checked."""
    _checks.instance("parameters", parameters, Parameters)
    if not isinstance(run, Simulation):
        _checks.instance("run", run, simulation.Simulation)
    z = _array("run.z", run.z, (None, parameters.n_steps, parameters.n_rec), "[batch, time, n_rec]", dtype)
    psi = _array("run.psi", run.psi, z.shape, "[batch, time, n_rec]", z.dtype)
    return z, psi


def _array(
    name: str, value: object, shape: tuple[int | None, ...], axes: str, dtype: np.dtype[Any] | None = None
) -> Array:
    """Return `value` as an array that compiled code can take; raise as `eprop_nb` does if it is not what is wanted."""
    array = _plain(name, value, axes)
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


def _plain(name: str, value: object, axes: str) -> Array:
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


def _finite(*weights: Array) -> None:
    for name, array in zip(Weights._fields, weights, strict=True):
        if not kernels.all_finite(array):
            _checks.tensor(f"weights.{name}", torch.from_numpy(array), array.shape, "")  # raises


def _side_by_side(work: Callable[[int, int], bool], batch: int, groups: int, parameters: Parameters) -> bool:
    """Call `work` with a first and a last trial: whole groups of them in each thread, or all, if that is quicker.

    It returns whether all that it met was as it must be.
    """
    threads = 1 if groups == 1 else min(groups, torch.get_num_threads())
    if threads == 1 or batch * parameters.n_steps * parameters.n_rec < _WORTH_A_THREAD:
        return work(0, batch)
    bounds = [batch * (groups * thread // threads) // groups for thread in range(threads + 1)]
    with ThreadPoolExecutor(threads - 1) as pool:  # this thread is one of them
        others = pool.map(work, bounds[1:-1], bounds[2:])
        return all([work(bounds[0], bounds[1]), *others])


def _sums(batch: int, dtype: np.dtype[Any], *shapes: tuple[int, ...]) -> list[Array]:
    """Return zeros to sum gradients of these shapes up in, [groups, ...]; how many groups depends on sizes alone."""
    groups = 1
    if batch > 1:
        size = dtype.itemsize * sum(math.prod(shape) for shape in shapes)
        groups = max(min(batch, _GROUPS, _ROOM // size), 1)
    return [np.zeros((groups, *shape), dtype) for shape in shapes]


def _total(sums: Array) -> Array:
    """Return the sum over the groups of trials, in their order."""
    total: Array = sums[0]
    if len(sums) > 1:
        with np.errstate(all="ignore"):  # what is not finite is found later
            total = sums.sum(axis=0)
    return total


_LARGE = {  # what may have been too large, by what is not finite then
    kernels.VOLTAGE: ("the voltages", ("weights.w_in", "weights.w_rec")),
    kernels.OUTPUT: ("the output", ("weights.w_out", "targets")),
    kernels.SIGNAL: ("the learning signal", ("feedback", "weights.w_out", "targets")),
    kernels.GRADIENT: ("the gradient", ("feedback", "weights.w_out", "targets", "signal", "output_signal")),
}


def _reason(parameters: Parameters, given: dict[str, Array], faults: NDArray[np.int8]) -> ValueError:
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
    traces = fault == kernels.GRADIENT and "output_signal" not in given
    growth = " (or beta, by which eligibility traces may grow)" if traces else ""
    return ValueError(
        f"{name}{growth} must be small enough for {what} to be finite in {dtype}, got entries up to {largest[name]:g}"
    )
