"""What `eprop_nb.fast` offers: arrays in, arrays out, the loops in `eprop_nb.fast.kernels` behind them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eprop_nb import _checks, gradients, simulation
from eprop_nb.fast import arguments, kernels
from eprop_nb.fast.arguments import Array
from eprop_nb.parameters import Parameters, Weights

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


class Run(NamedTuple):
    """What a batch of trials leaves behind for learning, and no more: from `forward`."""

    z: NDArray[np.uint8]  # spikes, 0 or 1, [batch, time, n_rec]
    psi: Array  # ψ, pseudo-derivative dz/dv, [batch, time, n_rec]
    output: Array  # y, of the readout, [batch, time, n_out]
    spike_counts: NDArray[np.int64]  # how often each neuron has fired in each trial, [batch, n_rec]


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
    w_in, w_rec, w_out = arguments.weights(parameters, weights)
    n_steps, dtype = parameters.n_steps, w_in.dtype
    x = arguments.array("inputs", inputs, (None, n_steps, w_in.shape[0]), "[batch, time, n_in]", dtype)
    batch = x.shape[0]
    y = arguments.array("targets", targets, (batch, n_steps, w_out.shape[1]), "[batch, time, n_out]", dtype)
    b = w_out if feedback is None else arguments.array("feedback", feedback, w_out.shape, "[n_rec, n_out]", dtype)
    to_neurons, network = np.ascontiguousarray(b.T), arguments.network(parameters, dtype)
    kernel = kernels.learn_online if online else kernels.learn_closed_form
    if not online:
        arguments.memory(
            "duration, n_lif and n_alif", "ψ of a trial (method='closed_form')", n_steps * w_rec.shape[0], dtype
        )

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
        raise arguments.reason(parameters, given if feedback is None else given | {"feedback": b}, faults)
    return Learning(whole_loss, Gradients(d_in, d_rec, d_out), spike_counts)


def forward(parameters: Parameters, weights: Weights, inputs: Array | Tensor) -> Run:
    """Run the network and its readout, and keep what learning needs: the first of two phases.

    The second is `backward`, or `bptt_gradients`. Between them stands any loss of the output and the spikes.

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
    Run
        The spikes as bytes, ψ, the output, and how often each neuron has fired.

    Raises
    ------
    TypeError, ValueError
        If a weight or the inputs have the wrong type, shape, dtype or device, are not finite, or the inputs hold
        something other than 0 and 1; or if a number of the run overflows.
    MemoryError
        If the run is more than the machine can hold.

    Notes
    -----
    Bellec et al. (2020), equations (6) to (11), in the time convention of the authors' program.
    """
    p, (w_in, w_rec, w_out) = parameters, arguments.weights(parameters, weights)
    x = arguments.array("inputs", inputs, (None, p.n_steps, p.n_in), "[batch, time, n_in]", w_in.dtype)
    arguments.finite(w_in, w_rec, w_out)
    shape = (len(x), p.n_steps, p.n_rec)
    arguments.memory("batch, duration, n_lif and n_alif", "the run", 2 * math.prod(shape), w_in.dtype)
    network, faults = arguments.network(p, w_in.dtype), np.zeros(len(x), np.int8)
    output = np.empty((*shape[:2], p.n_out), w_in.dtype)
    run = Run(np.zeros(shape, np.uint8), np.empty(shape, w_in.dtype), output, np.zeros((len(x), p.n_rec), np.int64))

    def go(first: int, last: int) -> bool:
        return kernels.run_forward(*network, w_in, w_rec, w_out, x, first, last, *run, faults)

    if not _side_by_side(go, len(x), len(x), p):
        given = {"weights.w_in": w_in, "weights.w_rec": w_rec, "weights.w_out": w_out, "inputs": x}
        raise arguments.reason(p, given, faults)
    return run


def backward(
    parameters: Parameters,
    run: Run | Simulation | simulation.Simulation,
    inputs: Array | Tensor,
    output_signal: Array | Tensor,
    feedback: Array | Tensor,
    spike_signal: Array | Tensor | None = None,
) -> Gradients:
    """Return the e-prop gradients for any loss of the output and the spikes: the second of two phases, after `forward`.

    The learning signal of neuron j is Σ_k B_jk Σ_{t' ≥ t} (1 − κ) κ^(t' − t) dE/dy_k(t') + dE/dz_j(t): what comes back
    from the output, and what the loss says of the spike itself.

    Parameters
    ----------
    parameters : Parameters
        The network.
    run : Run
        The trials, from `forward`; those of a simulation are taken as well.
    inputs : array or Tensor
        The input spikes of the trials, 0 or 1, [batch, time, n_in].
    output_signal : array or Tensor
        dE/dy, [batch, time, n_out].
    feedback : array or Tensor
        B, [n_rec, n_out]: the readout weights for symmetric e-prop, others for random or adaptive e-prop.
    spike_signal : array or Tensor, optional
        dE/dz [batch, time, n_rec], where the loss depends on the spikes not only through the output.

    Returns
    -------
    Gradients
        Of all three matrices, summed over time and batch.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape, dtype or device, is not finite, or holds something other than spikes
        where it must; or if a gradient overflows.

    Notes
    -----
    Bellec et al. (2020), equations (4) and (28); supplement, equations (17) and (18).
    """
    p, (z, psi) = parameters, _run(parameters, run)
    given = {
        "output_signal": arguments.array(
            "output_signal", output_signal, (*z.shape[:2], p.n_out), "[batch, time, n_out]", psi.dtype
        ),
        "feedback": arguments.array("feedback", feedback, (p.n_rec, p.n_out), "[n_rec, n_out]", psi.dtype),
    }
    if spike_signal is not None:
        given["spike_signal"] = arguments.array(
            "spike_signal", spike_signal, z.shape, "[batch, time, n_rec]", psi.dtype
        )
    return _go_back(p, z, psi, inputs, given)


def bptt_gradients(
    parameters: Parameters,
    weights: Weights,
    run: Run | Simulation | simulation.Simulation,
    inputs: Array | Tensor,
    output_signal: Array | Tensor,
    spike_signal: Array | Tensor | None = None,
) -> Gradients:
    """Return the full gradients, of backpropagation through time, for any loss of the output and the spikes.

    It is the closed form of e-prop with the true learning signal, which is found on the way back: what a spike does to
    the output, to the loss itself, to the other neurons in the next step, and by the reset to its own voltage.

    Parameters
    ----------
    parameters : Parameters
        The network.
    weights : Weights
        Those of the run; `w_rec` and `w_out` are used.
    run, inputs, output_signal, spike_signal
        As for `backward`.

    Returns
    -------
    Gradients
        Of all three matrices, summed over time and batch: what autograd gives for `eprop_nb.simulate`.

    Raises
    ------
    TypeError, ValueError
        As `backward`.

    Notes
    -----
    Bellec et al. (2020), equations (1) and (15) to (21).
    """
    p, matrices = parameters, arguments.weights(parameters, weights)
    z, psi = _run(p, run, matrices[0].dtype)
    given = {
        "output_signal": arguments.array(
            "output_signal", output_signal, (*z.shape[:2], p.n_out), "[batch, time, n_out]", psi.dtype
        ),
        **dict(zip(("weights.w_in", "weights.w_rec", "weights.w_out"), matrices, strict=True)),
    }
    if spike_signal is not None:
        given["spike_signal"] = arguments.array(
            "spike_signal", spike_signal, z.shape, "[batch, time, n_rec]", psi.dtype
        )
    return _go_back(p, z, psi, inputs, given)


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
    p, (w_in, w_rec, w_out) = parameters, arguments.weights(parameters, weights)
    x = arguments.array("inputs", inputs, (None, p.n_steps, p.n_in), "[batch, time, n_in]", w_in.dtype)
    arguments.finite(w_in, w_rec, w_out)
    shape = (len(Simulation._fields), len(x), p.n_steps, p.n_rec)
    arguments.memory("batch, duration, n_lif and n_alif", "the run", math.prod(shape), w_in.dtype)
    network, recorded = arguments.network(p, w_in.dtype), np.empty(shape, w_in.dtype)
    faults = np.zeros(len(x), np.int8)

    def run(first: int, last: int) -> bool:
        return kernels.run_trials(*network, w_in, w_rec, x, first, last, recorded, faults)

    if not _side_by_side(run, len(x), len(x), p):
        raise arguments.reason(p, {"weights.w_in": w_in, "weights.w_rec": w_rec, "inputs": x}, faults)
    return Simulation(*recorded)


def readout(parameters: Parameters, weights: Weights, run: Run | Simulation | simulation.Simulation) -> Array:
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
    p, (w_in, w_rec, w_out) = parameters, arguments.weights(parameters, weights)
    z, psi = _run(p, run, w_out.dtype)
    arguments.finite(w_in, w_rec, w_out)
    network, output = arguments.network(p, psi.dtype), np.empty((*z.shape[:2], p.n_out), psi.dtype)
    faults = np.zeros(len(z), np.int8)

    def read(first: int, last: int) -> bool:
        return kernels.read_trials(*network, w_out, z, first, last, output, faults)

    if not (_side_by_side(read, len(z), len(z), p) and kernels.all_finite(psi)):
        raise arguments.reason(p, {"run.z": _spikes(z, psi), "run.psi": psi, "weights.w_out": w_out}, faults)
    return output


def eprop_gradients(
    parameters: Parameters,
    run: Run | Simulation | simulation.Simulation,
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
    learning_signal = arguments.array("signal", signal, z.shape, "[batch, time, n_rec]", psi.dtype)
    if not online:
        return _go_back(p, z, psi, inputs, {"signal": learning_signal})._replace(w_out=None)
    network = arguments.network(p, psi.dtype)
    x = arguments.array("inputs", inputs, (*z.shape[:2], p.n_in), "[batch, time, n_in]", psi.dtype)
    g_in, g_rec = _sums(len(z), psi.dtype, (p.n_in, p.n_rec), (p.n_rec, p.n_rec))
    faults = np.zeros(len(z), np.int8)

    def add(first: int, last: int) -> bool:
        return kernels.sum_online(*network, x, z, psi, learning_signal, first, last, g_in, g_rec, faults)

    fine = _side_by_side(add, len(z), len(g_in), p)
    w_in, w_rec = _total(g_in), _total(g_rec)
    if not (fine and kernels.all_finite(w_in) and kernels.all_finite(w_rec)):
        given = {"run.z": _spikes(z, psi), "run.psi": psi, "inputs": x, "signal": learning_signal}
        raise arguments.reason(p, given, faults)
    return Gradients(w_in, w_rec)


def readout_gradient(
    parameters: Parameters, run: Run | Simulation | simulation.Simulation, output_signal: Array | Tensor
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
    network = arguments.network(p, psi.dtype)
    error = arguments.array("output_signal", output_signal, (*z.shape[:2], p.n_out), "[batch, time, n_out]", psi.dtype)

    (g_out,) = _sums(len(z), psi.dtype, (p.n_rec, p.n_out))
    faults = np.zeros(len(z), np.int8)

    def add(first: int, last: int) -> bool:
        return kernels.sum_readout(*network, z, error, first, last, g_out, faults)

    fine = _side_by_side(add, len(z), len(g_out), p)
    w_out = _total(g_out)
    if not (fine and kernels.all_finite(psi) and kernels.all_finite(w_out)):
        raise arguments.reason(p, {"run.z": _spikes(z, psi), "run.psi": psi, "output_signal": error}, faults)
    return w_out


def _online(method: object) -> bool:
    """Return whether `method` is the online one; raise if it is none of the two."""
    if not isinstance(method, str):
        raise TypeError(f"method must be {' or '.join(map(repr, METHODS))}, got a {type(method).__name__}")
    return _checks.one_of("method", method, METHODS) == "online"


def _run(
    parameters: Parameters, run: Run | Simulation | simulation.Simulation, dtype: np.dtype[Any] | None = None
) -> tuple[Array, Array]:
    """Return the spikes and the pseudo-derivatives of a run, checked."""
    _checks.instance("parameters", parameters, Parameters)
    shape, axes = (None, parameters.n_steps, parameters.n_rec), "[batch, time, n_rec]"
    if isinstance(run, Run):
        psi = arguments.array("run.psi", run.psi, shape, axes, dtype)
        if not (isinstance(run.z, np.ndarray) and run.z.dtype == np.uint8 and run.z.shape == psi.shape):
            raise TypeError(f"run.z must be an array of uint8 {axes}, of the shape of run.psi, {psi.shape}")
        return np.ascontiguousarray(run.z), psi
    if not isinstance(run, Simulation):
        _checks.instance("run", run, simulation.Simulation)
    z = arguments.array("run.z", run.z, shape, axes, dtype)
    return z, arguments.array("run.psi", run.psi, z.shape, axes, z.dtype)


def _spikes(z: Array, like: Array) -> Array:
    """Return spikes as numbers of the dtype that everything else has."""
    return z.astype(like.dtype, copy=False)


def _go_back(
    parameters: Parameters, z: Array, psi: Array, inputs: Array | Tensor, given: dict[str, Array]
) -> Gradients:
    """Run the closed form, or BPTT if `weights.w_rec` is given, backwards with the signals that are given."""
    p, dtype = parameters, psi.dtype
    x = arguments.array("inputs", inputs, (*z.shape[:2], p.n_in), "[batch, time, n_in]", dtype)
    network, none = arguments.network(p, dtype), np.zeros((*z.shape[:2], 0), dtype)
    error, signal = given.get("output_signal", none), given.get("spike_signal", given.get("signal", none))
    to_neurons = np.ascontiguousarray(given.get("feedback", given.get("weights.w_out", none[0])).T)
    to_senders = np.ascontiguousarray(given.get("weights.w_rec", none[0, :0]).T)
    if to_senders.size:
        np.fill_diagonal(to_senders := to_senders.copy(), 0)
    g_in, g_rec, g_out = _sums(len(z), dtype, (p.n_in, p.n_rec), (p.n_rec, p.n_rec), (p.n_rec, error.shape[2]))
    faults = np.zeros(len(z), np.int8)
    arrays = (to_senders, to_neurons, x, z, psi, error, signal)

    def add(first: int, last: int) -> bool:
        return kernels.run_backward(*network, *arrays, first, last, g_in, g_rec, g_out, faults)

    fine = all(kernels.all_finite(each) for each in given.values() if each.ndim == 2)
    fine = fine and _side_by_side(add, len(z), len(g_in), p)
    w_in, w_rec, w_out = _total(g_in), _total(g_rec), _total(g_out)
    if not (fine and kernels.all_finite(w_in) and kernels.all_finite(w_rec) and kernels.all_finite(w_out)):
        raise arguments.reason(p, {"run.z": _spikes(z, psi), "run.psi": psi, "inputs": x, **given}, faults)
    return Gradients(w_in, w_rec, w_out)


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
